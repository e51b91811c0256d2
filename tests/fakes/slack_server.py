"""The fake Slack's server: its Web API, response_urls and Socket Mode, on loopback. tests/fakes/slack.py uses it."""

import asyncio
import json
import re
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Self

from aiohttp import web

from tests.fakes.slack_rules import FORM_ONLY, READS, SCOPES, Rates, Refused, check_message, check_view

TEAM, OUR_USER, OUR_BOT = "T0HOME", "U0BRINE", "B0BRINE"
BOT_TOKEN, APP_TOKEN = "xoxb-the-fake", "xapp-the-fake"
TRIGGER_SECONDS = 3.0


@dataclass
class Posted:
    """A message. `notified`: whom it mentioned when it was new. `history`: the blocks that it showed, oldest first."""

    room: str
    ts: str
    user: str
    text: str
    blocks: list[dict[str, Any]]
    thread: str = ""
    edits: int = 0
    notified: tuple[str, ...] = ()
    only: str = ""  # who alone sees it
    history: list[list[dict[str, Any]]] = field(default_factory=list)

    def button(self, label: str) -> dict[str, Any] | None:
        elements = [one for block in self.blocks if block["type"] == "actions" for one in block["elements"]]
        return next((one for one in elements if one["text"]["text"] == label), None)


@dataclass
class Form:
    """A form that somebody has before them. `errors`: what it says about its fields."""

    id: str
    user: str
    view: dict[str, Any]
    errors: dict[str, str] = field(default_factory=dict)
    open: bool = True


class SlackServer(ABC):
    """What Slack's servers know and answer. All that changes is guarded by `changed`."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.rooms: dict[str, dict[str, Any]] = {}
        self.posts: list[Posted] = []
        self.forms: list[Form] = []
        self.violations: list[str] = []
        self.calls: Counter[str] = Counter()
        self.scopes = {
            *SCOPES.values(),
            *READS.values(),
            "users:read.email",
            "app_mentions:read",
            "im:history",
            "commands",
        }
        self.rates = Rates()
        self.faults: dict[str, deque[web.Response]] = {}
        self.changed = threading.Condition()
        self._numbers = count(1)
        self._triggers: dict[str, tuple[str, float]] = {}
        self._sockets: list[web.WebSocketResponse] = []
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="fake-slack")

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(self, *exc: object) -> None:
        self.vanish()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/"

    @property
    def connections(self) -> int:
        return len(self._sockets)

    @abstractmethod
    def direct(self, user: str) -> str:
        """The conversation of a person with us."""

    @abstractmethod
    def happened(self, event: dict[str, Any]) -> None:
        """Something happened that the app may be told of."""

    @abstractmethod
    def acknowledged(self, envelope: str, answer: dict[str, Any]) -> None:
        """The app has answered what was sent through a socket."""

    # --- the Web API

    async def _call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls[method] += 1
        if self.faults.get(method):
            return self.faults[method].popleft()
        try:
            data = await self._arguments(request, method)
            if pause := self.rates.wait_for(method, str(data.get("channel", ""))):
                answer = {"ok": False, "error": "ratelimited"}
                return web.json_response(answer, status=429, headers={"Retry-After": str(pause)})
            result = getattr(self, "_" + method.replace(".", "_"))(data)
        except Refused as refused:
            if refused.answer["error"] not in ("expired_trigger_id", "missing_scope"):
                self.violations.append(f"{method}: {refused}")
            return web.json_response(refused.answer)
        with self.changed:
            self.changed.notify_all()
        return web.json_response({"ok": True, **result})

    async def _arguments(self, request: web.Request, method: str) -> dict[str, Any]:
        """The arguments of a call that is allowed."""
        if method not in SCOPES:
            raise Refused("unknown_method")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if token != wanted:
            raise Refused("not_allowed_token_type" if token in (APP_TOKEN, BOT_TOKEN) else "invalid_auth")
        if method != "apps.connections.open":
            self._may(SCOPES[method])
        if request.content_type == "application/json":
            return {} if method in FORM_ONLY else await request.json()
        return dict(await request.post())

    def _may(self, scope: str) -> None:
        if scope and scope not in self.scopes:
            raise Refused("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    def _auth_test(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"user_id": OUR_USER, "bot_id": OUR_BOT, "team_id": TEAM, "team": "Home", "user": "brinepool"}

    def _apps_connections_open(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"url": f"ws://127.0.0.1:{self._port}/link?ticket={next(self._numbers)}"}

    def _users_info(self, data: dict[str, Any]) -> dict[str, Any]:
        user = self.users.get(data.get("user", ""))
        if user is None:
            raise Refused("user_not_found")
        profile = {key: value for key, value in user["profile"].items() if key != "email"}
        return {"user": user if "users:read.email" in self.scopes else {**user, "profile": profile}}

    def _conversations_info(self, data: dict[str, Any]) -> dict[str, Any]:
        room = self._room(data)
        self._may(next((scope for kind, scope in READS.items() if room.get(kind)), "channels:read"))
        if room.get("is_private") and not room["is_member"]:
            raise Refused("channel_not_found")
        return {"channel": room}

    def _conversations_list(self, data: dict[str, Any]) -> dict[str, Any]:
        """Two rooms a page, so that whoever does not turn the page misses some."""
        self._may("groups:read" if "private" in data.get("types", "") else "channels:read")
        rooms = [room for room in self.rooms.values() if room.get("name") and not room.get("is_archived")]
        at = int(data.get("cursor") or 0)
        more = str(at + 2) if at + 2 < len(rooms) else ""
        return {"channels": rooms[at : at + 2], "response_metadata": {"next_cursor": more}}

    def _conversations_open(self, data: dict[str, Any]) -> dict[str, Any]:
        if data.get("users") not in self.users:
            raise Refused("user_not_found")
        return {"channel": {"id": self.direct(data["users"])}}

    def _chat_postMessage(self, data: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._writable(data)
        post = Posted(data["channel"], self._ts(), OUR_USER, data["text"], data.get("blocks") or [])
        post.thread = data.get("thread_ts") or ""
        if any(other.ts == post.thread and other.thread for other in self.posts):
            self.violations.append("chat.postMessage: thread_ts is a reply's, not its parent's")
        post.notified = tuple(dict.fromkeys(re.findall(r"<@(\w+)>", json.dumps(post.blocks) + post.text)))
        self._keep(post)
        self.happened(said(post, direct=True))
        return {"channel": post.room, "ts": post.ts, "message": {"text": post.text}}

    def _chat_postEphemeral(self, data: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._writable(data)
        if data.get("user") not in self.users:
            raise Refused("user_not_in_channel")
        blocks, ts = data.get("blocks") or [], self._ts()
        self._keep(Posted(data["channel"], ts, OUR_USER, data["text"], blocks, only=data["user"]))
        return {"message_ts": ts}

    def _chat_update(self, data: dict[str, Any]) -> dict[str, Any]:
        self._writable(data)
        found = [
            post for post in self.posts if (post.room, post.ts, post.only) == (data["channel"], data.get("ts"), "")
        ]
        if not found:
            raise Refused("message_not_found")
        before = said(found[0], direct=True)
        found[0].text, found[0].blocks = data["text"], data.get("blocks") or []
        found[0].edits += 1
        found[0].history.append(found[0].blocks)
        self.happened(changed(before, said(found[0], direct=True), self._ts()))
        return {"ts": found[0].ts, "message": {"text": found[0].text}}

    def _views_open(self, data: dict[str, Any]) -> dict[str, Any]:
        user, until = self._triggers.pop(str(data.get("trigger_id")), ("", 0.0))
        if time.monotonic() > until:
            raise Refused("expired_trigger_id")
        check_view(data.get("view"))
        form = Form(f"V{next(self._numbers)}", user, data["view"])
        self.forms.append(form)
        return {"view": {"id": form.id}}

    async def _respond(self, request: web.Request) -> web.Response:
        """A response_url: five times, to one person."""
        data = await request.json()
        check_message(data)
        blocks = data.get("blocks") or []
        self._keep(Posted("", self._ts(), OUR_USER, data["text"], blocks, only=request.match_info["user"]))
        return web.Response(text="ok")

    def _writable(self, data: dict[str, Any]) -> None:
        room = self._room(data)
        if room.get("is_archived"):
            raise Refused("is_archived")
        if not room.get("is_im") and not room["is_member"]:
            raise Refused("not_in_channel")
        check_message(data)

    def _room(self, data: dict[str, Any]) -> dict[str, Any]:
        if data.get("channel") not in self.rooms:
            raise Refused("channel_not_found")
        return self.rooms[data["channel"]]

    # --- Socket Mode

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        with self.changed:
            self._sockets.append(socket)
            self.changed.notify_all()
        async for message in socket:
            answer = json.loads(message.data)
            self.acknowledged(answer["envelope_id"], answer.get("payload") or {})
        with self.changed:
            self._forget(socket)
            self.changed.notify_all()
        return socket

    def _forget(self, socket: web.WebSocketResponse) -> None:
        if socket in self._sockets:
            self._sockets.remove(socket)

    async def _drop(self, politely: bool) -> None:
        for socket in list(self._sockets):
            self._forget(socket)
            if politely:
                await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})
            elif socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()

    # --- inside

    def _keep(self, post: Posted) -> Posted:
        with self.changed:
            self.posts.append(post)
            self.changed.notify_all()
        return post

    def _ts(self) -> str:
        return f"{int(time.time())}.{next(self._numbers):06d}"

    def _trigger(self, user: str) -> str:
        trigger = f"trigger.{next(self._numbers)}"
        self._triggers[trigger] = (user, time.monotonic() + TRIGGER_SECONDS)
        return trigger

    def _response_url(self, user: str) -> str:
        return f"http://127.0.0.1:{self._port}/respond/{user}"

    async def _listen(self) -> None:
        app = web.Application(client_max_size=10**7)
        app.router.add_post("/api/{method}", self._call)
        app.router.add_get("/link", self._link)
        app.router.add_post("/respond/{user}", self._respond)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _vanish(self) -> None:
        await self._drop(politely=False)
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def said(post: Posted, direct: bool) -> dict[str, Any]:
    """A message as an event tells it."""
    kind = {"type": "message", "channel_type": "im"} if direct else {"type": "app_mention"}
    ours = {"bot_id": OUR_BOT} if post.user == OUR_USER else {}
    thread = {"thread_ts": post.thread} if post.thread else {}
    return {**kind, "user": post.user, "text": post.text, "ts": post.ts, "channel": post.room, **ours, **thread}


def changed(before: dict[str, Any], now: dict[str, Any], ts: str) -> dict[str, Any]:
    """That a message was changed, as an event tells it."""
    return {
        "type": "message", "subtype": "message_changed", "channel": now["channel"], "channel_type": "im",
        "ts": ts, "message": now, "previous_message": before,
    }  # fmt: skip
