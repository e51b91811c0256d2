"""The brine command."""

import sys

import click

from orchestrator.domain.errors import BadInput, BrinepoolError, Conflict, NotFound

from . import stack


@click.group()
def brine() -> None:
    """Short-lived, wired development environments, on Salt."""


for command in (stack.up, stack.down, stack.status):
    brine.add_command(command)


def main() -> None:
    """Run the command; an error that a person is shown is one sentence and an exit code."""
    try:
        brine()
    except BrinepoolError as error:
        click.echo(error.message, err=True)
        sys.exit(2 if isinstance(error, BadInput | NotFound | Conflict) else 3)
