"""Mattermost's own webhooks, on top of the webhook adapter: slash commands, outgoing and incoming webhooks, buttons.

Built from Mattermost's documentation (developers.mattermost.com, "Slash commands", "Webhooks" and "Interactive
messages"); not verified against a real server.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from ulid import ULID

from orchestrator.domain.errors import BadInput, NotAllowed

from . import plain
from .base import Answer, Incoming, Room, Undeliverable
from .http import answer_errors, body_of_request, json_response, sentence_of
from .replies import Button, Reply
from .webhook import DIRECT, ROOT, BotConfig, FirstTime, Id, Text, Webhook

_BETWEEN_TWO = re.compile(r"[a-z0-9]{26}__[a-z0-9]{26}")  # the name of the channel in which two people talk
_STYLES = {"": "default", "primary": "primary", "danger": "danger"}
_ACTIONS = 20
_LABEL = 75

Token = Annotated[SecretStr, Field(min_length=8)]


class MattermostConfig(BotConfig):
    """One team on a Mattermost server; docs/chat-webhook.md describes every field.

    `callback_url` is the incoming webhook; ids of rooms are names of channels, which incoming webhooks want.
    """

    tokens: tuple[Token, ...] = Field(min_length=1)
    public_url: str | None = Field(None, pattern=r"^https?://\S+$")


class _Sent(BaseModel):
    """What every request of Mattermost's has; what we do not use is left out."""

    model_config = ConfigDict(frozen=True)

    user_id: Id
    user_name: Text = ""
    channel_name: Text = ""
    trigger_id: str = Field("", max_length=1000)


class _Hook(_Sent):
    """A slash command (`command`) or an outgoing webhook (`post_id`, `trigger_word`)."""

    text: str = ""
    command: Text = ""
    post_id: Text = ""
    trigger_word: Text = ""


class _Context(BaseModel):
    """What a button carries. Mattermost keeps it from people; the seal is ours."""

    model_config = ConfigDict(frozen=True)

    room: Text = ""
    command: str = ""
    answer: Text = ""
    seal: str = ""


class _Click(_Sent):
    trigger_id: str = Field(min_length=1, max_length=1000)  # nothing else tells one click from another
    context: _Context


class Mattermost(Webhook):
    """One team. Incoming webhooks cannot edit, so people read that it began and how it ended."""

    never = frozenset({400, 403, 404, 410})

    def __init__(self, config: MattermostConfig, first_time: FirstTime, now: Callable[[], float] = time.time) -> None:
        buttons = config.public_url is not None
        super().__init__(
            config.model_copy(update={"edits": False, "threads": False, "buttons": buttons}), first_time, now
        )
        self._tokens = [token.get_secret_value() for token in config.tokens]
        self._click_url = f"{(config.public_url or '').rstrip('/')}{ROOT}/{config.name}/mattermost/click"

    def blueprint(self) -> Blueprint:
        """Where Mattermost calls us."""
        blueprint = Blueprint(f"chat-{self.service}", __name__, url_prefix=f"{ROOT}/{self.service}/mattermost")
        blueprint.add_url_rule("", "receive", self._receive, methods=["POST"])
        blueprint.add_url_rule("/click", "click", self._clicked, methods=["POST"])
        answer_errors(blueprint)
        return blueprint

    # --- what people say

    def _receive(self) -> Response:
        fields = _fields(body_of_request())
        self._check_token(str(fields.get("token", "")))
        hook = _hook(fields)
        incoming = self._said(hook)
        delivery = hook.trigger_id or hook.post_id or str(ULID())
        future, message = self._hand(delivery, incoming), str(ULID())
        if not self._wait(future) or (hook.post_id and self._is_private(future)):
            future.add_done_callback(partial(self._answer_late, incoming, message))
            # Whoever typed a command is left with nothing on the screen otherwise; a message stays where it is.
            waiting = {"response_type": "ephemeral", "text": "At work on it …"}
            return json_response(200, waiting if hook.command else {})
        answer = self._result(future)
        if answer is None:
            return json_response(200, {})
        alone = answer.reply.private or incoming.room.direct
        kind = {"response_type": "ephemeral" if alone else "in_channel"} if hook.command else {}
        response = json_response(200, {**kind, **self._message(incoming.room.id, answer.reply)})
        response.call_on_close(partial(self._posted, answer, incoming.room.id, message, incoming.user))
        return response

    def _clicked(self) -> Response:
        """A button. The answer follows as a message, so that it does not matter how long it takes."""
        try:
            click = _Click.model_validate_json(body_of_request())
        except ValidationError as error:
            raise BadInput("message-invalid", sentence_of(error)) from error
        context = click.context
        if not hmac.compare_digest(self._seal(context).encode(), context.seal.encode(errors="replace")):
            raise NotAllowed("token-wrong", "This button is not one of Brinepool's.")
        incoming = self._incoming_from(
            click, context.room, "" if context.answer else context.command, context.answer, click.trigger_id
        )
        future = self._hand(click.trigger_id or str(ULID()), incoming)
        future.add_done_callback(partial(self._answer_late, incoming, str(ULID())))
        return json_response(200, {})

    def _check_token(self, token: str) -> None:
        """All are compared, so that the time it takes does not tell which one is nearly right."""
        fits = [hmac.compare_digest(ours.encode(), token.encode(errors="replace")) for ours in self._tokens]
        if not any(fits):
            raise NotAllowed(
                "token-wrong", "The token is none of this bot's; copy it from Mattermost into the settings."
            )

    def _said(self, hook: _Hook) -> Incoming:
        text = hook.text
        if hook.trigger_word:
            text = text.removeprefix(hook.trigger_word).lstrip(" :,")
        return self._incoming_from(hook, hook.channel_name, text, "", hook.post_id or hook.trigger_id)

    def _incoming_from(self, sent: _Sent, channel: str, text: str, answer: str, message: str) -> Incoming:
        self._remember(sent.user_id, sent.user_name)
        if not channel or channel.startswith(DIRECT) or _BETWEEN_TWO.fullmatch(channel):
            room = Room(self.direct(sent.user_id), direct=True)
        else:
            room = self._known_room(channel, channel)
        return Incoming(
            service=self.service, user=sent.user_id, room=room, text=text, message=message, name=sent.user_name,
            answer=answer,
        )  # fmt: skip

    def _is_private(self, future: Future[Answer | None]) -> bool:
        """What an outgoing webhook is answered with is read by everybody."""
        answer = None if future.cancelled() or future.exception() else future.result()
        return answer is not None and answer.reply.private

    # --- what we tell Mattermost

    def _update(self, kind: str, room: str, message: str, thread: str, reply: Reply) -> None:
        self._running()
        channel = self._known_as(room.removeprefix(DIRECT)) if room.startswith(DIRECT) else room
        self._call(json.dumps({"channel": channel, **self._message(room, reply)}).encode(), {})

    def _known_as(self, user: str) -> str:
        """How an incoming webhook reaches one person. Raises Undeliverable."""
        if name := self._names.get(user):
            return f"@{name}"
        raise Undeliverable(
            "chat-undeliverable",
            f"{self.service} knows nobody with the id {user}; it learns who they are when they write.",
        )

    def _message(self, room: str, reply: Reply) -> dict[str, Any]:
        """The reply as the text of a message, with buttons when Mattermost can reach us."""
        to_read = reply.model_copy(update={"mention": self._addressed(reply.mention)})
        choices = [*reply.options, *reply.buttons][:_ACTIONS]
        if not self.abilities.buttons or not choices:
            return {"text": plain.markdown(to_read)}
        actions = [self._action(number, room, choice) for number, choice in enumerate(choices, 1)]
        title = plain.title_of(reply)
        return {
            "text": plain.markdown(to_read, choices=False),
            "attachments": [{"fallback": title, "actions": actions}],
        }

    def _action(self, number: int, room: str, choice: Button) -> dict[str, Any]:
        context = _Context(room=room, command=choice.command, answer=choice.value)
        return {
            "id": f"choice{number}", "type": "button", "name": plain.clean(choice.label)[:_LABEL] or "-",
            "style": _STYLES[choice.style],
            "integration": {"url": self._click_url, "context": {**context.model_dump(), "seal": self._seal(context)}},
        }  # fmt: skip

    def _seal(self, context: _Context) -> str:
        """What shows that we made this button."""
        sealed = json.dumps(["click", self.service, context.room, context.command, context.answer])
        return hmac.new(self.config.secret.get_secret_value().encode(), sealed.encode(), hashlib.sha256).hexdigest()

    def _addressed(self, accounts: Sequence[str]) -> tuple[str, ...]:
        """Nobody is notified by an id."""
        return tuple(name for account in accounts if (name := self._names.get(account)))


def _fields(body: bytes) -> dict[str, Any]:
    """The fields of a form or of a JSON object, whichever it is."""
    text = body.decode(errors="replace")
    if not text.lstrip().startswith("{"):
        return dict(parse_qsl(text, keep_blank_values=True))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hook(fields: dict[str, Any]) -> _Hook:
    try:
        return _Hook.model_validate(fields)
    except ValidationError as error:
        raise BadInput("message-invalid", sentence_of(error)) from error
