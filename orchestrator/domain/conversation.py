"""What is kept of conversations: accounts, questions, live cards, and who said what with which outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True)
class Place:
    """A room of a chat service by the service's own id; written as `slack:C024BE91L`."""

    service: str
    room: str

    def __str__(self) -> str:
        return f"{self.service}:{self.room}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """The reverse of `str`."""
        service, _, room = text.partition(":")
        return cls(service, room)


class NoticeMode(StrEnum):
    """How a person wants to be told about their environments: in the room, by name; directly as well; or not at all."""

    ROOM = "room"
    DIRECT = "direct"
    MUTE = "mute"


@dataclass(frozen=True)
class Card:
    """The message of an operation that is updated while it runs. `message` is None until it was posted; `account` is
    whoever asked for the operation there. `closed`: it shows the outcome and is not touched any more."""

    operation: str
    place: Place
    account: str
    message: str | None = None
    closed: bool = False


@dataclass(frozen=True)
class Question:
    """What one account was asked in one place. `data`: what to do with the answer, as chat/desk.py wrote it."""

    id: str
    place: Place
    account: str
    asked_at: datetime
    expires_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


class Outcome(StrEnum):
    """What became of something that was said."""

    ANSWERED = "answered"  # nothing was changed
    ACCEPTED = "accepted"  # it changes something
    ASKED = "asked"  # more has to be said first
    REFUSED = "refused"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Audit:
    """One line of the audit: who said what, through which door, where, and what became of it. `account` is
    `service:user`; `text` is masked; `code` and `reason` say why it was refused or ignored."""

    at: datetime
    door: str
    outcome: Outcome
    person: str = ""
    account: str = ""
    room: str = ""
    text: str = ""
    code: str = ""
    reason: str = ""
    operation: str | None = None
    seq: int = 0


@dataclass(frozen=True)
class ConsoleMessage:
    """A message for a person's console as it reads now. `seq` is new whenever it was changed."""

    seq: int
    at: datetime
    message: str
    thread: str
    reply: Mapping[str, Any]
