"""What a chat adapter is: one file for each chat service, behind one base class whose docstrings are the contract.

tests/contract/test_chat_contract.py runs against every adapter, with its real peer where one can be had.
"""

import logging
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from flask import Blueprint

from orchestrator.domain.errors import BrinepoolError, Unavailable

from .pace import Pace
from .replies import Reply

log = logging.getLogger(__name__)

CONSOLE = "console"  # the one service of our own: the command line's, so no template restricts what is said there
ANSWER_ATTEMPTS = 5


@dataclass(frozen=True)
class Room:
    """Where something was said. `id`: the service's own. `name`: as people and templates write it, without `#`; empty
    when it has none. `direct`: nobody else reads it."""

    id: str
    name: str = ""
    direct: bool = False


@dataclass(frozen=True)
class Incoming:
    """Something that was said to us: addressed to the bot, or in a direct conversation.

    `user`: the service's own id of the account (never a display name). `text`: what was typed, without the bot's name.
    `message`: the service's id of this message; one that was seen already is ignored. `email`: only when the service
    vouches that the account's owner has verified it. `answer`: the `value` of an option that was clicked; `text` is
    empty then. `edited`: an earlier message whose text was changed. `bot`: another program said it.
    """

    service: str
    user: str
    room: Room
    text: str
    message: str = ""
    thread: str = ""
    name: str = ""
    email: str = ""
    answer: str = ""
    edited: bool = False
    bot: bool = False


@dataclass(frozen=True)
class Answer:
    """What the desk says to something. `operation`: the reply is the live card of this operation: whoever posted it
    tells `Desk.posted`, and the card is edited from then on until the operation has ended. `done`: False when nothing
    came of it, because it was refused or not understood, or something is asked first (a script's exit code)."""

    reply: Reply
    operation: str | None = None
    done: bool = True


class Desk(Protocol):
    """Who understands what people say; the same for every adapter (chat/desk.py)."""

    def receive(self, incoming: Incoming) -> Answer | None:
        """Do what was asked for and say what is to be answered; None when nothing is (ignored, and written down).

        Never raises for what a person can cause. May take seconds (a git server is asked for branches).
        """

    def posted(self, operation: str, service: str, room: str, message: str, user: str) -> None:
        """The card of `operation`, asked for by account `user`, was posted as `message` in `room`."""


class RateLimited(Unavailable):
    """The service wants a pause of `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("chat-rate-limited", f"The chat service wants a pause of {retry_after:g} s.")
        self.retry_after = retry_after


class Undeliverable(BrinepoolError):
    """It will never arrive: there is no such room, message or account, or we are not in it. Trying again is no use."""


@dataclass(frozen=True)
class Abilities:
    """What the service can do.

    `mentions`: somebody can be notified by name. `interval_s`: the least time between two messages or edits in one room
    that it allows for long. `edits_per_minute`: how many edits it allows in all rooms together.
    """

    edits: bool = True
    buttons: bool = True
    threads: bool = True
    mentions: bool = True
    interval_s: float = 1.0
    edits_per_minute: float = 600.0


class ChatAdapter(ABC):
    """One chat service.

    An adapter turns what people say into `Incoming`, calls the desk, and renders `Reply`. It knows nothing of
    environments. It is made without connecting; `start` connects. Methods may be called from several threads, and
    before `start` or while the service is away they raise Unavailable.

    Whoever calls `post` and `edit` keeps to `abilities.interval_s`; the adapter passes on what the service says when it
    was too much. Calls are made once: the caller repeats them.
    """

    service: str
    abilities: Abilities = Abilities()

    @abstractmethod
    def start(self, desk: Desk) -> None:
        """Connect and begin to listen, in threads of its own; returns at once, also when the service does not answer.

        Reconnects by itself. What arrives is acknowledged at once, and handed to the desk outside of the thread that
        listens.
        """

    @abstractmethod
    def stop(self) -> None:
        """Disconnect, and end every thread. Safe to repeat, and before `start`."""

    @abstractmethod
    def post(self, room: str, reply: Reply, thread: str = "") -> str:
        """Say something in the room with this id (or below the message `thread`) → the id of the new message.

        Raises RateLimited, Unavailable (try again later) or Undeliverable (never). `reply.details` are not posted:
        the caller posts them with `thread`. Not idempotent.
        """

    @abstractmethod
    def edit(self, room: str, message: str, reply: Reply) -> None:
        """Replace a message that `post` returned. Idempotent. Raises as `post` does.

        A service that cannot edit (`abilities.edits`) says something new instead when the reply's tone is final, and
        nothing while it is WORKING.
        """

    @abstractmethod
    def direct(self, user: str) -> str:
        """The id of the room in which one talks to this account alone. Raises as `post` does."""

    @abstractmethod
    def room(self, name: str) -> str | None:
        """The id of the room that people and templates call `name` (without `#`); None when there is none that we can
        post to. Names are compared so that nobody can make a room that passes for another one. Raises Unavailable."""

    def blueprint(self) -> Blueprint | None:
        """Paths over which the service calls us, or None. They check every request themselves (its signature, its
        age, that it is new); the token that the rest of the HTTP door wants is not asked for there."""
        return None

    def problem(self) -> str | None:
        """A sentence when the service is not reached now, for `brine status` and /readyz; None when all is well."""
        return None

    @cached_property
    def pace(self) -> Pace:
        """What is allowed when. Everybody who calls `post` and `edit` asks it first."""
        return Pace(self.abilities.interval_s, 60 / self.abilities.edits_per_minute)

    def answer(self, desk: Desk, incoming: Incoming) -> None:
        """Let the desk do what was asked for, and post what it says. For adapters to call in a thread of theirs.

        What cannot be posted is given up after a few attempts, and logged: what was done stays done, and how it ends is
        told by a notice.
        """
        answer = desk.receive(incoming)
        if answer is None:
            return
        message = self._say(incoming, answer.reply)
        if answer.operation and message:
            desk.posted(answer.operation, self.service, incoming.room.id, message, incoming.user)

    def _say(self, incoming: Incoming, reply: Reply) -> str | None:
        for _ in range(ANSWER_ATTEMPTS):
            try:
                room = incoming.room.id
                if reply.private and not incoming.room.direct:
                    room = self.direct(incoming.user)
                self._pause(self.pace.reserve(room))
                return self.post(room, reply, incoming.thread if room == incoming.room.id else "")
            except RateLimited as limited:
                self._pause(limited.retry_after)
            except BrinepoolError as error:
                log.warning("%s: an answer in %s was not posted: %s", self.service, incoming.room.id, error.message)
                return None
        return None

    def _pause(self, seconds: float) -> None:
        """A pause that the service asked for."""
        if seconds > 0:
            threading.Event().wait(seconds)
