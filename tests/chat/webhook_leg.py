"""The webhook with a bot as docs/chat-webhook.md describes one: written from that page, with none of our own code. It
refuses what a good bot refuses."""

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import requests
from flask import Flask
from werkzeug.serving import make_server

from orchestrator.chat.webhook import BotConfig, Webhook
from tests.chat.leg import LOUNGE, PEOPLE, SHOP, Leg, Shown

SECRET = "a secret that both sides know"
NAME = "beacon"


class Seen:
    """Deliveries, kept in memory; Brinepool's own are in its database."""

    def __init__(self) -> None:
        self.deliveries: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def __call__(self, service: str, delivery: str) -> bool:
        with self._lock:
            if (service, delivery) in self.deliveries:
                return False
            self.deliveries.add((service, delivery))
            return True


class Served:
    """An application behind a real HTTP server on a free port."""

    def __init__(self, app: Flask) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass(frozen=True)
class Message:
    """A message of the bot in a room."""

    id: str
    room: str
    text: str
    thread: str = ""
    edits: int = 0
    reply: Mapping[str, Any] = field(default_factory=dict)


class Bot:
    """A bot: people speak to it with `say`; what it shows is in `messages`.

    `status`, `headers`: what it answers to updates instead of showing them. `away`: nothing answers.
    """

    def __init__(self, secret: str = SECRET) -> None:
        self.secret = secret
        self.messages: list[Message] = []
        self.updates: list[dict[str, Any]] = []
        self.answers: list[requests.Response] = []
        self.refused: list[str] = []  # updates that broke the contract
        self.status = 204
        self.headers: dict[str, str] = {}
        self.away = False
        self.endpoint = ""
        self.last: bytes = b""
        self._deliveries: set[str] = set()
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(64)
        self._server = _Server(("127.0.0.1", 0), _Updates)
        self._server.bot = self
        self.callback_url = f"http://127.0.0.1:{self._server.server_port}/updates"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def sign(self, body: bytes, at: float | None = None) -> str:
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.new(self.secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return f"t={stamp},v1={digest}"

    def say(self, **said: Any) -> "Future[requests.Response]":
        """Hand over a message, and show the answer. Waits a moment for it, so that messages keep their order."""
        body = json.dumps({"delivery": str(uuid.uuid4()), **said}).encode()
        self.last = body
        return self.send(body)

    def send(self, body: bytes, signature: str | None = None) -> "Future[requests.Response]":
        sent = self._pool.submit(self._send, body, self.sign(body) if signature is None else signature)
        wait_for([sent], 0.5)
        return sent

    def wait_until(self, found: Callable[[], object], seconds: float = 10.0) -> bool:
        """Wait for something that the bot, or somebody else, brings about. → whether it came."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not found() and time.monotonic() < deadline:
                self._changed.wait(0.02)
            return bool(found())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._pool.shutdown()

    def _send(self, body: bytes, signature: str) -> requests.Response:
        headers = {"Content-Type": "application/json", "Brinepool-Signature": signature}
        answer = requests.post(self.endpoint, data=body, headers=headers, timeout=15)
        with self._changed:
            self.answers.append(answer)
            if answer.status_code == 200:
                said, found = json.loads(body), answer.json()
                room = said["room"]
                alone = room.get("direct") or found["reply"]["private"]
                where = f"direct:{said['user']}" if alone else room["id"]
                # A change may have come before the answer.
                if not any(message.id == found["message"] for message in self.messages):
                    self.messages.append(
                        Message(found["message"], where, found["text"], found["thread"], reply=found["reply"])
                    )
            self._changed.notify_all()
        return answer

    def take(self, body: bytes, signature: str) -> int:
        """An update → the status that it is answered with."""
        with self._changed:
            try:
                update = self._checked(body, signature)
            except (AssertionError, KeyError, ValueError) as error:
                self.refused.append(f"{type(error).__name__}: {error}")
                return 400
            finally:
                self._changed.notify_all()
            self.updates.append(update)
            if self.status == 204:
                self._show(update)
            return self.status

    def _checked(self, body: bytes, signature: str) -> dict[str, Any]:
        members = dict(member.split("=") for member in signature.split(","))
        assert abs(time.time() - int(members["t"])) <= 300, "stale"
        assert hmac.compare_digest(self.sign(body, int(members["t"])), signature), "the signature does not fit"
        update = json.loads(body)
        assert set(update) == {"delivery", "kind", "room", "direct", "message", "thread", "text", "reply"}
        assert update["delivery"] not in self._deliveries, "replayed"
        self._deliveries.add(update["delivery"])
        assert update["kind"] in ("post", "edit")
        assert update["room"] == f"direct:{update['direct']}" if update["direct"] else update["room"]
        assert "details" not in update["reply"]
        return cast(dict[str, Any], update)

    def _show(self, update: dict[str, Any]) -> None:
        for index, message in enumerate(self.messages):
            if update["kind"] == "edit" and message.id == update["message"]:
                changed = replace(message, text=update["text"], reply=update["reply"], edits=message.edits + 1)
                self.messages[index] = changed
                return
        shown = Message(update["message"], update["room"], update["text"], update["thread"], reply=update["reply"])
        self.messages.append(shown)


class _Server(ThreadingHTTPServer):
    bot: Bot


class _Updates(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        bot = cast(_Server, self.server).bot
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if bot.away:
            self.close_connection = True
            return  # the connection ends without a word
        status = bot.take(body, self.headers.get("Brinepool-Signature", ""))
        self.send_response(status)
        for name, value in bot.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        cast(_Server, self.server).bot.refused.append("a redirect was followed")
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        pass


class WebhookLeg(Leg):
    """The webhook adapter, a bot that can do everything, and people in its rooms."""

    def __init__(self, **config: Any) -> None:
        self.bot = Bot()
        rooms = {room: self._room(room) for room in (SHOP, LOUNGE)}
        asked = {"edits": True, "buttons": True, "threads": True, "rooms": rooms, **config}
        self.adapter = Webhook(
            BotConfig(name=NAME, secret=SECRET, callback_url=self.bot.callback_url, **asked), first_time=Seen()
        )
        app = Flask("brinepool")
        app.register_blueprint(self.adapter.blueprint())
        self._served = Served(app)
        self.bot.endpoint = f"{self._served.url}/api/v1/chat/{NAME}"
        self._said = 0
        self._last: dict[str, dict[str, Any]] = {}

    def user(self, person: str) -> str:
        return f"U-{person}"

    def say(self, person: str, text: str, room: str = SHOP) -> None:
        self._speak(person, room, text=text)

    def overhear(self, person: str, text: str, room: str = SHOP) -> None:
        """A bot hands over only what is meant for it."""

    def shown(self, room: str = SHOP) -> list[Shown]:
        return self._shown(self._room(room))

    def shown_directly(self, person: str) -> list[Shown]:
        return self._shown(f"direct:{self.user(person)}")

    def pick(self, person: str, label: str, room: str = SHOP) -> None:
        where = self._room(room) if room else f"direct:{self.user(person)}"
        for message in reversed([message for message in self.bot.messages if message.room == where]):
            for choice in [*message.reply["options"], *message.reply["buttons"]]:
                if choice["label"] == label:
                    clicked = {"answer": choice["value"]} if choice["value"] else {"text": choice["command"]}
                    return self._speak(person, room, **clicked)
        raise AssertionError(f"no message in {where} has a choice “{label}”")

    def say_as_bot(self, text: str, room: str = SHOP) -> bool:
        self._speak("another-bot", room, text=text, bot=True)
        return True

    def edit_last(self, person: str, text: str, room: str = SHOP) -> bool:
        self.bot.say(**{**self._last[person], "text": text, "edited": True})
        return True

    def repeat_last(self) -> bool:
        self.bot.send(self.bot.last)
        return True

    def go_down(self) -> bool:
        self.bot.away = True
        return True

    def come_back(self) -> None:
        self.bot.away = False

    def close(self) -> None:
        self.adapter.stop()
        self._served.close()
        self.bot.close()
        assert self.bot.refused == []

    def _speak(self, person: str, room: str, **said: Any) -> None:
        self._said += 1
        where = {"id": self._room(room), "name": room} if room else {"id": f"D-{person}", "direct": True}
        self._last[person] = {"user": self.user(person), "room": where, "message": f"m-{self._said}", **said}
        self.bot.say(**self._last[person])

    def _room(self, name: str) -> str:
        return f"C-{name}"

    def _shown(self, room: str) -> list[Shown]:
        names = {self.user(person): person for person in PEOPLE}
        return [
            Shown(
                message.id, message.text, message.thread, message.edits,
                tuple(names[account] for account in message.reply["mention"] if account in names),
            )
            for message in self.bot.messages
            if message.room == room
        ]  # fmt: skip
