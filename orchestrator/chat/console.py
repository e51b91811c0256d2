"""The console: a chat service of our own, for `brine chat`, whose server is our database.

It has one direct room for each person, whose id is the person's name, and needs no account, no network and no token of
somebody else. It is away only when the database is.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from ulid import ULID

from orchestrator.domain.conversation import ConsoleMessage
from orchestrator.ports import Ledger, Store

from .base import CONSOLE, Abilities, Answer, ChatAdapter, Desk, Incoming, Room, Undeliverable
from .console_views import ConsoleMessageView, Read, Said, Say
from .replies import Reply, Tone

LONGEST_NAME = 200  # of a person, as the database keeps it
_PAGE = 200


class News(Protocol):
    """Wakes those who wait for something new; a hint only (engine/progress.py)."""

    @property
    def count(self) -> int:
        """Take it before reading, and hand it to `wait` after."""

    def notify(self) -> None:
        """Something was written."""

    def wait(self, seen: int, seconds: float) -> bool:
        """Wait until something was written since `seen`, at most `seconds`."""


class Console(ChatAdapter):
    """The adapter, and what the HTTP paths of the console are made of."""

    service = CONSOLE
    abilities = Abilities(mentions=False, interval_s=0.5)

    def __init__(self, store: Store, hub: News) -> None:
        self._store = store
        self._hub = hub
        self._beginning: dict[str, str] = {}  # cards that are being posted: message → operation

    # --- what every adapter does

    def start(self, desk: Desk) -> None:
        """Nothing is to be connected; what people say arrives through `converse`."""

    def stop(self) -> None:
        """Nothing runs."""

    def post(self, room: str, reply: Reply, thread: str = "") -> str:
        """As the base class says; `room` is a person."""
        message = str(ULID())
        self._put(room, message, thread, reply)
        self._hub.notify()
        return message

    def edit(self, room: str, message: str, reply: Reply) -> None:
        """As the base class says. The same text again is no change."""
        with self._store.transaction() as ledger:
            known = ledger.chat.console_message(room, message)
            if known is None:
                raise Undeliverable("message-unknown", f"There is no message {message} on the console of {room}.")
            if Reply.model_validate(known.reply) == _kept(reply):
                return
            _write(ledger, room, message, known.thread, reply)
        self._hub.notify()

    def direct(self, user: str) -> str:
        """A person's only room."""
        return user

    def room(self, name: str) -> str | None:
        """There are no rooms for several people."""
        return None

    # --- what is behind the HTTP paths

    def converse(self, desk: Desk, person: str, say: Say) -> Said | None:
        """Let the desk do what `person` says → what it answered, on their console as well; None when it ignored it.

        What was answered before (`say.message`) is answered again, and not done again. It is None while the first one
        is still being worked on; the answer comes to the console.
        """
        message = _answer_to(person, say.message or str(ULID()))
        if known := self._answered(person, message):
            return known
        heard = Incoming(
            self.service, person, Room(person, direct=True), say.text, message=message, name=person, answer=say.answer
        )
        answer = desk.receive(heard)
        if answer is None:
            return self._answered(person, message)
        seq = self._post_answer(desk, person, message, answer)
        if answer.reply.details:
            self.post(person, answer.reply.details, thread=message)
        return Said(message=message, seq=seq, reply=_kept(answer.reply), operation=answer.operation, done=answer.done)

    def messages(self, person: str, after: int = 0) -> Iterator[ConsoleMessageView | None]:
        """What is on somebody's console behind `after`, and then what comes, without end.

        A message that is changed comes again, under its new `seq`; of several changes in between only the last one.
        None when everything that is there has been told, and at least every second after.
        """
        while True:
            seen = self._hub.count
            with self._store.transaction() as ledger:
                news = ledger.chat.on_console(person, after, _PAGE)
                cards = self._cards(ledger) if news else {}
            for message in news:
                after = message.seq
                yield _view(message, cards)
            if len(news) < _PAGE:
                yield None
                # The hub wakes at once what this process wrote; the second is for what another process wrote.
                self._hub.wait(seen, 1.0)

    def read(self, person: str) -> Read:
        """How far somebody has read."""
        with self._store.transaction() as ledger:
            seq = ledger.chat.cursor(_marker(person)) or 0
            return Read(person=person, seq=seq, unread=bool(ledger.chat.on_console(person, seq, 1)))

    def have_read(self, person: str, seq: int) -> None:
        """Somebody has read everything up to `seq`; it is never taken back."""
        with self._store.transaction() as ledger:
            if seq > (ledger.chat.cursor(_marker(person)) or 0):
                ledger.chat.move_cursor(_marker(person), seq)

    def _post_answer(self, desk: Desk, person: str, message: str, answer: Answer) -> int:
        """→ its `seq`. Nobody gets to see a card before it is known as one."""
        if answer.operation:
            self._beginning[message] = answer.operation
        try:
            seq = self._put(person, message, "", answer.reply).seq
            if answer.operation:
                desk.posted(answer.operation, self.service, person, message, person)
        finally:
            self._beginning.pop(message, None)
        self._hub.notify()
        return seq

    def _put(self, person: str, message: str, thread: str, reply: Reply) -> ConsoleMessage:
        if not 0 < len(person) <= LONGEST_NAME:
            raise Undeliverable("person-unknown", "Nobody has such a name, so there is no such console.")
        with self._store.transaction() as ledger:
            return _write(ledger, person, message, thread, reply)

    def _answered(self, person: str, message: str) -> Said | None:
        """What was answered as `message`, as it reads now."""
        with self._store.transaction() as ledger:
            known = ledger.chat.console_message(person, message)
            if known is None:
                return None
            view = _view(known, self._cards(ledger))
        done = view.reply.tone is not Tone.QUESTION  # all that can still be told
        return Said(message=message, seq=view.seq, reply=view.reply, operation=view.operation, done=done)

    def _cards(self, ledger: Ledger) -> Mapping[str, str]:
        """The messages that change as an operation goes on: message → operation."""
        kept = {card.message: card.operation for card in ledger.chat.open_cards(self.service) if card.message}
        return kept | self._beginning


def _view(message: ConsoleMessage, cards: Mapping[str, str]) -> ConsoleMessageView:
    reply, operation = Reply.model_validate(message.reply), cards.get(message.message)
    return ConsoleMessageView(
        seq=message.seq, at=message.at, message=message.message, thread=message.thread, reply=reply, operation=operation
    )


def _write(ledger: Ledger, person: str, message: str, thread: str, reply: Reply) -> ConsoleMessage:
    ledger.chat.put_on_console(person, message, thread, _kept(reply).model_dump(mode="json"))
    written = ledger.chat.console_message(person, message)
    assert written is not None  # noqa: S101  (it was written in this transaction)
    return written


def _kept(reply: Reply) -> Reply:
    """A reply as it is kept: its details are a message of their own."""
    return reply.model_copy(update={"details": None})


def _answer_to(person: str, message: str) -> str:
    """The id of the answer to what a person sent as `message`: always the same one, and never another person's."""
    own = hashlib.sha256(f"{person}\0{message}".encode()).digest()
    return str(ULID(ULID.from_str(message).bytes[:6] + own[:10]))


def _marker(person: str) -> str:
    """The name of the cursor; hashed, because a person's name may be longer than it can be."""
    return f"read/{hashlib.sha256(person.encode()).hexdigest()[:40]}"
