"""What every command shares: where to print, whether as JSON, and the connection, made when it is first needed."""

import json
import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import click
from pydantic import BaseModel
from rich.console import Console, RenderableType

from orchestrator import settings

from .client import Client, connect

F = TypeVar("F", bound=Callable[..., Any])
WIDE = 10_000  # nobody's terminal: piped tables keep whole words


class Session:
    """One run of the command line."""

    def __init__(self) -> None:
        self.as_json = False

    @cached_property
    def client(self) -> Client:
        """The connection to the server."""
        return connect(settings.load())

    @cached_property
    def console(self) -> Console:
        """Where a person reads. Nothing in what is printed is taken for markup."""
        width = None if sys.stdout.isatty() else WIDE
        return Console(markup=False, highlight=False, emoji=False, width=width)

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to be asked."""
        return sys.stdin.isatty() and sys.stdout.isatty() and not self.as_json

    def show(self, data: BaseModel | dict[str, Any], *readable: RenderableType) -> None:
        """Print `data` when JSON is asked for, and `readable` otherwise."""
        if self.as_json:
            plain = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
            click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
            return
        for part in readable:
            self.print(part)

    def print(self, part: RenderableType) -> None:
        """Print for a person; in a pipe without the blanks that fill a table up."""
        with self.console.capture() as captured:
            self.console.print(part)
        lines = captured.get().splitlines()
        click.echo("\n".join(lines if self.console.is_terminal else [line.rstrip() for line in lines]))

    def say(self, line: str) -> None:
        """One line for a person; nothing when JSON is asked for."""
        if not self.as_json:
            self.console.print(line, soft_wrap=True)


pass_session = click.make_pass_decorator(Session)


def json_option(command: F) -> F:
    """Add `--json` to a command."""

    def keep(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        context.ensure_object(Session).as_json |= value

    option = click.option("--json", is_flag=True, expose_value=False, callback=keep, help="Print JSON.")
    return option(command)
