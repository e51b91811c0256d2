"""Server-sent events, resumable by `Last-Event-ID`: the progress of one operation, or what another feed gives.

Under waitress an open stream holds a thread for as long as it is open. So the number of streams is capped below the
number of threads, and who comes later is told to come again (503); short requests always find a thread.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from flask import Response, request
from pydantic import BaseModel

from orchestrator.commands import World, operations
from orchestrator.domain.errors import Unavailable

KEEP_ALIVE_S = 10  # shorter than what proxies and clients take for a dead connection (often 30 s)


class Streams:
    """How many streams may be open at once. `close()` lets all of them end, when the server is about to."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._slots = threading.BoundedSemaphore(limit)
        self._closing = threading.Event()

    @property
    def closing(self) -> bool:
        """Whether open streams should end."""
        return self._closing.is_set()

    def enter(self) -> None:
        """Take a place. Raises Unavailable when there is none; whoever entered calls `leave` once."""
        if self.closing:
            raise Unavailable("too-many-streams", "Brinepool is about to stop; try again in a moment.")
        if not self._slots.acquire(blocking=False):
            sentence = f"{self.limit} progress streams are open already; try again in a moment."
            raise Unavailable("too-many-streams", sentence)

    def leave(self) -> None:
        """Give the place back."""
        self._slots.release()

    def close(self) -> None:
        """Let every stream end; each notices within about a second."""
        self._closing.set()


def response(world: World, operation_id: str, after: int, streams: Streams, gone: Callable[[], bool]) -> Response:
    """The stream of an operation's progress after `after`. `gone`: whether the client has hung up.

    Raises NotFound for an unknown operation and Unavailable when too many streams are open.
    """
    operations.show(world, operation_id)
    return stream(_progress(world, operation_id, after), streams, gone)


def stream(feed: Iterable[str | None], streams: Streams, gone: Callable[[], bool]) -> Response:
    """A stream of what `feed` gives: events, and None at least every second when there is nothing to tell.

    `gone`: whether the client has hung up. Raises Unavailable when too many streams are open.
    """
    streams.enter()
    answer = Response(_sent(feed, lambda: streams.closing or gone()))
    # Not in the generator's `finally`: one that was never started runs none.
    answer.call_on_close(streams.leave)
    answer.headers["Content-Type"] = "text/event-stream; charset=utf-8"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def gone() -> Callable[[], bool]:
    """Whether the client of this request hung up; waitress knows, other servers are asked by writing to them."""
    return cast("Callable[[], bool]", request.environ.get("waitress.client_disconnected", lambda: False))


def event(data: BaseModel, seq: int | None = None, name: str = "") -> str:
    """One event: `data` as JSON, under `seq` if a client may come back for what is behind it."""
    head = (f"event: {name}\n" if name else "") + (f"id: {seq}\n" if seq is not None else "")
    return f"{head}data: {data.model_dump_json()}\n\n"


def _sent(feed: Iterable[str | None], stop: Callable[[], bool]) -> Iterator[str]:
    yield "retry: 1000\n\n"
    last_sent = time.monotonic()
    for item in feed:
        if stop():
            return
        if item is not None:
            yield item
        elif time.monotonic() - last_sent >= KEEP_ALIVE_S:
            yield ": still here\n\n"
        else:
            continue
        last_sent = time.monotonic()


def _progress(world: World, operation_id: str, after: int) -> Iterator[str | None]:
    """An operation's progress; the last event is the operation as it ended. Who got that need not come back."""
    for step in operations.follow(world, operation_id, after):
        yield None if step is None else event(step, step.seq)
    operation = operations.show(world, operation_id)
    if operation.state.ended:
        yield event(operation, name="end")
