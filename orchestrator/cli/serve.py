"""`brine serve`: the Brinepool server itself."""

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

    bootstrap.serve(settings.load())
