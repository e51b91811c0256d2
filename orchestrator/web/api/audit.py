"""/api/v1/audit"""

from flask import Response
from pydantic import BaseModel, Field

from orchestrator.commands import people
from orchestrator.commands.views import AuditView
from orchestrator.web.auth import actor

from .context import answers, blueprint, found, world

api = blueprint("audit", "Who said what in a chat, and what became of it.")


class Audit(BaseModel):
    """Lines of the audit, newest first."""

    audit: list[AuditView]


class ListQuery(BaseModel):
    """Which lines. `before`: those that are older than the one with this `seq`."""

    before: int | None = Field(None, ge=1)
    limit: int = Field(50, ge=1, le=1000)


@api.get("", responses=answers(200, Audit, 403))
def list_audit(query: ListQuery) -> Response:
    """List the audit; for ops"""
    return found(Audit(audit=list(people.audits(world(), actor(), query.before, query.limit))))
