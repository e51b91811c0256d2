"""Follow an operation to its end, whatever happens to the connection on the way."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.commands.views import OperationView, ProgressView
from orchestrator.domain.errors import Unavailable

from .client import Client, path

PATIENCE_S = 300  # a restart of the server takes seconds; a machine that reboots, minutes
PAUSE_S = 1  # between two attempts; what the server asks for with `retry:`


@dataclass(frozen=True)
class Interruption:
    """The connection was lost and is being tried again; `sentence` says so."""

    sentence: str


def follow(client: Client, operation_id: str) -> Iterator[ProgressView | Interruption | OperationView]:
    """Every step from the first one, each once, and the operation itself as the last item when it has ended.

    A stream that breaks off is resumed after the last step that was seen. Raises Unavailable when the server stays
    away for five minutes, and what else its answer stands for at once.
    """
    seen = 0
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            for step in _stream(client, operation_id, seen):
                deadline = time.monotonic() + PATIENCE_S
                yield step
                if isinstance(step, OperationView):
                    return
                seen = step.seq
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            if error.code == "too-many-streams" and (ended := _ended(client, operation_id)):
                yield ended
                return
            yield Interruption(error.message)
        time.sleep(PAUSE_S)


def _stream(client: Client, operation_id: str, after: int) -> Iterator[ProgressView | OperationView]:
    for event in client.stream(path("operations", operation_id, "events"), after):
        if event.event == "end":
            yield OperationView.model_validate_json(event.data)
            return
        yield ProgressView.model_validate_json(event.data)


def _ended(client: Client, operation_id: str) -> OperationView | None:
    """The operation if it has ended, asked for without a stream."""
    operation = client.one(OperationView, path("operations", operation_id))
    return operation if operation.state.ended else None
