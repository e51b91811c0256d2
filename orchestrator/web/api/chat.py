"""/api/v1/chat"""

from collections.abc import Iterator

from flask import Response, current_app
from pydantic import BaseModel, Field

from orchestrator.chat.console import Console
from orchestrator.chat.console_views import CAUGHT_UP, HaveRead, Read, Said, Say
from orchestrator.web import sse
from orchestrator.web.auth import actor

from .context import answers, blueprint, console, desk, found, nothing, streams

api = blueprint("chat", "Saying things to Brinepool, as in `brine chat`.")

_IGNORED = {204: {"description": "Ignored, or still being worked on; an answer then comes to the console."}}
_STREAM = {
    "description": "Each event is a ConsoleMessageView under its `seq`; a message that was changed comes again. An "
    f"event `{CAUGHT_UP}` says that all that was there has been told. Comments keep the connection alive.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


class Resume(BaseModel):
    """Where to begin: after the message with this `seq`."""

    after: int = Field(0, ge=0)


class LastEvent(BaseModel):
    """`Last-Event-ID`, as a browser sends it when it comes back; it wins over `after`."""

    seen: int | None = Field(None, alias="Last-Event-ID", ge=0)


class _CaughtUp(BaseModel):
    """Nothing more is to be said about it."""


@api.post("", responses=answers(200, Said, 503) | _IGNORED)
def say(body: Say) -> Response:
    """Say something, as it is typed in a chat"""
    said = console().converse(desk(), actor().person, body)
    return nothing() if said is None else found(said)


@api.get("/messages", responses=answers(200, _STREAM, 503))
def follow_messages(query: Resume, header: LastEvent) -> Response:
    """Follow the messages on your console as server-sent events"""
    after = query.after if header.seen is None else header.seen
    return sse.stream(_feed(console(), actor().person, after), streams(current_app), sse.gone())


@api.get("/read", responses=answers(200, Read, 503))
def show_read() -> Response:
    """Show how far you have read"""
    return found(console().read(actor().person))


@api.put("/read", responses=answers(200, Read, 503))
def have_read(body: HaveRead) -> Response:
    """Say how far you have read; what is behind it is unread in the next session"""
    console().have_read(actor().person, body.seq)
    return found(console().read(actor().person))


def _feed(console: Console, person: str, after: int) -> Iterator[str | None]:
    caught_up = False
    for message in console.messages(person, after):
        if message is not None:
            yield sse.event(message, message.seq)
        elif not caught_up:
            caught_up = True
            yield sse.event(_CaughtUp(), name=CAUGHT_UP)
        else:
            yield None
