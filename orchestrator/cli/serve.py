"""`brine serve`: the Brinepool server itself."""

import logging

import click

from orchestrator import settings


@click.command()
def serve() -> None:
    """Run the Brinepool server in the foreground.

    That is the API, the engine and the scheduler. brine up does it for you.

    \b
    Example:
      BRINE_HOME=/srv/brinepool brine serve
    """
    from orchestrator import bootstrap

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "apscheduler", "dbos"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    bootstrap.serve(settings.load())
