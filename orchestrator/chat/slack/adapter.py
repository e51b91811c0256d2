"""Slack: slash command, mentions, direct messages, buttons and a form, over Socket Mode or HTTP or both.

slack-bolt receives, verifies and acknowledges; `inbox` understands what came, `blocks` renders what goes
out, `api` calls Slack. Here is what happens when. docs/chat-slack.md says how to install it.
"""

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, request
from slack_bolt import Ack, App
from slack_bolt.adapter.flask.handler import to_bolt_request, to_flask_response
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError, SlackClientError

from orchestrator.chat.base import Abilities, ChatAdapter, Desk, Incoming, Room, Undeliverable
from orchestrator.chat.replies import Reply, Tone
from orchestrator.domain.errors import BadInput, BrinepoolError, Unavailable

from .api import API, Account, SlackApi, quiet
from .blocks import render
from .form import CREATE, TEMPLATE, command, form
from .inbox import Heard, from_click, from_command, from_event, from_form, from_shortcut, place_of
from .socket import Socket
from .work import Backlog

MAX_BODY = 64 * 1024
BUSY = "Brinepool has too much to do right now; try again in a minute."
_NOT_OURS = "Brinepool does not work for this workspace."
_THREADS = 1000  # of so many messages we remember the thread

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Seconds. `first` to `longest`: between attempts to reach Slack. `check`: between looks whether it is still there.
    `ping`: between looks whether the socket is alive."""

    first: float = 1.0
    longest: float = 30.0
    check: float = 60.0
    ping: float = 2.0


class Slack(ChatAdapter):
    """One Slack workspace.

    `bot_token`: xoxb-..., what we may do there. `app_token`: xapp-..., for Socket Mode. `signing_secret`: for HTTP.
    `templates`: the templates to choose from in the form now, by name with their descriptions. `threads`: how many
    people are served at the same time. `waiting`: how many more wait, before others are told to try again.
    Raises BadInput("setting-invalid") when a token is missing or of another kind.
    """

    service = "slack"
    # chat.postMessage takes about one message a second in a room, chat.update about 50 calls a minute in all.
    abilities = Abilities(interval_s=1.1, edits_per_minute=45.0)

    def __init__(
        self,
        bot_token: str,
        *,
        app_token: str = "",
        signing_secret: str = "",
        templates: Callable[[], Mapping[str, str]] = dict,
        slash: str = "/brine",
        url: str = API,
        threads: int = 8,
        waiting: int = 200,
        patience: Patience | None = None,
    ) -> None:
        _check_tokens(bot_token, app_token, signing_secret)
        self._templates, self._slash = templates, slash
        self._patience = patience or Patience()
        self._api = SlackApi(bot_token, url)
        self._secret = signing_secret
        self._app = self._bolt(bot_token, signing_secret, url)
        client = self._api.client(app_token, url)
        self._socket = Socket(self._app, app_token, client, self._patience.ping) if app_token else None
        self._work = Backlog("slack", threads, waiting)
        self._quick = Backlog("slack-quick", 2, waiting)  # forms must open within 3 s, however long others wait
        self._desk: Desk | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep_in_touch, name="slack-keeper", daemon=True)
        # In which thread a message is: below one that is in a thread itself, Slack has no other.
        self._threads: dict[tuple[str, str], str] = {}

    # --- the contract

    def start(self, desk: Desk) -> None:
        """The contract's `start`."""
        self._desk = desk
        self._keeper.start()

    def stop(self) -> None:
        """The contract's `stop`."""
        self._stopping.set()
        if self._keeper.is_alive():
            self._keeper.join()
        if self._socket:
            self._socket.close()
        self._work.stop()
        self._quick.stop()

    def post(self, room: str, reply: Reply, thread: str = "") -> str:
        """The contract's `post`. What is private is not said in a room: there `answer` shows it to one person only."""
        self._check_running()
        if reply.private and not self._api.room(room).direct:
            raise Undeliverable("chat-undeliverable", "That is for one person only; it is not said in a room.")
        thread = self._threads.get((room, thread), thread)
        message = self._api.post(room, render(reply), thread)
        if thread:
            if len(self._threads) >= _THREADS:
                self._threads.clear()
            self._threads[room, message] = thread
        return message

    def edit(self, room: str, message: str, reply: Reply) -> None:
        """The contract's `edit`. Slack notifies nobody of a message that is changed."""
        self._check_running()
        self._api.update(room, message, render(reply))

    def direct(self, user: str) -> str:
        """The contract's `direct`."""
        self._check_running()
        return self._api.direct(user)

    def room(self, name: str) -> str | None:
        """The contract's `room`."""
        self._check_running()
        return self._api.room_called(name.removeprefix("#"))

    def blueprint(self) -> Blueprint | None:
        """POST /chat/slack/events, for all that Slack sends, when there is a signing secret."""
        if not self._secret:
            return None
        blueprint = Blueprint("chat_slack", __name__, url_prefix="/chat/slack")
        blueprint.add_url_rule("/events", "events", self._over_http, methods=["POST"])
        return blueprint

    def problem(self) -> str | None:
        """The contract's `problem`."""
        if self._api.trouble:
            return self._api.trouble
        if not self._api.me.user:
            return "Brinepool has not reached Slack yet."
        if self._socket and not self._socket.connected:
            return "The connection to Slack is broken; it is made again by itself."
        return None

    # --- staying connected

    def _keep_in_touch(self) -> None:
        pause = self._patience.first
        while not self._stopping.is_set():
            if self._reached():
                pause = self._patience.first
                self._stopping.wait(self._patience.check)
            else:
                self._stopping.wait(pause)
                pause = min(pause * 2, self._patience.longest)

    def _reached(self) -> bool:
        try:
            self._api.introduce()
            if self._socket:
                self._socket.open()
        except BrinepoolError as error:
            log.warning("slack: %s", error.message)
        except (SlackApiError, SlackClientError, OSError) as error:
            log.warning("slack: Socket Mode is refused, or does not answer: %s", error)
        else:
            return True
        return False

    def _check_running(self) -> None:
        if self._desk is None or self._stopping.is_set():
            raise Unavailable("chat-not-running", "Brinepool is not connected to Slack.")

    # --- what comes in: acknowledged at once, and done later

    def _bolt(self, token: str, secret: str, url: str) -> App:
        """bolt without what would call Slack while somebody waits, and without what answers before it has verified."""
        app = App(
            logger=quiet,
            name="brinepool",
            client=self._api.client(None, url),
            signing_secret=secret,
            request_verification_enabled=bool(secret),
            # (bolt's annotation leaves out that None is how to say no)
            authorize=lambda team_id, enterprise_id: self._authorise(token, team_id, enterprise_id),  # type: ignore
            user_facing_authorize_error_message=_NOT_OURS,
            process_before_response=True,  # our listeners only hand over; bolt's own threads would do no better
            ssl_check_enabled=False,
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        app.command(self._slash)(self._on_command)
        app.event(re.compile(".*"))(self._on_event)
        app.action(re.compile(".*"))(self._on_click)
        app.shortcut(CREATE)(self._on_shortcut)
        app.view(CREATE)(self._on_form)
        return app

    def _authorise(self, token: str, team: str | None, organisation: str | None) -> AuthorizeResult | None:
        """Who we are, for bolt; None for requests from a workspace that is not ours."""
        me = self._api.me
        if me.team and team != me.team and (not me.organisation or organisation != me.organisation):
            return None
        return AuthorizeResult(
            enterprise_id=organisation, team_id=team, bot_user_id=me.user or None, bot_id=me.bot or None,
            bot_token=token,
        )  # fmt: skip

    def _over_http(self) -> Response:
        """One request of Slack's. bolt verifies it; what bolt would stumble over is turned away before."""
        request.max_content_length = MAX_BODY
        if self._desk is None or self._stopping.is_set():
            abort(503)
        sent, signature = (request.headers.get(f"X-Slack-{name}", "") for name in ("Request-Timestamp", "Signature"))
        if not re.fullmatch(r"[0-9]{1,12}", sent) or not signature.isascii():
            abort(401)
        try:
            asked = to_bolt_request(request)
        except (ValueError, AttributeError, TypeError, RecursionError):
            abort(400)
        return to_flask_response(self._app.dispatch(asked))

    def _on_command(self, ack: Ack, body: dict[str, Any]) -> None:
        taken = self._take(from_command(body))
        ack() if taken else ack(text=BUSY)

    def _on_event(self, ack: Ack, event: dict[str, Any]) -> None:
        ack()
        direct = event.get("type") == "message" and event.get("channel_type") == "im"
        if direct or event.get("type") == "app_mention":
            self._take_or_tell(from_event(event, self._api.me.user))

    def _on_click(self, ack: Ack, body: dict[str, Any]) -> None:
        ack()
        self._take_or_tell(from_click(body))

    def _on_shortcut(self, ack: Ack, body: dict[str, Any]) -> None:
        ack()
        self._take_or_tell(from_shortcut(body))

    def _on_form(self, ack: Ack, body: dict[str, Any], view: dict[str, Any]) -> None:
        text, wrong = command(view.get("state") or {})
        if not wrong and not self._take(from_form(body, text)):
            wrong = {TEMPLATE: BUSY}
        ack(response_action="errors", errors=wrong) if wrong else ack()

    def _take(self, heard: Heard) -> bool:
        if heard.trigger and heard.text.lower() == "create":
            return self._quick.take(lambda: self._open_form(heard))
        return self._work.take(lambda: self._hear(heard))

    def _take_or_tell(self, heard: Heard | None) -> None:
        if heard and not self._take(heard) and not heard.bot:
            self._quick.take(lambda: self._tell(heard, BUSY))

    # --- in threads of ours

    def _hear(self, heard: Heard) -> None:
        if self._desk is None or self._stopping.is_set():
            return
        try:
            incoming = self._incoming(heard)
        except BrinepoolError as error:
            log.info("slack: nothing was done for %s in %s: %s", heard.user, heard.room, error.message)
            if not (heard.bot or heard.edited):
                self._tell(heard, error.message)
            return
        self.answer(self._desk, incoming)

    def _incoming(self, heard: Heard) -> Incoming:
        """Raises as `SlackApi` does: when Slack does not say who that is, or where, nothing is done."""
        room = self._api.room(heard.room) if heard.room else Room(self._api.direct(heard.user), direct=True)
        account = Account() if heard.bot else self._api.account(heard.user)
        return Incoming(
            self.service, heard.user, room, heard.text, heard.message, heard.thread, account.name, account.email,
            heard.answer, heard.edited, heard.bot,
        )  # fmt: skip

    def _open_form(self, heard: Heard) -> None:
        templates = self._templates()
        try:
            if heard.room:
                self._api.room(heard.room)  # or the answer could not be given there
            if templates:
                self._api.open_form(heard.trigger, form(templates, place_of(heard)))
        except BrinepoolError as error:
            self._tell(heard, f"The form could not be shown. {error.message}")
        else:
            if not templates:
                self._tell(heard, "There is no template yet; somebody of ops has to write one.")

    def _say(self, incoming: Incoming, reply: Reply) -> str | None:
        """As in the base class; what is private is shown to the one who asked, in the room, if Slack lets us."""
        if reply.private and not incoming.room.direct:
            try:
                self._api.whisper(incoming.room.id, incoming.user, render(reply), incoming.thread)
            except BrinepoolError as error:
                log.info("slack: said in a direct conversation instead: %s", error.message)
            else:
                return None
        return super()._say(incoming, reply)

    def _tell(self, heard: Heard, sentence: str) -> None:
        """Say something to one person, wherever that is possible."""
        message = render(Reply(title=sentence, tone=Tone.WARNING))
        ways: list[Callable[[], object]] = [lambda: self._api.post(self._api.direct(heard.user), message)]
        if heard.room:
            ways.insert(0, lambda: self._api.whisper(heard.room, heard.user, message, heard.thread))
        if heard.url:
            ways.insert(0, lambda: self._api.respond(heard.url, message))
        for way in ways:
            try:
                way()
            except BrinepoolError as error:
                log.info("slack: %s", error.message)
            else:
                return
        log.warning("slack: %s could not be told: %s", heard.user, sentence)

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._stopping.wait(seconds)


def _check_tokens(bot: str, app: str, secret: str) -> None:
    if not bot.startswith("xoxb-"):
        raise BadInput("setting-invalid", "Slack's bot token begins with xoxb-; copy it from “OAuth & Permissions”.")
    if app and not app.startswith("xapp-"):
        raise BadInput("setting-invalid", "Slack's app token begins with xapp-; copy it from “Basic Information”.")
    if not (app or secret):
        raise BadInput(
            "setting-invalid",
            "For Slack set the app token (Socket Mode) or the signing secret (HTTP); docs/chat-slack.md says which.",
        )
