"""Matrix rooms: what they are called, who is in them, and the one in which we talk to somebody alone."""

import asyncio
import logging
import re
import time
from typing import Any

from orchestrator.chat.base import Room, Undeliverable
from orchestrator.domain.errors import Unavailable

from .session import Session

CHECKED_S = 60.0  # for so long we know where an alias leads
_ACCOUNT = re.compile(r"@[^:\s]+:\S+")
_log = logging.getLogger(__name__)


class Rooms:
    """For the session's loop only. What it tells is as the last sync left it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._me = session.account.user
        self._server = session.account.server
        self._led: dict[str, tuple[float, str | None]] = {}
        self._begun: dict[str, str] = {}  # by account: see _fresh
        self._beginning = asyncio.Lock()

    def encrypted(self, room: str) -> bool:
        """Whether what is said there can be read by its members' devices only."""
        known = self._session.rooms.get(room)
        return bool(known and known.encrypted)

    def is_direct(self, room: str) -> bool:
        """Whether nobody but us and one other account can read it: two members, and nobody joins without invitation."""
        known = self._session.rooms.get(room)
        if room in self._fresh().values():
            return True
        if known is None:
            return False
        closed = known.join_rule == "invite" and known.history_visibility != "world_readable"
        return closed and not known.canonical_alias and known.member_count == 2

    def name_of(self, room: str, user: str) -> str:
        """How an account is called in a room."""
        known = self._session.rooms.get(room)
        return (known.user_name(user) if known else None) or user

    async def described(self, room: str) -> Room:
        """The room as the desk knows it. Raises as Session.ask does."""
        direct = self.is_direct(room)
        known = self._session.rooms.get(room)
        alias = (known.canonical_alias if known else None) or ""
        # Whoever may change a room can give it any name; only where the name leads says whose it is.
        if direct or not alias or await self._leads_to(alias) != room:
            return Room(room, direct=direct)
        local, _, server = alias.removeprefix("#").partition(":")
        return Room(room, name=local if server == self._server else f"{local}:{server}")

    async def find(self, name: str) -> str | None:
        """The room of this name that we are in. A name without a server is one of our own homeserver's."""
        local, _, server = name.removeprefix("#").partition(":")
        room = await self._leads_to(f"#{local}:{server or self._server}") if local else None
        return room if room in self._session.rooms else None

    async def direct(self, user: str) -> str:
        """The room in which we talk to an account alone; begun if there is none. Raises as Session.ask does."""
        if not _ACCOUNT.fullmatch(user):
            raise _nobody(user)
        async with self._beginning:
            marked = await self._marked()
            for room in [self._fresh().get(user, ""), *marked.get(user, []), *self._session.rooms]:
                if self._alone_with(room, user):
                    return room
            return await self._begin(user, marked)

    def _alone_with(self, room: str, user: str) -> bool:
        if room and self._fresh().get(user) == room:
            return True
        known = self._session.rooms.get(room)
        return known is not None and self.is_direct(room) and user in known.users and not known.encrypted

    def _fresh(self) -> dict[str, str]:
        """Conversations that we have begun, until all of it has come back in a sync: which may tell of half a room."""
        rooms = self._session.rooms
        self._begun = {
            user: room for user, room in self._begun.items() if room not in rooms or user not in rooms[room].users
        }
        return self._begun

    async def _begin(self, user: str, marked: dict[str, list[str]]) -> str:
        await self._look_up(user)
        made = await self._session.ask(lambda client: client.room_create(is_direct=True, invite=[user]), user)
        room = str(made.room_id)
        self._begun[user] = room
        marked = marked | {user: [*marked.get(user, []), room]}
        try:
            await self._session.raw("PUT", ["v3", "user", self._me, "account_data", "m.direct"], marked)
        except Undeliverable as error:  # it is found without the mark, too
            _log.warning("The conversation with %s could not be marked: %s", user, error.detail)
        return room

    async def _look_up(self, user: str) -> None:
        """A homeserver invites accounts that do not exist without a word."""
        try:
            await self._session.ask(lambda client: client.get_profile(user), user)
        except Undeliverable as error:
            if error.extra.get("status") == 404:
                raise _nobody(user) from error

    async def _marked(self) -> dict[str, list[str]]:
        """The rooms that our account has marked as direct, by the other account."""
        try:
            found = await self._session.raw("GET", ["v3", "user", self._me, "account_data", "m.direct"])
        except Undeliverable:
            return {}  # none yet
        lists = found.items() if isinstance(found, dict) else ()
        return {user: rooms for user, rooms in lists if isinstance(rooms, list)}

    async def _leads_to(self, alias: str) -> str | None:
        """The room that an alias leads to, as our homeserver knows or asks the alias's own."""
        now = time.monotonic()
        until, room = self._led.get(alias, (0.0, None))
        if now >= until:
            try:
                room = await self._resolve(alias)
            except Unavailable:
                if alias.partition(":")[2] == self._server:
                    raise
                return None  # another homeserver is away; nobody waits for that
            self._led = {one: led for one, led in self._led.items() if led[0] > now}
            self._led[alias] = (now + CHECKED_S, room)
        return room

    async def _resolve(self, alias: str) -> str | None:
        try:
            answer: Any = await self._session.ask(lambda client: client.room_resolve_alias(alias))
        except Undeliverable:
            return None
        return str(answer.room_id)


def _nobody(user: str) -> Undeliverable:
    sentence = f"There is no Matrix account “{user}”; write it in access.yaml as @name:server."
    return Undeliverable("chat-undeliverable", sentence)
