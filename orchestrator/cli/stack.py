"""`brine up`, `brine down`, `brine status`: the embedded stack."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import to_jsonable_python
from rich.console import RenderableType

from orchestrator import settings

from . import render
from .session import Session, json_option, pass_session

if TYPE_CHECKING:  # only these three commands need the stack, and importing it costs all others 0.1 s
    from orchestrator.embedded.stack import StackStatus


def _say(line: str) -> None:
    click.echo(line, err=True)


@click.command()
@json_option
@pass_session
def up(session: Session) -> None:
    """Start the embedded stack, and wait until everything answers.

    Starts what does not run, and changes nothing when everything does. Servers that were stopped start again.

    \b
    Example:
      brine up
      BRINE_HOME=~/brine BRINE_PORT=9000 brine up
    """
    from orchestrator.embedded import stack

    chosen = settings.load()
    stack.up(chosen, _say)
    found = stack.status(chosen)
    session.show(_data(found), f"Brinepool runs at {found.url}")


@click.command()
@json_option
@pass_session
def down(session: Session) -> None:
    """Stop the embedded stack and all its servers; `brine up` starts them again.

    \b
    Example:
      brine down
    """
    from orchestrator.embedded import stack

    chosen = settings.load()
    stack.down(chosen, _say)
    session.show(_data(stack.status(chosen)), "Everything has ended.")


@click.command()
@json_option
@pass_session
def status(session: Session) -> None:
    """Show what runs and answers. The exit code is 3 when something of the stack does not.

    \b
    Example:
      brine status
      brine status --json | jq .programs
    """
    from orchestrator.embedded import stack

    found = stack.status(settings.load())
    tables: list[RenderableType] = [render.programs(found.programs)]
    if found.sandboxes:
        tables += ["", render.sandboxes(found.sandboxes)]
    if found.chats:
        tables += ["", *found.chats]
    session.show(_data(found), *tables)
    click.get_current_context().exit(0 if found.running else 3)


def _data(found: "StackStatus") -> dict[str, Any]:
    data: dict[str, Any] = to_jsonable_python({"running": found.running, **asdict(found)})
    return data
