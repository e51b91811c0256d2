"""The `brine` command: its groups, and the one place where an error becomes an exit code.

0: done. 1: the operation failed. 2: wrong usage or bad input. 3: not reachable or not allowed. 130: interrupted.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import cast

import click
from pydantic import ValidationError

from orchestrator.domain.errors import BadInput, BrinepoolError, Conflict, NotAllowed, NotFound, Unavailable

from . import stack
from .audit import audit
from .chat import chat
from .env import env
from .failures import failures
from .job import job
from .leaks import leaks
from .reap import reap, schedule
from .render import plain
from .serve import serve, worker
from .server import server
from .session import Session
from .template import template

_CODES: dict[type[BrinepoolError], int] = {BadInput: 2, NotFound: 2, Conflict: 2, NotAllowed: 3, Unavailable: 3}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="brinepool", message="brine %(version)s")
def brine() -> None:
    """Short-lived, wired development environments, on Salt.

    \b
    Examples:
      brine up
      brine env create shop --branch feature/cart
      brine env list
    """


COMMANDS = (
    stack.up, stack.down, stack.status, env, server, template, failures, job, reap, schedule, leaks, audit, chat, serve,
    worker,
)  # fmt: skip
for command in COMMANDS:
    brine.add_command(command)


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a question mark, not an error.
        cast(io.TextIOWrapper, stream).reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Whatever a user can cause ends in a sentence, not in a trace."""
    session = Session()
    try:
        return int(brine.main(list(arguments), prog_name="brine", standalone_mode=False, obj=session) or 0)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except BrinepoolError as error:
        _tell(error, session)
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), 1)
    except ValidationError as error:  # of what was to be asked for
        _tell(_as_bad_input(error), session)
        return 2
    except BrokenPipeError:
        # Whoever read our output has seen enough (`brine env list | head -1`); nothing is to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _as_bad_input(error: ValidationError) -> BadInput:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field, message = ".".join(str(part) for part in first["loc"]), str(first["msg"])
    return BadInput("input-invalid", f"What you gave as “{field}” is wrong: {message[:1].lower()}{message[1:]}.")


def _tell(error: BrinepoolError, session: Session) -> None:
    """The error as JSON where JSON was asked for, else its sentence, or the three lines of the failure it carries."""
    if session.as_json:
        session.show({"error": {"code": error.code, "message": error.message, **error.extra}})
        return
    failure = error.extra.get("failure")
    told = [failure.get(key) for key in ("title", "explanation", "action")] if isinstance(failure, dict) else []
    for line in [each for each in told if each] or [error.message]:
        click.echo(plain(str(line)), err=True)
