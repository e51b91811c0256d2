"""Any bot, over a signed HTTP contract (docs/chat-webhook.md): it asks, we answer, and what happens later we send it.

One adapter for each bot that is set up. mattermost.py speaks Mattermost's own webhooks on top of it.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import requests
from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, field_validator
from ulid import ULID

from orchestrator.domain import signature
from orchestrator.domain.errors import BadInput, Conflict, NotFound, Unavailable
from orchestrator.domain.people import ServiceName

from . import plain
from .base import Abilities, Answer, ChatAdapter, Desk, Incoming, RateLimited, Room, Undeliverable
from .http import answer_errors, body_of_request, json_response, sentence_of
from .replies import Reply, Tone
from .telling import Telling

log = logging.getLogger(__name__)

ROOT = "/api/v1/chat"
DIRECT = "direct:"  # before the id of an account: the room in which one talks to it alone
ANSWER_S = 5.0  # for how long a request waits for the desk; what takes longer follows as an update
PATIENT = 4  # so many requests of one bot wait at once, so that a slow git server cannot take every thread of the web
WORKERS = 8
PENDING = 200  # what was said and is not answered yet; beyond that the bot is told to come again
NAMES = 1000  # of people, remembered
CALL_S = 5.0
RETRIES_S = (1.0, 2.0, 4.0, 8.0, 15.0)  # before an answer that came late is given up
INTERVAL_S = 2.0

FirstTime = Callable[[str, str], bool]
"""`first_time(service, delivery)`: whether this was never seen before; it is remembered from then on."""

Text = Annotated[str, StringConstraints(max_length=255)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Secret = Annotated[SecretStr, Field(min_length=16)]


class BotConfig(BaseModel):
    """One bot, as it is set up; docs/chat-webhook.md describes every field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ServiceName
    secret: Secret
    # Not shown: the address of an incoming webhook is a password.
    callback_url: str | None = Field(None, pattern=r"^https?://\S+$", repr=False)
    format: Literal["text", "markdown"] = "text"
    edits: bool = True
    buttons: bool = False
    threads: bool = False
    rooms: dict[str, str] = {}
    progress_s: float = Field(0, ge=0)
    trust_email: bool = False


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SaidIn(_Strict):
    """The room of a message, as a bot sends it."""

    id: Text = ""
    name: Text = ""
    direct: bool = False


class Said(_Strict):
    """What somebody said, as a bot sends it."""

    delivery: str = Field(pattern=r"^[\x21-\x7e]{8,100}$")
    user: Id
    room: SaidIn
    text: str = ""
    answer: Text = ""
    name: Text = ""
    email: Text = ""
    message: Text = ""
    thread: Text = ""
    edited: bool = False
    bot: bool = False

    @field_validator("room")
    @classmethod
    def _somewhere(cls, room: SaidIn) -> SaidIn:
        if not room.direct and (not room.id or room.id.startswith(DIRECT)):
            raise ValueError(f"a room needs an id, one that does not begin with {DIRECT}")
        return room


class Webhook(ChatAdapter):
    """One bot. `first_time` keeps deliveries against replay. `now`: the clock that signatures are checked by."""

    never: ClassVar[frozenset[int]] = frozenset({404, 410})  # what is answered to an update that can never arrive

    def __init__(self, config: BotConfig, first_time: FirstTime, now: Callable[[], float] = time.time) -> None:
        self.config = config
        self.service = config.name
        self.abilities = Abilities(config.edits, config.buttons, config.threads, interval_s=INTERVAL_S)
        self._first_time = first_time
        self._now = now
        self._desk: Desk | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._stopping = threading.Event()
        self._places = threading.BoundedSemaphore(PENDING)
        self._patience = threading.BoundedSemaphore(PATIENT)
        self._telling = Telling(config.progress_s)
        self._names: dict[str, str] = {}  # by account, of those who spoke: how they are addressed
        self._trouble: str | None = None

    def start(self, desk: Desk) -> None:
        """Begin to take messages. There is nothing to connect to: the bot calls us."""
        self._stopping.clear()
        self._desk = desk
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"chat-{self.service}")

    def stop(self) -> None:
        """Take no more, and wait for what is being answered."""
        self._stopping.set()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def post(self, room: str, reply: Reply, thread: str = "") -> str:
        """Send the bot a new message; see the base class."""
        message = str(ULID())
        self._update("post", room, message, thread, reply)
        return message

    def edit(self, room: str, message: str, reply: Reply) -> None:
        """Send the bot a change. One that cannot edit is told how it ended and, if it wants that, of each phase."""
        if self.abilities.edits:
            self._update("edit", room, message, "", reply)
        elif reply.tone is not Tone.WORKING:
            self.post(room, reply)
            self._telling.forget(message)
        elif line := self._telling.due(message, reply):
            self.post(room, line)

    def direct(self, user: str) -> str:
        """The room of one account."""
        return DIRECT + user

    def room(self, name: str) -> str | None:
        """The id that the settings give this name; a name that only the bot has told is nothing to go by."""
        return self.config.rooms.get(name)

    def problem(self) -> str | None:
        """Whether the last update arrived."""
        return self._trouble

    def blueprint(self) -> Blueprint:
        """Where the bot calls us."""
        blueprint = Blueprint(f"chat-{self.service}", __name__, url_prefix=f"{ROOT}/{self.service}")
        blueprint.add_url_rule("", "receive", self._receive, methods=["POST"])
        answer_errors(blueprint)
        return blueprint

    # --- what people say

    def _receive(self) -> Response:
        said = self._read(body_of_request())
        incoming = self._incoming(said)
        self._remember(incoming.user, incoming.name)
        future = self._hand(said.delivery, incoming)
        message = str(ULID())
        if not self._wait(future):
            future.add_done_callback(partial(self._answer_late, incoming, message))
            return json_response(202, {"message": message})
        answer = self._result(future)
        if answer is None:
            return Response(status=204)
        self.pace.reserve(incoming.room.id)  # it is said now; what follows keeps its distance
        response = json_response(200, {"message": message, **self._shown(answer.reply), "thread": incoming.thread})
        # Only when it was sent, so that no edit overtakes it.
        response.call_on_close(partial(self._posted, answer, incoming.room.id, message, incoming.user))
        return response

    def _read(self, body: bytes) -> Said:
        """What was said, once the signature fits. Raises NotAllowed and BadInput."""
        secret = self.config.secret.get_secret_value()
        signature.verify(secret, body, request.headers.get(signature.HEADER), self._now())
        try:
            return Said.model_validate_json(body)
        except ValidationError as error:
            raise BadInput("message-invalid", sentence_of(error)) from error

    def _incoming(self, said: Said) -> Incoming:
        return Incoming(
            service=self.service, user=said.user, room=self._room_of(said), text="" if said.answer else said.text,
            message=said.message or said.delivery, thread=said.thread, name=said.name,
            email=said.email if self.config.trust_email else "", answer=said.answer, edited=said.edited, bot=said.bot,
        )  # fmt: skip

    def _room_of(self, said: Said) -> Room:
        if said.room.direct:
            return Room(self.direct(said.user), direct=True)
        return self._known_room(said.room.id, said.room.name)

    def _known_room(self, room: str, name: str) -> Room:
        """A room under the name that the settings give it. Another one that calls itself so has no name."""
        for known, its_id in self.config.rooms.items():
            if its_id == room:
                return Room(room, known)
        taken = name.casefold() in map(str.casefold, self.config.rooms)
        return Room(room, "" if taken else name)

    def _hand(self, delivery: str, incoming: Incoming) -> Future[Answer | None]:
        """Let the desk do it in a thread of ours. Raises Unavailable."""
        desk, pool = self._running()
        if not self._places.acquire(blocking=False):
            raise Unavailable("chat-busy", "There is much to do; send it again in a few seconds.")
        try:
            future = pool.submit(self._do, desk, delivery, incoming)
        except RuntimeError as error:  # it was shut down meanwhile
            self._places.release()
            raise _not_running() from error
        future.add_done_callback(lambda _: self._places.release())
        return future

    def _do(self, desk: Desk, delivery: str, incoming: Incoming) -> Answer | None:
        """What was said before is refused here, not sooner: what we never begin may be sent again."""
        # Not to be taken for the message of the same id, which the desk keeps.
        if not self._first_time(self.service, f"delivery {delivery}"):
            raise Conflict("delivery-repeated", "This delivery was received before, and is done once.")
        return desk.receive(incoming)

    def _running(self) -> tuple[Desk, ThreadPoolExecutor]:
        desk, pool = self._desk, self._pool
        if desk is None or pool is None:
            raise _not_running()
        return desk, pool

    def _wait(self, future: Future[Answer | None]) -> bool:
        """Whether the answer comes soon enough for the request that asked for it."""
        if not self._patience.acquire(blocking=False):
            return future.done()
        try:
            return bool(wait([future], ANSWER_S).done)
        finally:
            self._patience.release()

    def _result(self, future: Future[Answer | None]) -> Answer | None:
        """What the desk said. Raises what it raised, and Unavailable when we were stopped before it began."""
        if future.cancelled():
            raise _not_running()
        return future.result()

    def _answer_late(self, incoming: Incoming, message: str, future: Future[Answer | None]) -> None:
        """Send what there is to say after the request was answered with 202."""
        if future.cancelled():
            return
        if error := future.exception():
            log.error("%s: a message was not answered: %s", self.service, error, exc_info=error)
            return
        if answer := future.result():
            room = self.direct(incoming.user) if answer.reply.private else incoming.room.id
            if self._keep_sending(room, message, incoming.thread, answer.reply):
                self._posted(answer, room, message, incoming.user)

    def _keep_sending(self, room: str, message: str, thread: str, reply: Reply) -> bool:
        """Send an answer, again if need be, for half a minute. → whether it arrived."""
        pause = self.pace.reserve(room)
        problem = ""
        for next_pause in (*RETRIES_S, 0.0):
            if self._stopping.wait(pause):
                break
            try:
                self._update("post", room, message, thread, reply)
            except RateLimited as error:
                problem, pause = error.message, error.retry_after
            except Unavailable as error:
                problem, pause = error.message, next_pause
            except Undeliverable as error:
                problem = error.message
                break
            else:
                return True
        log.warning("%s: an answer could not be sent: %s", self.service, problem or "we were stopped")
        return False

    def _posted(self, answer: Answer, room: str, message: str, user: str) -> None:
        desk = self._desk
        if answer.operation and desk is not None:
            desk.posted(answer.operation, self.service, room, message, user)

    # --- what we tell the bot

    def _update(self, kind: str, room: str, message: str, thread: str, reply: Reply) -> None:
        """Send one update. Raises as `post` does."""
        self._running()
        person = room.removeprefix(DIRECT) if room.startswith(DIRECT) else ""
        update = {
            "delivery": str(ULID()), "kind": kind, "room": room, "direct": person, "message": message,
            "thread": thread, **self._shown(reply),
        }  # fmt: skip
        body = json.dumps(update).encode()
        self._call(body, {signature.HEADER: signature.sign(self.config.secret.get_secret_value(), body, self._now())})

    def _shown(self, reply: Reply) -> dict[str, Any]:
        """The reply as text and as data. Its details are left to whoever posts them."""
        render = plain.markdown if self.config.format == "markdown" else plain.text
        to_read = reply.model_copy(update={"mention": self._addressed(reply.mention)})
        return {"text": render(to_read), "reply": reply.model_dump(mode="json", exclude={"details"})}

    def _addressed(self, accounts: Sequence[str]) -> tuple[str, ...]:
        """How people are called, as far as the bot has told; by their account otherwise."""
        return tuple(self._names.get(account) or account for account in accounts)

    def _remember(self, user: str, name: str) -> None:
        self._names.pop(user, None)
        self._names[user] = name
        while len(self._names) > NAMES:
            self._names.pop(next(iter(self._names), ""), None)

    def _call(self, body: bytes, headers: Mapping[str, str]) -> None:
        """One request to the callback URL. Raises RateLimited, Unavailable or Undeliverable."""
        if self.config.callback_url is None:
            raise Undeliverable("chat-no-callback", f"The bot {self.service} has no callback URL, so it only answers.")
        try:
            with requests.post(
                self.config.callback_url, data=body, headers={"Content-Type": "application/json", **headers},
                timeout=CALL_S, allow_redirects=False, stream=True,  # only the status matters
            ) as response:  # fmt: skip
                status, pause = response.status_code, response.headers.get("Retry-After", "")
        except requests.RequestException as error:
            self._trouble = f"The bot {self.service} does not answer at its callback URL."
            raise Unavailable("chat-unreachable", self._trouble, detail=type(error).__name__) from error
        self._judge(status, pause)

    def _judge(self, status: int, pause: str) -> None:
        """What the status of an update means; nothing when it arrived."""
        if 200 <= status < 300 or status == 429 or status in self.never:
            self._trouble = None
        if status == 429:
            raise RateLimited(_seconds(pause))
        if status in self.never:
            raise Undeliverable("chat-undeliverable", f"The bot {self.service} has no such room or account.")
        if not 200 <= status < 300:
            self._trouble = f"The bot {self.service} did not take an update: it answered with HTTP {status}."
            raise Unavailable("chat-refused", self._trouble)


def unknown_bot() -> Blueprint:
    """What answers for names that no bot has: register it once, after those of the bots."""
    blueprint = Blueprint("chat-unknown", __name__, url_prefix=ROOT)
    blueprint.add_url_rule("/<path:bot>", "receive", _unknown, methods=["POST"])
    answer_errors(blueprint)
    return blueprint


def _unknown(bot: str) -> Response:
    raise NotFound("bot-unknown", "There is no bot of this name; whoever runs Brinepool knows which there are.")


def _not_running() -> Unavailable:
    return Unavailable("chat-not-running", "Brinepool takes no messages just now; send it again in a few seconds.")


def _seconds(text: str) -> float:
    """Of a Retry-After; half a minute when it is a date or nonsense."""
    return min(float(text), 3600.0) if text.isascii() and text.isdigit() else 30.0
