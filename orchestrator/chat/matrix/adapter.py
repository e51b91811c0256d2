"""Matrix, for rooms that are not encrypted (docs/chat-matrix.md). The matrix_*.py files are the parts of this adapter.

What was said while we were away is dealt with when we come back: the place up to which that has been done is kept in
the state folder. After a crash a message may come to the desk again; it knows it by its id.
"""

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

from orchestrator.chat.base import Abilities, ChatAdapter, Desk, Incoming, RateLimited, Undeliverable
from orchestrator.chat.replies import Reply, Tone
from orchestrator.domain.errors import BadInput, BrinepoolError, Unavailable

from . import html
from .account import Account
from .events import root_of
from .listening import Listening
from .reactions import Offers
from .rooms import Rooms
from .session import Session, until_it_works

THREADS = 16  # messages that are answered at the same time
REMEMBERED = 1000  # messages whose thread is known, and messages of which it is not known whether they arrived

_ENCRYPTED = Reply(
    title="Brinepool cannot read what is said here: this room is encrypted.",
    lines=("Write in a room that is not, or in a direct conversation that the bot has begun.",),
    tone=Tone.WARNING,
)
_log = logging.getLogger(__name__)


class Matrix(ChatAdapter):
    """One account at one homeserver.

    `homeserver`: its URL. `user`: our account, as `@brine:example.org`. `state`: a folder for this adapter alone.
    `password_file` or `token_file`: hold what proves that the account is ours; read when it signs in.
    `edits_per_minute`: how many messages the homeserver lets the account send for long, in all rooms together.
    `bots`: accounts of other programs. `invited_by`: homeservers besides our own from which invitations are accepted.

    Raises BadInput when the account or both files are missing.
    """

    service = "matrix"

    def __init__(
        self,
        homeserver: str,
        user: str,
        state: Path,
        *,
        password_file: Path | None = None,
        token_file: Path | None = None,
        edits_per_minute: float = 10.0,
        bots: Collection[str] = (),
        invited_by: Collection[str] = (),
    ) -> None:
        if not (user.startswith("@") and user.partition(":")[2]):
            raise BadInput("setting-invalid", f"“{user}” is no Matrix account; write it like @brine:example.org.")
        if not (password_file or token_file):
            raise BadInput("setting-invalid", "Matrix needs a file with the bot's password or access token.")
        # A homeserver counts what an account says, not where.
        self.abilities = Abilities(interval_s=min(1.0, 60 / edits_per_minute), edits_per_minute=edits_per_minute)
        self._account = Account(homeserver.rstrip("/"), user, state, password_file, token_file)
        self._bots = frozenset(bots)
        self._welcome = frozenset({self._account.server, *invited_by})
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._session = Session(self._account)
        self._rooms, self._offers = Rooms(self._session), Offers(self._session)
        self._listening = Listening(
            self._session, self._rooms, self._tell, self._say_encrypted, self._bots, self._welcome
        )
        self._roots: OrderedDict[str, str] = OrderedDict()
        self._unsure: OrderedDict[str, str] = OrderedDict()
        self._told_encrypted: set[str] = set()
        self._pool: ThreadPoolExecutor | None = None
        self._desk: Desk | None = None

    def start(self, desk: Desk) -> None:
        """Follow the homeserver, in one thread, and answer in others."""
        self._desk = desk
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="matrix-answer")
        self._session.start(self._listening.hear)

    def stop(self) -> None:
        """What is being answered has a moment to end; what has not ended comes again at the next start."""
        self._session.stop()
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._begin_anew()

    def problem(self) -> str | None:
        """Why the homeserver is not reached, and whether ops must do something."""
        return self._session.problem

    def post(self, room: str, reply: Reply, thread: str = "") -> str:
        """Say it; the reactions that stand for options and buttons follow."""
        return self._session.call(lambda: self._post(room, reply, thread))

    def edit(self, room: str, message: str, reply: Reply) -> None:
        """Replace it, and its reactions."""
        self._session.call(lambda: self._edit(room, message, reply))

    def direct(self, user: str) -> str:
        """A room without encryption, which the bot begins if there is none."""
        return self._session.call(lambda: self._rooms.direct(user))

    def room(self, name: str) -> str | None:
        """`shop-dev` is `#shop-dev` at our own homeserver; those of others are `shop-dev:their.server`."""
        return self._session.call(lambda: self._rooms.find(name))

    # --- answering, in threads of the pool

    async def _tell(self, incoming: Incoming) -> None:
        if self._pool and self._desk:
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(self._pool, self.answer, self._desk, incoming)
            except Exception:  # noqa: BLE001 - an error of ours with one message must not come again for ever
                _log.exception("The message %s could not be dealt with", incoming.message)

    def _say(self, incoming: Incoming, reply: Reply) -> str | None:
        """As every adapter, and however long the homeserver is away or wants a pause."""
        room, thread = incoming.room.id, incoming.thread
        try:
            if reply.private and not incoming.room.direct:
                room, thread = self._session.insist(lambda: self.direct(incoming.user)), ""
            self._pause(self.pace.reserve(room))
            return self._session.insist(lambda: self.post(room, reply, thread))
        except BrinepoolError as error:
            _log.warning("An answer in %s was not posted: %s %s", room, error.message, error.detail)
            return None

    def _pause(self, seconds: float) -> None:
        self._session.pause(seconds)

    # --- speaking, in the loop

    async def _post(self, room: str, reply: Reply, thread: str) -> str:
        self._check(room, reply)
        content = self._content(room, reply)
        if thread:
            content = html.in_thread(content, await self._root(room, thread))
        message = await self._send(room, content)
        self._offers.posted(room, message, html.keys(reply))
        return message

    async def _edit(self, room: str, message: str, reply: Reply) -> None:
        self._check(room, reply)
        if not self._offers.knows(message):
            await self._check_ours(room, message)
        await self._send(room, html.edit(self._content(room, reply), message))
        self._offers.edited(room, message, html.keys(reply))

    def _content(self, room: str, reply: Reply) -> html.Content:
        return html.message(reply, lambda user: self._rooms.name_of(room, user))

    def _check(self, room: str, reply: Reply) -> None:
        if self._rooms.encrypted(room):
            sentence = f"The Matrix room {room} is encrypted; Brinepool writes in rooms that are not."
            raise Undeliverable("chat-undeliverable", sentence)
        if reply.private and not self._rooms.is_direct(room):
            sentence = "What is for one person only is not said in a Matrix room that others read."
            raise Undeliverable("chat-undeliverable", sentence)

    async def _check_ours(self, room: str, message: str) -> None:
        """A homeserver takes an edit of anything, and clients then pass over it."""
        found = await self._event(room, message)
        if found.get("sender") != self._account.user or not found.get("content"):
            raise Undeliverable("chat-undeliverable", f"The Matrix message {message} is not the bot's, or was deleted.")

    async def _root(self, room: str, message: str) -> str:
        """Where the thread of a message begins: with itself, or above it; threads in threads are refused."""
        if message not in self._roots:
            self._roots[message] = root_of(await self._event(room, message)) or message
            _limit(self._roots)
        return self._roots[message]

    async def _event(self, room: str, event: str) -> dict[str, Any]:
        answer = await self._session.ask(lambda client: client.room_get_event(room, event), room)
        return dict(answer.event.source)

    async def _send(self, room: str, content: html.Content) -> str:
        """Send a message → its id. When nobody knows whether it arrived, and it is sent again, it arrives once."""
        same = hashlib.sha256(json.dumps([room, content]).encode()).hexdigest()
        once = self._unsure.pop(same, None) or uuid4().hex
        try:
            answer = await self._session.ask(
                lambda client: client.room_send(room, "m.room.message", content, tx_id=once), room
            )
        except RateLimited:
            raise
        except (Unavailable, asyncio.CancelledError):
            self._unsure[same] = once
            _limit(self._unsure)
            raise
        return str(answer.event_id)

    async def _say_encrypted(self, room: str) -> None:
        """Once in a room: otherwise people wait for an answer that never comes."""
        if room in self._told_encrypted:
            return
        self._told_encrypted.add(room)
        _log.warning("The room %s is encrypted; what is said there cannot be read.", room)
        try:
            await until_it_works(lambda: self._send(room, html.message(_ENCRYPTED)))
        except Undeliverable as error:
            _log.warning("%s could not be told: %s", room, error.detail)


def _limit(remembered: OrderedDict[str, str]) -> None:
    while len(remembered) > REMEMBERED:
        remembered.popitem(last=False)
