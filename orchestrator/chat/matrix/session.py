"""The connection to a Matrix homeserver: signing in and following what happens, in one event loop in one thread.

matrix-nio is known here only.
"""

import asyncio
import json
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import nio  # type: ignore[import-untyped]

from orchestrator.chat.base import RateLimited, Undeliverable
from orchestrator.domain.errors import BrinepoolError, Unavailable

from .account import Account, Bookmark, Memory, Tasks
from .errors import SignedOut, not_accepted, refusal, secret

T = TypeVar("T")
Request = Callable[[Any], Awaitable[Any]]
Listener = Callable[[Any, str | None], Awaitable[Tasks]]
"""Is told of every answer to a sync and of the place it begins at (None: the very first one, which tells of the past).
→ the tasks that deal with it."""

REQUEST_S = 20.0  # for one request; and
POLL_S = 30.0  # for so long may the homeserver wait for something to happen
FIRST_SYNC_S = 300.0  # the whole state of every room
CALL_S = 60.0  # for all that one call of a thread does
GRACE_S = 5.0  # to finish what is being answered when we stop
PAUSES_S = (0.5, 30.0)  # before it is tried again: the first time, and at most

MOST_PAST = 10_000  # events of one room that are fetched when we come back

_NONE = {"not_types": ["*"]}
_TIMELINE = 50  # events of a room in one sync; the rest is fetched
_CONFUSED = (AttributeError, KeyError, TypeError, ValueError)  # what matrix-nio raises about events it did not expect
_log = logging.getLogger(__name__)


class Session:
    """Stays signed in and follows the homeserver from `start` to `stop`, whatever happens to it in between.

    `problem`: a sentence while it is not reached. `synced`: what happened before has been heard. `started`: when that
    was (monotonic).
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.problem: str | None = "Matrix is not connected yet."
        self.synced = False
        self.started = 0.0
        self._memory = Memory(account)
        self._bookmark = Bookmark(lambda place: self._memory.save(since=place))
        self._client: Any = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: set[Future[Any]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lesser_tasks: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._stopping = threading.Event()

    # --- for every thread

    def start(self, listener: Listener) -> None:
        """Begin, and return at once."""
        # It warns of every error before we tell what it means, and knows tokens when it tells everything.
        logging.getLogger("nio").setLevel(logging.ERROR)
        begun = threading.Event()
        self.started = time.monotonic()
        self._thread = threading.Thread(target=self._drive, args=(listener, begun), name="matrix", daemon=True)
        self._thread.start()
        begun.wait()

    def stop(self) -> None:
        """End, after what is being answered, if that takes only a moment. Safe to repeat, and before `start`."""
        self._stopping.set()
        thread, loop, self._thread = self._thread, self._loop, None
        if thread is None or loop is None:
            return
        with suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(self._ending.set)
        thread.join()
        for call in list(self._calls):
            call.cancel()

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do this in the loop and wait for it. Raises Unavailable when not connected, and when it takes too long."""
        if self._loop is None or self._loop.is_closed() or not self.synced:
            raise self._away()
        coroutine = work()
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError as error:  # closed a moment ago
            coroutine.close()
            raise self._away() from error
        self._calls.add(future)
        try:
            return future.result(CALL_S)
        except (TimeoutError, CancelledError) as error:
            future.cancel()
            raise self._away() from error
        finally:
            self._calls.discard(future)

    def pause(self, seconds: float) -> bool:
        """Wait in the calling thread. → whether we stop meanwhile."""
        return self._stopping.wait(max(0.0, seconds))

    def insist(self, work: Callable[[], T]) -> T:
        """Do this in the calling thread until it works; raises Unavailable only when we stop."""
        pauses = _Pauses()
        while True:
            try:
                return work()
            except Unavailable as error:
                if self.pause(pauses.after(error)):
                    raise

    # --- in the loop

    @property
    def rooms(self) -> dict[str, Any]:
        """The rooms that we are in, by id, as the last sync left them."""
        return self._client.rooms if self._client else {}

    def inviter(self, room: str) -> str:
        """Who invites us into a room; empty when that is not known."""
        invited = self._client.invited_rooms.get(room) if self._client else None
        return (invited.inviter if invited else None) or ""

    def spawn(self, work: Coroutine[Any, Any, None], finish: bool = True) -> asyncio.Task[None]:
        """Do this in the background. `finish`: when we stop, it has a moment to end."""
        task = asyncio.get_running_loop().create_task(work)
        kept = self._tasks if finish else self._lesser_tasks
        kept.add(task)
        task.add_done_callback(kept.discard)
        return task

    async def ask(self, request: Request, about: str = "") -> Any:
        """One request → its answer. Raises RateLimited, Unavailable or Undeliverable. `about`: a room or account."""
        if self._client is None:
            raise self._away()
        return await self._ask(self._client, request, about)

    async def keep_asking(self, request: Request, about: str = "") -> Any:
        """The same until it works; raises Undeliverable only."""
        return await until_it_works(lambda: self.ask(request, about))

    async def raw(self, method: str, path: Sequence[str], body: object = None, about: str = "") -> Any:
        """A request that matrix-nio has no function for, or one that hides errors → the answer's JSON. Raises as `ask`.

        `path`: its parts after `/_matrix/client`.
        """

        async def request(client: Any) -> Any:
            headers = {"Authorization": f"Bearer {client.access_token}", "Content-Type": "application/json"}
            url = "/_matrix/client/" + "/".join(quote(part, safe="") for part in path)
            http = await client.send(method, url, None if body is None else json.dumps(body), headers)
            answer = await client.parse_body(http)
            if http.status >= 400:
                answer = nio.ErrorResponse.from_dict(answer)
                answer.transport_response = http
            return answer

        return await self.ask(request, about)

    async def past(self, room: str, before: str, since: str) -> list[dict[str, Any]]:
        """What happened in a room between two places, oldest first; only the last part if that is very much."""
        found: list[dict[str, Any]] = []
        at: str | None = before
        while at and len(found) < MOST_PAST:
            start = at
            page = await self.keep_asking(
                lambda client: client.room_messages(room, start=start, end=since, limit=100),  # noqa: B023
                room,
            )
            found += [event.source for event in page.chunk]
            at = page.end if page.chunk else None
        return found[::-1]

    def _away(self) -> Unavailable:
        return Unavailable("chat-unreachable", self.problem or "Matrix did not answer in time.")

    # --- how it lives

    def _drive(self, listener: Listener, begun: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._ending = asyncio.Event()
            self._loop = runner.get_loop()
            begun.set()
            runner.run(self._run(listener))

    async def _run(self, listener: Listener) -> None:
        self._memory.load()
        living = asyncio.create_task(self._live(listener))
        await self._ending.wait()
        if self._following:
            self._following.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE_S)
        living.cancel()
        await asyncio.wait({living})

    async def _live(self, listener: Listener) -> None:
        """Sign in and follow, again and again."""
        while True:
            self._client = client = await until_it_works(self._sign_in)
            self._following = asyncio.create_task(self._follow(client, listener))
            try:
                await asyncio.wait({self._following})
                if self._ending.is_set():
                    await asyncio.Event().wait()  # the last answers need the connection until we are cancelled
            finally:
                self._client, self.synced = None, False
                self._following.cancel()
                await client.close()
            await self._look_after(self._following)

    async def _look_after(self, following: asyncio.Task[None]) -> None:
        """Why did it end? Nearly always because the token is not valid any more."""
        error = None if following.cancelled() else following.exception()
        if error is None or isinstance(error, SignedOut):
            self._memory.save(token="")
            return
        self.problem = "Matrix: an error of Brinepool's own; its log has more."
        _log.error("Following Matrix failed", exc_info=error)
        await asyncio.sleep(PAUSES_S[1])

    async def _sign_in(self) -> Any:
        """→ a client that is signed in. Raises Unavailable, also when what we have is not accepted."""
        once = nio.AsyncClientConfig(max_limit_exceeded=0, max_timeouts=0, request_timeout=REQUEST_S)
        device = self._memory.kept.device
        client = nio.AsyncClient(self.account.homeserver, self.account.user, device_id=device, config=once)
        proven = False
        try:
            await self._prove(client)
            proven = True
        except BrinepoolError as error:
            self.problem = error.message
            raise
        except _CONFUSED as error:
            self.problem = f"{self.account.homeserver} does not answer as a Matrix homeserver does."
            raise Unavailable("chat-unreachable", self.problem, detail=repr(error)) from error
        finally:
            if not proven:
                await client.close()
        return client

    async def _prove(self, client: Any) -> None:
        token, password_file = self._memory.kept.token, self.account.password_file
        if self.account.token_file:
            token = secret(self.account.token_file)
        with suppress(SignedOut):
            if token:
                return await self._use_token(client, token)
        if password_file is None:
            raise not_accepted(self.account, "access token", self.account.token_file)
        password = secret(password_file)
        try:
            answer = await self._ask(client, lambda one: one.login(password, device_name="Brinepool"))
        except (Undeliverable, SignedOut) as error:
            raise not_accepted(self.account, "password", password_file, error.detail) from error
        self._memory.save(device=answer.device_id, token=answer.access_token)
        return None

    async def _use_token(self, client: Any, token: str) -> None:
        client.access_token = token
        who = await self._ask(client, lambda one: one.whoami())
        if who.user_id != self.account.user:
            sentence = f"Matrix: the access token belongs to {who.user_id}, not to {self.account.user}."
            raise Unavailable("chat-not-accepted", sentence)
        client.restore_login(who.user_id, who.device_id, token)

    async def _follow(self, client: Any, listener: Listener) -> None:
        """Hear everything that happens, until we are signed out."""
        since, whole = self._memory.kept.since, True
        while True:
            try:
                answer = await until_it_works(lambda: self._sync(client, since, whole), SignedOut)  # noqa: B023
            except Undeliverable as error:
                if since is None:
                    raise
                _log.warning("The homeserver does not know where we were: %s. We begin anew.", error.detail)
                since = None
                self._memory.save(since=None)
                continue
            except _CONFUSED:
                _log.exception("The homeserver told something that is not understood; it is passed over.")
                since, whole = client.next_batch or since, False
                await asyncio.sleep(PAUSES_S[0])
                continue
            tasks = await listener(answer, since)
            self._bookmark.add(answer.next_batch, tasks)
            since, whole = answer.next_batch, False
            self.problem, self.synced = None, True

    async def _sync(self, client: Any, since: str | None, whole: bool) -> Any:
        """Wait for what is new after `since`. `whole`: with the state of every room."""
        room = {"timeline": {"limit": _TIMELINE}, "ephemeral": _NONE, "account_data": _NONE}
        wanted = {"presence": _NONE, "account_data": _NONE, "room": room}
        wait = 0 if self.problem else int(POLL_S * 1000)  # after trouble, to know at once that it is over
        poll = client.sync(timeout=wait, sync_filter=wanted, since=since, full_state=whole or None)
        patience = FIRST_SYNC_S if whole else POLL_S + REQUEST_S
        try:
            return await self._ask(client, lambda _: asyncio.wait_for(poll, patience))
        except Unavailable as error:
            self.problem = error.message
            raise

    async def _ask(self, client: Any, request: Request, about: str = "") -> Any:
        try:
            answer = await request(client)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            sentence = f"The Matrix homeserver {self.account.homeserver} does not answer."
            raise Unavailable("chat-unreachable", sentence, detail=repr(error)) from error
        if isinstance(answer, nio.ErrorResponse):
            raise refusal(answer, self.account, about)
        return answer


class _Pauses:
    """How long to wait before the next try: longer each time, and not in step with others."""

    def __init__(self) -> None:
        self._next = PAUSES_S[0]

    def after(self, error: Unavailable) -> float:
        if isinstance(error, RateLimited):
            return error.retry_after
        pause, self._next = self._next, min(2 * self._next, PAUSES_S[1])
        return pause * random.uniform(0.75, 1.25)  # noqa: S311


async def until_it_works(work: Callable[[], Awaitable[T]], *but: type[Unavailable]) -> T:
    """Try until it works; what is no Unavailable is raised, and so is `but`."""
    pauses = _Pauses()
    while True:
        try:
            return await work()
        except Unavailable as error:
            if isinstance(error, but):
                raise
            await asyncio.sleep(pauses.after(error))
