"""The courier: carries notices to the chat services, and keeps the cards of running operations up to date.

A notice is durable (engine/notices.py calls `tell` until it is told); progress is not: what was missed is in the next
one. A card is edited by one thread at a time, and never again after it shows the outcome.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from orchestrator.commands import World, operations, people
from orchestrator.commands.views import Accepted
from orchestrator.domain.conversation import Card, NoticeMode, Place
from orchestrator.domain.environment import Event, Operation
from orchestrator.domain.errors import BrinepoolError, Unavailable
from orchestrator.domain.notices import Destination, Notice, home, notice_of

from . import cards, notes
from .base import CONSOLE, ChatAdapter, RateLimited, Undeliverable
from .progress import Board
from .replies import Reply

log = logging.getLogger(__name__)

NOT_POSTED_YET_S = 0.2  # a notice waits so long for the message of a card that is being posted
CARD_PATIENCE_S = 30.0  # and no longer than this in all: then whoever was to post it is gone
LONGEST_PAUSE_S = 60.0
SHORT_S = 0.2  # a slot of a room that comes so soon is waited for here, a later one by the notice
IDLE_S = 1.0


class Courier:
    """The contract of `services`, `accounts` and `tell` is `ports.Chats`'s.

    They work before `start` too: a notice that an earlier process left is tried again as soon as the engine launches,
    and waits while its service is not there.
    """

    def __init__(
        self, world: World, adapters: Sequence[ChatAdapter], is_first: Callable[[], bool] = lambda: True
    ) -> None:
        """`is_first`: whether this process is the one of several that shows progress; notices any of them tells."""
        self._world, self._is_first = world, is_first
        self._adapters: Mapping[str, ChatAdapter] = {adapter.service: adapter for adapter in adapters}
        self._locks = {adapter.service: threading.Lock() for adapter in adapters}
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def services(self) -> Sequence[str]:
        """The port's `services`."""
        return tuple(self._adapters)

    def start(self) -> None:
        """Begin to keep cards up to date, in a thread for each service."""
        for adapter in self._adapters.values():
            thread = threading.Thread(target=self._watch, args=(adapter,), name=f"cards-{adapter.service}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the threads."""
        self._ending.set()
        self._world.hub.notify()
        for thread in self._threads:
            thread.join(5.0)

    def accounts(self, person: str, always: bool = False) -> Sequence[tuple[str, str]]:
        """The port's `accounts`: the first account in a service that is configured, else their console."""
        with self._world.store.transaction() as ledger:
            if not always and ledger.chat.notices_of(person) is not NoticeMode.DIRECT:
                return []
            known = [each for each in people.accounts(self._world, ledger, person) if each[0] in self._adapters]
        return known[:1] or ([(CONSOLE, person)] if CONSOLE in self._adapters else [])

    # Notices

    def tell(self, seq: int, destination: Destination) -> float | None:
        """The port's `tell`."""
        with self._world.store.transaction() as ledger:
            event = ledger.event(seq)
            operation = ledger.operation(event.operation) if event and event.operation else None
        notice = notice_of(event, operation) if event else None
        if event is None or notice is None:
            return None
        return self._patiently(event.at, destination, lambda: self._tell(event, operation, notice, destination))

    def report(self, run: str, destination: Destination) -> float | None:
        """The port's `report`."""
        with self._world.store.transaction() as ledger:
            found = ledger.reaper.run(run)
        data = (found.result or {}).get("reports", {}).get(str(destination)) if found else None
        if found is None or data is None:
            return None
        return self._patiently(found.started_at, destination, lambda: self._report(destination, data))

    def _report(self, destination: Destination, data: Mapping[str, Any]) -> float | None:
        adapter = self._adapters[destination.service]
        room = _room(adapter, destination)
        return None if room is None else self._post(adapter, room, notes.report(data, self._world.clock.now()))

    def _patiently(self, since: datetime, destination: Destination, tell: Callable[[], float | None]) -> float | None:
        """What `tell` returns; when the service is away, in how many seconds to try again."""
        try:
            return tell()
        except RateLimited as limited:
            return limited.retry_after
        except Unavailable as error:
            age = (self._world.clock.now() - since).total_seconds()
            log.info("%s: a notice waits: %s", destination, error.message)
            return min(LONGEST_PAUSE_S, max(1.0, age / 10))
        except BrinepoolError as error:
            log.warning("%s: a notice will never arrive: %s", destination, error.message)
            return None

    def _tell(
        self, event: Event, operation: Operation | None, notice: Notice, destination: Destination
    ) -> float | None:
        adapter = self._adapters[destination.service]
        room = _room(adapter, destination)
        asked_in = operation.actor.room if operation else None
        if room is None or (destination.name and asked_in == str(Place(adapter.service, room))):
            return None  # there is no such room in this service; or it is told in its own right, as the one asked in
        if destination.account and self._is_told_anyway(event, operation, Place(adapter.service, room)):
            return None
        place = Place(adapter.service, room)
        if operation is None:
            return self._of_environment(adapter, room, event, notice)
        seen = operations.look(self._world, operation.id)
        if notice is Notice.CREATED:
            return self._post(adapter, room, notes.begun(seen))
        if destination.room and asked_in == str(place):
            return self._close(adapter, place, event, seen)
        return self._post(adapter, room, notes.ended(seen))

    def _is_told_anyway(self, event: Event, operation: Operation | None, place: Place) -> bool:
        """Whether the place where somebody is told directly is one that is told as a room."""
        with self._world.store.transaction() as ledger:
            found = (
                ledger.environment_by_id(operation.environment) if operation else ledger.environment(event.environment)
            )
        if found is None:
            return False
        template = self._world.templates.current().templates.get(found.template)
        asked_in = operation.actor.room if operation else None
        return str(place) == asked_in or Destination(place.service, room=place.room) in home(
            found, template, self.services
        )

    def _of_environment(self, adapter: ChatAdapter, room: str, event: Event, notice: Notice) -> float | None:
        """A warning counts from when it has arrived."""
        reply, owner = notes.of_environment(self._world, event, notice)
        if notice is Notice.EXPIRING and adapter.abilities.mentions:
            reply = reply.model_copy(update={"mention": self._accounts_in(adapter.service, owner)})
        if (wait := self._post(adapter, room, reply)) is not None:
            return wait
        if notice is Notice.EXPIRING:
            with self._world.store.transaction() as ledger:
                ledger.reaper.delivered(event.seq, self._world.clock.now())
        return None

    def _accounts_in(self, service: str, person: str) -> tuple[str, ...]:
        with self._world.store.transaction() as ledger:
            known = people.accounts(self._world, ledger, person)
        return tuple(account for where, account in known if where == service)[:1]

    def _close(self, adapter: ChatAdapter, place: Place, event: Event, seen: Accepted) -> float | None:
        """The operation has ended: its card becomes the outcome, and whoever asked is mentioned below it."""
        operation = seen.operation.id
        with self._world.store.transaction() as ledger:
            card = ledger.chat.card(operation, place)
        if card is None:
            return self._post(adapter, place.room, notes.ended(seen))
        if card.message is None:
            if (self._world.clock.now() - event.at).total_seconds() < CARD_PATIENCE_S:
                return NOT_POSTED_YET_S
            self._change(card, closed=True)
            return self._post(adapter, place.room, notes.ended(seen))
        reply = cards.outcome(seen)
        mention = self._mention(adapter, card, seen)
        if not adapter.abilities.edits:
            reply = reply.model_copy(update={"mention": mention})
        if not card.closed and (wait := self._show_outcome(adapter, card, reply)):
            return wait
        return self._below(adapter, card, reply, mention, seen)

    def _show_outcome(self, adapter: ChatAdapter, card: Card, reply: Reply) -> float | None:
        """The last edit of a card. → seconds to wait when the room's slot has not come; None when it was made."""
        room, message = card.place.room, card.message or ""
        with self._locks[adapter.service]:
            if (wait := adapter.pace.wait(room)) > SHORT_S:
                return wait
            self._pause(adapter.pace.reserve(room))
            try:
                adapter.edit(room, message, reply)
            except Undeliverable:  # somebody deleted the card
                adapter.post(room, reply)
            self._change(card, closed=True)
        return None

    def _below(
        self, adapter: ChatAdapter, card: Card, reply: Reply, mention: tuple[str, ...], seen: Accepted
    ) -> float | None:
        """In the card's thread: the mention, which an edit would not notify, and the details."""
        if not adapter.abilities.edits:
            return None
        below = notes.below(seen, reply, mention, details=adapter.abilities.threads)
        if below is None:
            return None
        thread = card.message if adapter.abilities.threads and card.message else ""
        return self._post(adapter, card.place.room, below, thread)

    def _mention(self, adapter: ChatAdapter, card: Card, seen: Accepted) -> tuple[str, ...]:
        with self._world.store.transaction() as ledger:
            muted = ledger.chat.notices_of(seen.operation.actor) is NoticeMode.MUTE
        return () if muted or not adapter.abilities.mentions else (card.account,)

    def _post(self, adapter: ChatAdapter, room: str, reply: Reply, thread: str = "") -> float | None:
        """→ seconds to wait when the room's slot has not come; None when it was posted."""
        if (wait := adapter.pace.wait(room)) > SHORT_S:
            return wait
        self._pause(adapter.pace.reserve(room))
        adapter.post(room, reply, thread)
        return None

    # Progress

    def _watch(self, adapter: ChatAdapter) -> None:
        board, hub = Board(self._world), self._world.hub
        while not self._ending.is_set():
            seen = hub.count
            try:
                if self._is_first():
                    self._refresh(adapter, board)
            except Exception:
                log.exception("%s: cards could not be brought up to date; trying again", adapter.service)
            self._pause(adapter.abilities.interval_s / 2)
            hub.wait(seen, IDLE_S)

    def _refresh(self, adapter: ChatAdapter, board: Board) -> None:
        """Each open card whose turn it is, the longest waiting first."""
        with self._world.store.transaction() as ledger:
            open_cards = ledger.chat.open_cards(adapter.service)
        for card in board.in_turn(open_cards):
            if self._ending.is_set():
                return
            if (reply := board.news(card)) is not None and adapter.pace.free_for_edit(card.place.room):
                self._edit(adapter, card, reply, board)

    def _edit(self, adapter: ChatAdapter, card: Card, reply: Reply, board: Board) -> None:
        with self._locks[adapter.service]:
            with self._world.store.transaction() as ledger:
                now = ledger.chat.card(card.operation, card.place)
            if now is None or now.closed or now.message is None:
                return
            try:
                adapter.edit(card.place.room, now.message, reply)
                board.shown(card, reply)
                self._mend(adapter, card)
            except RateLimited as limited:
                adapter.pace.hold(limited.retry_after)
            except Undeliverable as error:
                log.info("%s: the card of %s is gone: %s", adapter.service, card.operation, error.message)
                board.shown(card, reply)
            except Unavailable:
                adapter.pace.hold(1.0)

    def _mend(self, adapter: ChatAdapter, card: Card) -> None:
        """Show the outcome again if another process has shown it while this one was about to show progress."""
        with self._world.store.transaction() as ledger:
            now = ledger.chat.card(card.operation, card.place)
        if adapter.abilities.edits and now is not None and now.closed and now.message is not None:
            adapter.edit(card.place.room, now.message, cards.outcome(operations.look(self._world, card.operation)))

    # Helpers

    def _change(self, card: Card, **changes: object) -> None:
        with self._world.store.transaction() as ledger:
            ledger.chat.change_card(card.operation, card.place, **changes)

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._ending.wait(seconds)


def _room(adapter: ChatAdapter, destination: Destination) -> str | None:
    if destination.account:
        return adapter.direct(destination.account)
    return destination.room or adapter.room(destination.name)
