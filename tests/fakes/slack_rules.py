"""What Slack accepts: text, blocks and forms within its limits, tokens with scopes, and so many calls a minute."""

import html
import json
import re
import time
from collections import Counter
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

MAX_BLOCKS, MAX_FORM_BLOCKS = 50, 100
MAX_TEXT = 4000
MAX_BLOCKS_JSON = 13_200
LENGTHS = {
    "section.text": 3000,
    "section.fields": 2000,
    "header.text": 150,
    "context.elements": 3000,
    "input.hint": 2000,
}
MODAL = {"title": 24, "submit": 24, "close": 24}

# What an app may do with a token, by method; the scope that a bot token needs, or the app token itself.
SCOPES = {
    "auth.test": "",
    "apps.connections.open": "connections:write",
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "conversations.info": "channels:read",
    "conversations.list": "channels:read",
    "conversations.open": "im:write",
    "users.info": "users:read",
    "views.open": "",
}
READS = {"is_im": "im:read", "is_mpim": "mpim:read", "is_private": "groups:read"}  # what else a kind of room needs
FORM_ONLY = {"conversations.info", "conversations.list", "users.info"}  # they ignore a body of JSON
# Calls a second for long, and how many at once. The reference gives them as tiers a minute, and one message a second
# in a room “with short bursts”.
RATES = {
    "chat.postMessage": (1.0, 5),
    "chat.update": (50 / 60, 20),
    "chat.postEphemeral": (100 / 60, 50),
    "conversations.list": (20 / 60, 20),
    "conversations.info": (50 / 60, 50),
    "users.info": (100 / 60, 50),
    "views.open": (100 / 60, 50),
}


class Refused(Exception):
    """An answer with ok: false."""

    def __init__(self, code: str, why: str = "", **more: Any) -> None:
        super().__init__(f"{code}: {why}")
        self.answer = {"ok": False, "error": code, **more}


class Rates:
    """Counts calls: chat.postMessage in each room, the others in the whole workspace."""

    def __init__(self) -> None:
        self.limited: Counter[str] = Counter()
        self.strict = True
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def wait_for(self, method: str, room: str) -> int:
        """0, or in how many seconds to come back."""
        if method not in RATES or not self.strict:
            return 0
        rate, burst = RATES[method]
        key = (method, room if method == "chat.postMessage" else "")
        now = time.monotonic()
        tokens, before = self._buckets.get(key, (float(burst), now))
        tokens = min(float(burst), tokens + (now - before) * rate)
        self._buckets[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        if tokens >= 1:
            return 0
        self.limited[method] += 1
        return int((1 - tokens) / rate) + 1


def check_message(data: dict[str, Any]) -> None:
    """Raises Refused for a message that Slack would refuse, or show cut off."""
    text, blocks = data.get("text") or "", data.get("blocks") or []
    if not text:
        raise Refused("no_text", "nothing for notifications and screen readers")
    if len(text) > MAX_TEXT:
        raise Refused("msg_too_long", str(len(text)))
    if len(json.dumps(blocks, ensure_ascii=False)) > MAX_BLOCKS_JSON:
        raise Refused("msg_blocks_too_long")
    check_blocks(blocks, MAX_BLOCKS)


def check_blocks(blocks: Any, most: int) -> None:
    """Raises Refused for what is no block, has a key that Slack does not know, or is longer than it may be."""
    if not isinstance(blocks, list) or len(blocks) > most:
        raise Refused("invalid_blocks", f"{len(blocks)} blocks")
    for block in blocks:
        try:
            parsed = Block.parse(block)
            assert parsed is not None, "a type that the SDK does not know"
            _validate(parsed)
            assert parsed.to_dict() == block, f"{block} was understood as {parsed.to_dict()}"
            _check_texts(block)
        except (AssertionError, TypeError, SlackObjectFormationError) as error:
            raise Refused("invalid_blocks", f"{error} in {json.dumps(block)[:300]}") from error
    names = [
        element["action_id"] for block in blocks for element in block.get("elements", []) if "action_id" in element
    ]
    if len(set(names)) != len(names):
        raise Refused("invalid_blocks", "an action_id is used twice")


def _validate(parsed: Any) -> None:
    """The SDK's own checks, of the block and of what is in it."""
    parsed.validate_json()
    for name in ("text", "label", "hint", "element", "placeholder", "options", "fields", "elements", "description"):
        inside = getattr(parsed, name, None)
        for each in inside if isinstance(inside, list) else [inside]:
            if hasattr(each, "validate_json"):
                _validate(each)


def _check_texts(block: dict[str, Any]) -> None:
    for where in ("text", "fields", "elements", "hint"):
        inside = block.get(where)
        for each in inside if isinstance(inside, list) else [inside]:
            if isinstance(each, dict) and isinstance(each.get("text"), str):
                length = LENGTHS.get(f"{block['type']}.{where}", 3000)
                assert 1 <= len(each["text"]) <= length, f"{where} of {len(each['text'])} characters"
    plain = [block["text"]] if block["type"] == "header" else []
    plain += [one["text"] for one in block.get("elements", []) if one["type"] == "button"]
    assert all(text["type"] == "plain_text" for text in plain), "headers and buttons are plain text"


def check_view(view: Any) -> None:
    """Raises Refused for a form that Slack would not show."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        raise Refused("invalid_arguments", "no modal")
    unknown = set(view) - {"type", "callback_id", "private_metadata", "title", "submit", "close", "blocks"}
    if unknown:
        raise Refused("invalid_arguments", f"unknown: {unknown}")
    for part, longest in MODAL.items():
        if not 1 <= len(view[part]["text"]) <= longest or view[part]["type"] != "plain_text":
            raise Refused("invalid_arguments", f"{part}: {view[part]}")
    if len(view.get("private_metadata", "")) > 3000 or len(view.get("callback_id", "")) > 255:
        raise Refused("invalid_arguments", "private_metadata or callback_id")
    check_blocks(view["blocks"], MAX_FORM_BLOCKS)


def readable(blocks: list[dict[str, Any]]) -> str:
    """All that can be read in blocks, in order, as it looks."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                walk(each)
        elif isinstance(node, dict) and isinstance(node.get("text"), str):
            found.append(_seen(node["text"]) if node["type"] == "mrkdwn" else node["text"])
        elif isinstance(node, dict):
            for key in ("text", "fields", "elements", "label", "hint"):
                walk(node.get(key))

    walk(blocks)
    return "\n".join(found).replace("\u200b", "")


def _seen(text: str) -> str:
    """Markup as it looks: links, bold text and code without what makes them so."""
    text = re.sub(r"<(https?://[^>|]+)>", r"\1", text)
    text = re.sub(r"^```\n|\n```$", "", text)
    return html.unescape(re.sub(r"^\*(.*?)\*$", r"\1", text, flags=re.MULTILINE))
