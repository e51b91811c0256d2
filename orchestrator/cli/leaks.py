"""`brine leaks`: what is left of servers that nobody has, and servers that are not whole."""

import click

from orchestrator.commands.leak_views import Leaks
from orchestrator.commands.views import RunView
from orchestrator.domain.errors import Unavailable

from . import render
from .client import path
from .reap import run_to_the_end
from .session import Session, json_option, pass_session

_NOTHING = "Nothing is left over, and every server is whole."


@click.command()
@click.option("--fix", is_flag=True, help="Sweep now, as happens by itself every few minutes. For ops.")
@json_option
@pass_session
def leaks(session: Session, fix: bool) -> None:
    """Show what is left of servers, and servers that are not whole.

    It looks now, and says what will be done about it. Nothing is done about what was never seen before: --fix removes
    what an earlier sweep has seen already, and notes the rest for the next one.

    \b
    Examples:
      brine leaks
      brine leaks --fix
    """
    if fix:
        _fix(session)
        return
    found = session.client.one(Leaks, path("leaks"))
    session.show(found, render.leaks(found.leaks, "WHAT WILL BE DONE") if found.leaks else _NOTHING)


def _fix(session: Session) -> None:
    """Exits with 1 when something could not be removed."""
    run = run_to_the_end(session, session.client.post(RunView, path("leaks")))
    if run.failure:
        raise Unavailable("sweep-failed", run.failure)
    readable = [render.leaks(run.leaks, "WHAT WAS DONE"), f"\n{run.result[:1].upper()}{run.result[1:]}."]
    session.show(run, *(readable if run.leaks else [_NOTHING]))
    if any(leak.failure for leak in run.leaks):
        raise click.exceptions.Exit(1)
