"""`brine serve`: the Brinepool server itself; `brine worker`: another pair of hands for it."""

import logging

import click

from orchestrator import settings


@click.command()
def serve() -> None:
    """Run the Brinepool server in the foreground.

    That is the API, the chats, the engine and the scheduler. brine up does it for you. On SQLite it runs once; on
    PostgreSQL several may run, and each takes over what another one leaves unfinished.

    \b
    Example:
      BRINE_HOME=/srv/brinepool brine serve
    """
    from orchestrator import bootstrap

    _log()
    bootstrap.serve(settings.load())


@click.command()
def worker() -> None:
    """Run the engine and the scheduler alone in the foreground, beside others on the same PostgreSQL.

    It has no API and no chats: it carries out what they were asked for, and takes over what another process leaves
    unfinished. It needs the settings of brine serve, the database and salt-api among them.

    \b
    Example:
      BRINE_DATABASE_URL=postgresql+psycopg://brinepool@db/brinepool brine worker
    """
    from orchestrator import bootstrap

    _log()
    bootstrap.work(settings.load())


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "apscheduler", "dbos"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
