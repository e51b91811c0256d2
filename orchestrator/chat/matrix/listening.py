"""From what a Matrix homeserver tells to what was said to us."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from orchestrator.chat.base import Incoming, Undeliverable
from orchestrator.domain.errors import BrinepoolError

from . import html
from .account import Tasks
from .events import Me, Reacted, Said, heard, joined_at, root_of
from .rooms import Rooms
from .session import Session, until_it_works

_log = logging.getLogger(__name__)


class Listening:
    """Turns events into `Incoming`, those of one person in one room in the order in which they were said.

    `tell`: is given each one, and returns when it has been answered. `encrypted`: is told of a room in which somebody
    said something that we cannot read. `bots`: other programs' accounts. `welcome`: homeservers whose accounts may
    invite us.
    """

    def __init__(
        self,
        session: Session,
        rooms: Rooms,
        tell: Callable[[Incoming], Awaitable[None]],
        encrypted: Callable[[str], Awaitable[None]],
        bots: Collection[str],
        welcome: Collection[str],
    ) -> None:
        self._session, self._rooms = session, rooms
        self._tell, self._encrypted = tell, encrypted
        self._bots, self._welcome = bots, welcome
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._old_invitations: set[str] = set()

    async def hear(self, answer: Any, since: str | None) -> Tasks:
        """What one sync told. The very first tells of the past: of that, only invitations still count."""
        for room in answer.rooms.leave:
            self._session.rooms.pop(room, None)
        if since is None:
            self._old_invitations |= set(answer.rooms.invite)
        tasks = [self._session.spawn(self._accept(room)) for room in answer.rooms.invite]
        for room, told in answer.rooms.join.items():
            new = await self._since(since, room, told.timeline) if since else self._recent(told.timeline)
            tasks += [self._session.spawn(self._attend(room, event)) for event in new]
        return tasks

    async def _since(self, since: str, room: str, timeline: Any) -> list[dict[str, Any]]:
        """The events that count. A homeserver sends the last few only, and those from before we came as well."""
        events = [event.source for event in timeline.events]
        if timeline.limited and timeline.prev_batch:
            try:
                events = await self._session.past(room, timeline.prev_batch, since) + events
            except Undeliverable as error:
                _log.warning("What was said before in %s cannot be read: %s", room, error.detail)
        first = joined_at(events, self._session.account.user, invited=room not in self._old_invitations)
        return events[first or 0 :]

    def _recent(self, timeline: Any) -> list[dict[str, Any]]:
        """Events since we were started for the first time. By their age, which needs no clock that is the server's."""
        ours = (time.monotonic() - self._session.started) * 1000
        return [event.source for event in timeline.events if event.source.get("unsigned", {}).get("age", ours) < ours]

    async def _accept(self, room: str) -> None:
        inviter = self._session.inviter(room)
        if inviter.partition(":")[2] not in self._welcome:
            _log.warning("An invitation of %s to %s is not accepted: it comes from another homeserver.", inviter, room)
            return
        try:
            await self._session.keep_asking(lambda client: client.join(room), room)
        except Undeliverable as error:
            _log.warning("The room %s cannot be joined: %s", room, error.detail)

    async def _attend(self, room: str, event: dict[str, Any]) -> None:
        if event.get("type") == "m.room.encrypted":
            if event.get("sender") != self._session.account.user:
                await self._encrypted(room)
            return
        what = heard(event, self._me(room), self._rooms.is_direct(room))
        if what is None:
            return
        turn = self._turns.setdefault((room, what.user), asyncio.Lock())
        async with turn:
            try:
                incoming = await self._incoming(room, what)
                if incoming:
                    await self._tell(incoming)
            except BrinepoolError as error:
                _log.warning("%s in %s is passed over: %s", what.id, room, error.detail or error.message)

    async def _incoming(self, room: str, what: Said | Reacted) -> Incoming | None:
        """None for a reaction that means nothing."""
        plain = Incoming(
            "matrix",
            what.user,
            await until_it_works(lambda: self._rooms.described(room)),
            text="",
            message=what.id,
            name=self._rooms.name_of(room, what.user),
            bot=what.user in self._bots,
        )
        if isinstance(what, Said):
            return replace(plain, text=what.text, thread=what.thread, edited=what.edited, bot=what.bot or plain.bot)
        target = (await self._session.keep_asking(lambda client: client.room_get_event(room, what.to), room)).event
        button = html.pressed(target.source, what.key) if target.sender == self._session.account.user else None
        if button is None:
            return None
        command = "" if button.value else button.command
        return replace(plain, text=command, answer=button.value, thread=root_of(target.source))

    def _me(self, room: str) -> Me:
        user = self._session.account.user
        names = {user[1:].partition(":")[0], self._rooms.name_of(room, user)}
        return Me(user, tuple(names))
