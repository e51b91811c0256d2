"""A chat service in memory, for tests of the desk and the courier; it misbehaves by name."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.chat.base import Abilities, ChatAdapter, Desk, Incoming, RateLimited, Room, Undeliverable
from orchestrator.chat.replies import Reply
from orchestrator.domain.errors import Unavailable

SHOP = Room("C1", "shop-dev")
LOUNGE = Room("C2", "lounge")
SECONDS = 20.0


@dataclass
class Message:
    """A message of ours: every reply it has shown, oldest first."""

    id: str
    room: str
    thread: str
    replies: list[Reply] = field(default_factory=list)

    @property
    def now(self) -> Reply:
        return self.replies[-1]


class MemoryChat(ChatAdapter):
    """Two rooms and everybody's direct one. `down`: it answers nobody; `limits`: how many calls are told to pause."""

    def __init__(self, service: str = "memory", abilities: Abilities | None = None) -> None:
        self.service = service
        self.abilities = abilities or Abilities(interval_s=0.0, edits_per_minute=60_000)
        self.rooms = {room.name: room.id for room in (SHOP, LOUNGE)}
        self.messages: dict[str, Message] = {}
        self.down = False
        self.limits = 0
        self.gone: set[str] = set()
        self._desk: Desk | None = None
        self._said = 0
        self._changed = threading.Condition()

    # The adapter

    def start(self, desk: Desk) -> None:
        self._desk = desk

    def stop(self) -> None:
        self._desk = None

    def post(self, room: str, reply: Reply, thread: str = "") -> str:
        with self._changed:
            self._check(room)
            message = Message(f"m{len(self.messages) + 1}", room, thread, [reply])
            self.messages[message.id] = message
            self._changed.notify_all()
        return message.id

    def edit(self, room: str, message: str, reply: Reply) -> None:
        with self._changed:
            self._check(room)
            if message not in self.messages:
                raise Undeliverable("message-gone", "Somebody deleted that message.")
            self.messages[message].replies.append(reply)
            self._changed.notify_all()

    def direct(self, user: str) -> str:
        return f"D-{user}"

    def room(self, name: str) -> str | None:
        with self._changed:
            self._check("")
            return self.rooms.get(name)

    def _check(self, room: str) -> None:
        if self.down:
            raise Unavailable("chat-down", "The chat service does not answer.")
        if self.limits:
            self.limits -= 1
            raise RateLimited(0.05)
        if room in self.gone:
            raise Undeliverable("room-gone", "There is no such room.")

    # Its people

    def say(self, user: str, text: str, room: Room = SHOP, **more: object) -> None:
        """Somebody says something, and it is answered when this returns."""
        self._said += 1
        incoming = Incoming(self.service, user, room, text, **{"message": f"s{self._said}", **more})  # type: ignore[arg-type]
        assert self._desk is not None
        self.answer(self._desk, incoming)

    def directly(self, user: str, text: str, **more: object) -> None:
        """The same in a direct conversation."""
        self.say(user, text, Room(f"D-{user}", direct=True), **more)

    def pick(self, user: str, label: str, room: Room = SHOP) -> None:
        """A click on an option of the newest message that has it."""
        found = [
            option for message in self.messages.values() for option in message.now.options if option.label == label
        ]
        self.say(user, "", room, answer=found[-1].value)

    def shown(self, room: Room | str = SHOP) -> list[Message]:
        """Our messages in a room, oldest first."""
        where = room if isinstance(room, str) else room.id
        with self._changed:
            return [message for message in self.messages.values() if message.room == where]

    def last(self, room: Room | str = SHOP) -> Reply:
        """The newest message in a room as it reads now."""
        return self.shown(room)[-1].now

    def wait_for(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Wait until something is so; anything that is posted or edited is a reason to look."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), [m.now.title for m in self.messages.values()]
