"""A fake Slack: its Web API and Socket Mode on loopback, and people who type, click and edit.

```
with FakeSlack() as slack:
    slack.add_user("U0ADA", "ada", "ada@example.org")
    slack.add_room("C0SHOP", "shop-dev")
    slack.call_at("http://127.0.0.1:8420/chat/slack/events")     # HTTP; without it Socket Mode
    slack.say("U0ADA", "C0SHOP", "list environments")
```

It keeps to the rules of the real one: tokens and scopes, signatures, three seconds for an answer (`shown_errors` has
what people are told otherwise), three more attempts for events, limits of messages and calls (`violations`). Editing a
message notifies nobody. What is not enforced: how often apps.connections.open may be called.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.signature import SignatureVerifier

from tests.fakes.slack_server import OUR_USER, TEAM, Form, Posted, SlackServer, changed, said

SIGNING_SECRET = "the fake's signing secret"
ANSWER_SECONDS = 3.0
RETRIES = 3


@dataclass
class Delivery:
    """How we took what Slack sent: after how many seconds it was acknowledged, and at which attempt (0: never)."""

    kind: str
    payload: dict[str, Any]
    seconds: float = 0.0
    attempt: int = 0
    answer: dict[str, Any] = field(default_factory=dict)


class FakeSlack(SlackServer):
    """The workspace. All that changes is guarded by `changed`; `wait` waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: list[Delivery] = []
        self.shown_errors: list[str] = []
        self.drops_acknowledgements = 0
        self._url: str | None = None
        self._awaited: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self.add_user(OUR_USER, "brinepool", "", is_bot=True)

    def __exit__(self, *exc: object) -> None:
        self._run(self._end_tasks())
        super().__exit__(*exc)

    # --- what a test arranges

    def add_user(self, user: str, name: str, email: str, **flags: Any) -> None:
        profile = {"display_name": name, "real_name": name, **({"email": email} if email else {})}
        self.users[user] = {"id": user, "team_id": TEAM, "name": name, "is_email_confirmed": True, "profile": profile}
        self.users[user] |= flags

    def add_room(self, room: str, name: str, **flags: Any) -> None:
        self.rooms[room] = {"id": room, "name": name, "is_channel": True, "is_member": True, "is_archived": False}
        self.rooms[room] |= flags

    def call_at(self, url: str) -> None:
        """Send everything to this address, signed, instead of through the socket."""
        self._url = url

    def fail(self, method: str, body: Any = "", status: int = 200, **headers: str) -> None:
        """Answer the next call of a method with this."""
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        self.faults.setdefault(method, deque()).append(
            web.Response(status=status, text=text, content_type=kind, headers=headers)
        )

    def listen(self) -> None:
        """Be there; after `vanish` on the same port again."""
        self._run(self._listen())

    def vanish(self) -> None:
        """Be gone: nobody listens, all connections are cut."""
        self._run(self._vanish())

    def drop_sockets(self, politely: bool = True) -> None:
        """Cut the Socket Mode connections; politely, as Slack does it every few hours: after saying so."""
        self._run(self._drop(politely))

    def wait(self, condition: Callable[[], Any], seconds: float = 10.0) -> bool:
        """Wait until something is so, here or in the adapter."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition():
                if time.monotonic() > deadline:
                    return False
                self.changed.wait(0.02)
        return True

    def direct(self, user: str) -> str:
        """The conversation of a person with us."""
        room = f"D{user[1:]}"
        self.rooms.setdefault(room, {"id": room, "is_im": True, "user": user})
        return room

    def in_room(self, room: str) -> list[Posted]:
        """What we said there, oldest first."""
        return [post for post in self.posts if post.room == room and post.user == OUR_USER and not post.only]

    # --- what people do

    def say(self, user: str, room: str, text: str, *, bot: bool = False, mention: bool = True, thread: str = "") -> str:
        """Somebody says something: in a room to us by name, or directly."""
        return self._run(self._say(user, room, text, bot, mention, thread))

    def slash(self, user: str, room: str, text: str) -> Delivery:
        return self.slash_soon(user, room, text).result()

    def slash_soon(self, user: str, room: str, text: str) -> Future[Delivery]:
        """`/brine TEXT`. It is acknowledged, or the person is told that it failed."""
        return asyncio.run_coroutine_threadsafe(self._slash(user, room, text), self._loop)

    def click(self, user: str, post: Posted, label: str, **changes: Any) -> Delivery:
        """Somebody clicks; `changes` are made to the action, as a forger would."""
        button = post.button(label)
        assert button is not None, f"no button {label}"
        action = {"type": "button", "action_id": button["action_id"], "value": button["value"], **changes}
        return self._run(self._interact(user, self._clicked(user, post, action)))

    def shortcut(self, user: str) -> Delivery:
        return self._run(self._interact(user, {"type": "shortcut", "callback_id": "brine_create"}))

    def submit(self, form: Form, **values: str) -> Delivery:
        """Somebody fills in a form and sends it in."""
        return self._run(self._submit(form, values))

    def edit(self, ts: str, text: str) -> None:
        """Somebody changes what they said."""
        post = next(post for post in self.posts if post.ts == ts)
        self._run(self._edit(post, text))

    def repeat(self, delivery: Delivery | None = None) -> Delivery:
        """Send something once more, as if no answer had come."""
        last = delivery or self.deliveries[-1]
        return self._run(self._deliver(last.kind, last.payload, attempt=2))

    async def _say(self, user: str, room: str, text: str, bot: bool, mention: bool, thread: str) -> str:
        direct = bool(self.rooms[room].get("is_im"))
        if mention and not direct:
            text = f"<@{OUR_USER}> {text}"
        post = self._keep(Posted(room, self._ts(), user, text, [], thread))
        if mention or direct:
            more = {"subtype": "bot_message", "bot_id": f"B{user[1:]}"} if bot else {"client_msg_id": f"c{post.ts}"}
            await self._event(said(post, direct) | more)
        return post.ts

    async def _slash(self, user: str, room: str, text: str) -> Delivery:
        trigger = self._trigger(user)
        delivery = await self._deliver(
            "slash_commands",
            {
                "token": "old", "team_id": TEAM, "channel_id": room, "channel_name": "directmessage", "user_id": user,
                "command": "/brine", "text": text, "trigger_id": trigger, "response_url": self._response_url(user),
            },
        )  # fmt: skip
        if text_back := delivery.answer.get("text"):
            self._keep(Posted(room, self._ts(), OUR_USER, text_back, delivery.answer.get("blocks", []), only=user))
        return delivery

    def _clicked(self, user: str, post: Posted, action: dict[str, Any]) -> dict[str, Any]:
        container = {"type": "message", "channel_id": post.room, "message_ts": post.ts, "is_ephemeral": bool(post.only)}
        message = {"ts": post.ts, "text": post.text} | ({"thread_ts": post.thread} if post.thread else {})
        return {
            "type": "block_actions", "actions": [action], "container": container, "channel": {"id": post.room},
            "response_url": self._response_url(user), **({} if post.only else {"message": message}),
        }  # fmt: skip

    async def _interact(self, user: str, payload: dict[str, Any]) -> Delivery:
        trigger = self._trigger(user)
        return await self._deliver(
            "interactive", {"team": {"id": TEAM}, "user": {"id": user}, "trigger_id": trigger, **payload}
        )

    async def _submit(self, form: Form, values: dict[str, str]) -> Delivery:
        filled = {}
        for block in form.view["blocks"]:
            value, kind = values.get(block["block_id"]), block["element"]["type"]
            chosen = {"selected_option": {"value": value}} if kind == "static_select" else {"value": value}
            filled[block["block_id"]] = {block["element"]["action_id"]: {"type": kind, **chosen}}
        view = {"id": form.id, "type": "modal", "state": {"values": filled}}
        view |= {key: form.view[key] for key in ("callback_id", "private_metadata")}
        delivery = await self._interact(form.user, {"type": "view_submission", "view": view})
        form.errors = delivery.answer.get("errors", {})
        form.open = bool(form.errors) or not delivery.attempt
        return delivery

    async def _edit(self, post: Posted, text: str) -> None:
        direct = bool(self.rooms[post.room].get("is_im"))
        before = said(post, direct)
        post.text = text if direct else f"<@{OUR_USER}> {text}"
        now = said(post, direct) | {"edited": {"user": post.user, "ts": self._ts()}}
        await self._event(changed(before, now, self._ts()) if direct else now)

    # --- sending to the app

    async def _event(self, event: dict[str, Any]) -> Delivery:
        return await self._deliver(
            "events_api",
            {
                "type": "event_callback", "team_id": TEAM, "event_id": f"Ev{next(self._numbers)}", "event": event,
                "authorizations": [{"team_id": TEAM, "user_id": OUR_USER, "is_bot": True}],
            },
        )  # fmt: skip

    def happened(self, event: dict[str, Any]) -> None:
        """Direct conversations send us our own words, too."""
        if self.rooms[event["channel"]].get("is_im"):
            task = self._loop.create_task(self._event(event))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    def acknowledged(self, envelope: str, answer: dict[str, Any]) -> None:
        waiting = self._awaited.pop(envelope, None)
        if self.drops_acknowledgements:
            self.drops_acknowledgements -= 1
        elif waiting and not waiting.done():
            waiting.set_result(answer)

    async def _end_tasks(self) -> None:
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _deliver(self, kind: str, payload: dict[str, Any], attempt: int = 1) -> Delivery:
        """Send it, events a few times; without an answer the person of a command or a click is told that it failed."""
        delivery = Delivery(kind, payload)
        if not self._subscribed(kind, payload):
            return delivery
        attempts = range(attempt, RETRIES + 2) if kind == "events_api" else [attempt]
        for number in attempts:
            began = time.monotonic()
            with suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    delivery.answer = await self._send(kind, payload, number)
                    delivery.attempt, delivery.seconds = number, time.monotonic() - began
                    break
        if not delivery.attempt and kind != "events_api":
            self.shown_errors.append(f"{kind} failed with the error “operation_timeout”")
        with self.changed:
            self.deliveries.append(delivery)
            self.changed.notify_all()
        return delivery

    def _subscribed(self, kind: str, payload: dict[str, Any]) -> bool:
        """Whether the app has asked for the permission to be told that."""
        event = payload["event"]["type"] if kind == "events_api" else ""
        needed = {"": "commands", "app_mention": "app_mentions:read", "message": "im:history"}[event]
        return needed in self.scopes

    async def _send(self, kind: str, payload: dict[str, Any], attempt: int) -> dict[str, Any]:
        return await (self._over_http if self._url else self._over_socket)(kind, payload, attempt)

    async def _over_http(self, kind: str, payload: dict[str, Any], attempt: int) -> dict[str, Any]:
        body, content = json.dumps(payload), "application/json"
        if kind != "events_api":
            content = "application/x-www-form-urlencoded"
            body = urlencode(payload if kind == "slash_commands" else {"payload": body})
        headers = {"Content-Type": content, **signed(body)}
        if attempt > 1:
            headers |= {"X-Slack-Retry-Num": str(attempt - 1), "X-Slack-Retry-Reason": "http_timeout"}
        assert self._url is not None
        async with aiohttp.ClientSession() as session, session.post(self._url, data=body, headers=headers) as response:
            text = await response.text()
            if response.status != 200:
                raise ConnectionError(f"{response.status} {text}")
            return json.loads(text) if text.startswith("{") else {"text": text} if text else {}

    async def _over_socket(self, kind: str, payload: dict[str, Any], attempt: int) -> dict[str, Any]:
        while not self._sockets:  # (events wait for a connection; the three seconds pass meanwhile)
            await asyncio.sleep(0.01)
        envelope = f"envelope-{next(self._numbers)}"
        self._awaited[envelope] = self._loop.create_future()
        message = {"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": True}
        if attempt > 1:
            message |= {"retry_attempt": attempt - 1, "retry_reason": "timeout"}
        await self._sockets[-1].send_json(message)
        return await self._awaited[envelope]


def signed(body: str, *, secret: str = SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    """The headers with which Slack signs a request."""
    sent = str(int(time.time() if at is None else at))
    signature = SignatureVerifier(secret).generate_signature(timestamp=sent, body=body)
    return {"X-Slack-Request-Timestamp": sent, "X-Slack-Signature": str(signature)}
