"""A desk for tests of a single adapter, without a Brinepool behind it."""

import threading
from collections.abc import Callable

from orchestrator.chat.base import Answer, Incoming
from orchestrator.chat.replies import Reply


class EchoDesk:
    """Answers every message with its text, and keeps what it was given. `answer` changes what it says."""

    def __init__(self, answer: Callable[[Incoming], Answer | None] | None = None) -> None:
        self.received: list[Incoming] = []
        self.cards: list[tuple[str, str, str, str, str]] = []
        self.answer = answer or (lambda incoming: Answer(Reply(title=f"You said: {incoming.text or incoming.answer}")))
        self._changed = threading.Condition()

    def receive(self, incoming: Incoming) -> Answer | None:
        with self._changed:
            self.received.append(incoming)
            self._changed.notify_all()
        return self.answer(incoming)

    def posted(self, operation: str, service: str, room: str, message: str, user: str) -> None:
        with self._changed:
            self.cards.append((operation, service, room, message, user))
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float = 10.0) -> bool:
        """Wait until so many messages have been received."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.received) >= count, seconds)
