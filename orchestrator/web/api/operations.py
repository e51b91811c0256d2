"""/api/v1/operations"""

from flask import Response, current_app
from pydantic import BaseModel, Field

from orchestrator.commands import cancelling
from orchestrator.commands import operations as commands
from orchestrator.commands.views import Accepted, OperationView
from orchestrator.web import sse
from orchestrator.web.auth import actor

from .context import accepted, answers, blueprint, found, streams, world

api = blueprint("operations", "Durable pieces of work, and their progress.")

_STREAM = {
    "description": "Each event is a ProgressView under its `seq`; the last one is called `end` and holds the "
    "operation. Comments keep the connection alive.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


class Operations(BaseModel):
    """Operations, newest first."""

    operations: list[OperationView]


class ListQuery(BaseModel):
    """Which operations. `active`: only those that have not ended."""

    active: bool = False
    limit: int = Field(50, ge=1, le=1000)


class Id(BaseModel):
    """An operation's id."""

    id: str = Field(max_length=64)


class Resume(BaseModel):
    """Where to begin: after the event with this `seq`."""

    after: int = Field(0, ge=0)


class LastEvent(BaseModel):
    """`Last-Event-ID`, as a browser sends it when it comes back; it wins over `after`."""

    seen: int | None = Field(None, alias="Last-Event-ID", ge=0)


@api.get("", responses=answers(200, Operations))
def list_operations(query: ListQuery) -> Response:
    """List operations"""
    return found(Operations(operations=commands.list_all(world(), active=query.active, limit=query.limit)))


@api.get("/<id>", responses=answers(200, OperationView, 404))
def show_operation(path: Id) -> Response:
    """Show an operation"""
    return found(commands.show(world(), path.id))


@api.post("/<id>/cancel", responses=answers(202, Accepted, 403, 404, 409))
def cancel_operation(path: Id) -> Response:
    """Cancel this operation, and no other that may have followed it"""
    return accepted(cancelling.cancel_operation(world(), actor(), path.id))


@api.get("/<id>/events", responses=answers(200, _STREAM, 404, 503))
def follow_operation(path: Id, query: Resume, header: LastEvent) -> Response:
    """Follow an operation's progress as server-sent events"""
    after = query.after if header.seen is None else header.seen
    return sse.response(world(), path.id, after, streams(current_app), sse.gone())
