"""`brine up`, `brine down`, `brine status`: the embedded stack."""

import json
from dataclasses import asdict
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from orchestrator import settings
from orchestrator.embedded import stack


def _say(line: str) -> None:
    click.echo(line, err=True)


@click.command()
def up() -> None:
    """Start the embedded stack, and wait until everything answers.

    Starts what does not run, and changes nothing when everything does. Servers that were stopped start again.

    \b
    Example:
      brine up
      BRINE_HOME=~/brine BRINE_PORT=9000 brine up
    """
    chosen = settings.load()
    stack.up(chosen, _say)
    click.echo(f"Brinepool runs at {stack.status(chosen).url}")


@click.command()
def down() -> None:
    """Stop the embedded stack and all its servers; `brine up` starts them again.

    \b
    Example:
      brine down
    """
    stack.down(settings.load(), _say)
    click.echo("Everything has ended.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show what runs and answers. The exit code is 3 when something of the stack does not.

    \b
    Example:
      brine status
      brine status --json | jq .programs
    """
    found = stack.status(settings.load())
    if as_json:
        click.echo(json.dumps({"running": found.running, **asdict(found)}, default=datetime.isoformat, indent=2))
    else:
        _print(found)
    context.exit(0 if found.running else 3)


def _print(found: stack.StackStatus) -> None:
    console = Console()
    console.print(_programs(found))
    if found.sandboxes:
        console.print(_servers(found))


def _programs(found: stack.StackStatus) -> Table:
    table = Table("program", "state", "process", "address", "since", "", box=None)
    for program in found.programs:
        since = program.since.astimezone().strftime("%Y-%m-%d %H:%M:%S") if program.since else ""
        pid = str(program.pid or "")
        table.add_row(program.name, _coloured(program.state), pid, program.address, since, program.detail)
    return table


def _servers(found: stack.StackStatus) -> Table:
    table = Table("server", "state", "address", "profile", box=None)
    for server in found.sandboxes:
        table.add_row(server.name, _coloured(server.state), server.address, server.profile)
    return table


def _coloured(state: str) -> str:
    return f"[{'green' if state == 'running' else 'red'}]{state}[/]"
