"""`brine audit`: who said what in a chat, and what became of it."""

import click

from orchestrator.commands.views import AuditView

from . import render
from .client import path
from .session import Session, json_option, pass_session


@click.command()
@click.option(
    "--lines", "-n", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, newest first."
)
@json_option
@pass_session
def audit(session: Session, lines: int) -> None:
    """Show who said what in a chat, and what became of it. For ops.

    \b
    Examples:
      brine audit
      brine audit --lines 200 --json
    """
    found = session.client.many(AuditView, "audit", path("audit"), limit=lines)
    data = {"audit": [each.model_dump(mode="json") for each in found]}
    session.show(data, render.audit(found) if found else "Nothing has been said in any chat yet.")
