"""What Slack sends us, understood: a slash command, an event, a click or a form as `Heard`. Pure."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .blocks import ANSWER, COMMAND

Payload = Mapping[str, Any]

# Other subtypes of a message are news of the room: somebody came, the topic changed, a message was deleted.
_SAID = {"", "bot_message", "file_share", "me_message", "thread_broadcast"}
_MARKUP = re.compile(r"<(?P<sign>[@#!]?)(?P<target>[^\s<>|]+)(?:\|(?P<label>[^<>]*))?>")
_LEADING = re.compile(r"^[\s,:;]+")


@dataclass(frozen=True)
class Heard:
    """What `Incoming` is made of, before Slack was asked about the person and the room.

    `room`: empty when it was said nowhere (a shortcut). `trigger`: opens a form, for three seconds. `url`: where to say
    something to this person alone, for half an hour.
    """

    user: str
    room: str
    text: str
    message: str
    thread: str = ""
    answer: str = ""
    edited: bool = False
    bot: bool = False
    trigger: str = ""
    url: str = ""


def from_command(body: Payload) -> Heard:
    """A slash command. Slack sends it once; its trigger names it."""
    return Heard(
        user=_text(body, "user_id"),
        room=_text(body, "channel_id"),
        text=plain(_text(body, "text")),
        message=_text(body, "trigger_id"),
        trigger=_text(body, "trigger_id"),
        url=_text(body, "response_url"),
    )


def from_event(event: Payload, our_user: str) -> Heard | None:
    """A mention, or a message in a direct conversation; None when nobody said anything. (bolt drops our own words.)"""
    changed = event.get("subtype") == "message_changed"
    said = _object(event, "message") if changed else event
    text = _text(said, "text")
    if _text(said, "subtype") not in _SAID:
        return None
    if changed and text == _text(_object(event, "previous_message"), "text"):
        return None  # Slack added a preview to it, or the like
    room, ts, edited = _text(event, "channel"), _text(said, "ts"), _text(_object(said, "edited"), "ts")
    bot = bool(_text(said, "bot_id")) or _text(said, "subtype") == "bot_message"
    return Heard(
        user=_text(said, "user") or _text(said, "bot_id"),
        room=room,
        text=_without_us(text, our_user),
        message=":".join(filter(None, [room, ts, edited])),
        thread=_text(said, "thread_ts"),
        edited=changed or bool(edited),
        bot=bot,
    )


def from_click(body: Payload) -> Heard | None:
    """A click on a button of ours; None when it is none."""
    actions = body.get("actions")
    action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], Mapping) else {}
    name, value = _text(action, "action_id"), _text(action, "value")
    if not value or not name.startswith((ANSWER, COMMAND)):
        return None
    message, container = _object(body, "message"), _object(body, "container")
    heard = Heard(
        user=_text(_object(body, "user"), "id"),
        room=_text(_object(body, "channel"), "id") or _text(container, "channel_id"),
        text="" if name.startswith(ANSWER) else value,
        message=_text(body, "trigger_id"),
        thread=_text(message, "thread_ts") or _text(container, "thread_ts"),
        trigger=_text(body, "trigger_id"),
        url=_text(body, "response_url"),
    )
    return replace(heard, answer=value) if name.startswith(ANSWER) else heard


def from_shortcut(body: Payload) -> Heard:
    """Our global shortcut, which is used nowhere in particular."""
    trigger = _text(body, "trigger_id")
    return Heard(_text(_object(body, "user"), "id"), "", "create", trigger, trigger=trigger)


def from_form(body: Payload, text: str) -> Heard:
    """A form that was filled in, as the command `text`. The form keeps where it was opened; a form is sent in once."""
    view = _object(body, "view")
    place = {"place": json.loads(_text(view, "private_metadata") or "{}")}
    return Heard(
        user=_text(_object(body, "user"), "id"),
        room=_text(_object(place, "place"), "room"),
        text=text,
        message=_text(view, "id"),
        thread=_text(_object(place, "place"), "thread"),
    )


def place_of(heard: Heard) -> str:
    """What a form that is opened now keeps, for `from_form`."""
    return json.dumps({"room": heard.room, "thread": heard.thread})


def plain(text: str) -> str:
    """What was typed: Slack's links, mentions and entities undone."""
    return html.unescape(_MARKUP.sub(_typed, text)).strip()


def _typed(match: re.Match[str]) -> str:
    """`<http://shop.dev|shop.dev>` was typed as shop.dev; `<#C1|shop-dev>` as #shop-dev."""
    sign, target, label = match["sign"], match["target"], match["label"]
    if not sign:
        return label or target.removeprefix("mailto:")
    return f"{'@' if sign == '!' else sign}{label or target}"


def _without_us(text: str, our_user: str) -> str:
    """The text without our name; while we do not know it, without the name that it begins with."""
    us = rf"<@{re.escape(our_user)}(?:\|[^<>]*)?>" if our_user else r"^\s*<@[^<>]*>"
    return _LEADING.sub("", plain(re.sub(us, " ", text)))


def _text(data: Payload, key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _object(data: Payload, key: str) -> Payload:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}
