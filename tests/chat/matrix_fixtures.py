"""A leg of Matrix, a desk, and the adapter at work: fixtures for tests of the Matrix adapter alone."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orchestrator.chat.matrix import Matrix
from tests.peers.synapse import Synapse, synapse

from .desks import EchoDesk
from .leg import SHOP
from .matrix_leg import MatrixLeg

__all__ = ["adapter", "desk", "leg", "synapse"]

T = TypeVar("T")


def until(look: Callable[[], T], seconds: float = 15.0) -> T:
    """Wait until this is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


@pytest.fixture
def leg(synapse: Synapse, tmp_path: Path) -> Iterator[MatrixLeg]:
    made = MatrixLeg(synapse, tmp_path)
    yield made
    made.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("matrix")]


@pytest.fixture
def desk() -> EchoDesk:
    return EchoDesk()


def begin(adapter: Matrix, desk: EchoDesk) -> Matrix:
    adapter.start(desk)
    until(lambda: adapter.problem() is None)
    return adapter


@pytest.fixture
def adapter(leg: MatrixLeg, desk: EchoDesk) -> Matrix:
    return begin(leg.adapter, desk)


def restarted(leg: MatrixLeg, desk: EchoDesk, **changes: Any) -> Matrix:
    leg.adapter.stop()
    leg.adapter = leg.another_adapter(**changes)
    return begin(leg.adapter, desk)


def texts(leg: MatrixLeg, room: str = SHOP) -> list[str]:
    return [shown.text for shown in leg.shown(room)]


def reactions(leg: MatrixLeg, message: str) -> list[str]:
    """The keys of the bot's reactions to a message, as they are now."""
    events = leg.people["ada"].events(leg.rooms[SHOP], "m.reaction")
    found = [event["content"].get("m.relates_to", {}) for event in events if event["sender"] == leg.bot.user]
    return [relation["key"] for relation in found if relation.get("event_id") == message]
