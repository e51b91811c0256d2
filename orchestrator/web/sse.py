"""Server-sent events: the progress of one operation, resumable by `Last-Event-ID`.

Under waitress an open stream holds a thread for as long as it is open. So the number of streams is capped below the
number of threads, and who comes later is told to come again (503); short requests always find a thread.
"""

import threading
import time
from collections.abc import Callable, Iterator

from flask import Response

from orchestrator.commands import World, operations
from orchestrator.commands.views import ProgressView
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
        if self.closing or not self._slots.acquire(blocking=False):
            raise Unavailable(
                "too-many-streams",
                f"{self.limit} progress streams are open already; try again in a moment, or ask for the operation.",
            )

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
    streams.enter()
    answer = Response(_events(world, operation_id, after, lambda: streams.closing or gone()))
    # Not in the generator's `finally`: one that was never started runs none.
    answer.call_on_close(streams.leave)
    answer.headers["Content-Type"] = "text/event-stream; charset=utf-8"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _events(world: World, operation_id: str, after: int, stop: Callable[[], bool]) -> Iterator[str]:
    yield "retry: 1000\n\n"
    last_sent = time.monotonic()
    for step in operations.follow(world, operation_id, after):
        if stop():
            return
        if step is not None:
            yield _event(step)
        elif time.monotonic() - last_sent >= KEEP_ALIVE_S:
            yield ": still here\n\n"
        else:
            continue
        last_sent = time.monotonic()
    yield _end(world, operation_id)


def _event(step: ProgressView) -> str:
    return f"id: {step.seq}\ndata: {step.model_dump_json()}\n\n"


def _end(world: World, operation_id: str) -> str:
    """The last event: the operation as it ended. A client that got it need not come back."""
    operation = operations.show(world, operation_id)
    return f"event: end\ndata: {operation.model_dump_json()}\n\n" if operation.state.ended else ""
