"""What Matrix events say to us. Pure: an event as the server sends it → what was said, or what was pressed.

Events come from anybody's client, so nothing about their content is taken for granted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

Event = Mapping[str, Any]

_TO = re.compile(r"^https?://matrix\.to/#/([^?]+)")
_QUOTED = ("mx-reply", "blockquote")


@dataclass(frozen=True)
class Me:
    """Our account. `names`: what people call it besides its id: its local part and its display name."""

    user: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """Somebody said something to us. `thread`: the message that its thread began with."""

    id: str
    user: str
    text: str
    thread: str = ""
    edited: bool = False
    bot: bool = False


@dataclass(frozen=True)
class Reacted:
    """Somebody put the reaction `key` on the message `to`."""

    id: str
    user: str
    to: str
    key: str


def heard(event: Event, me: Me, direct: bool) -> Said | Reacted | None:
    """What an event says to us; None when it is our own, or not meant for us. `direct`: everything said there is."""
    user, content = _text(event, "sender"), _mapping(event, "content")
    if not user or user == me.user or "state_key" in event:
        return None
    if event.get("type") == "m.reaction":
        return _reaction(event, user, content)
    if event.get("type") == "m.room.message":
        return _message(event, user, content, me, direct)
    return None


def root_of(event: Event) -> str:
    """The message that the thread of this event began with; empty when it is in none."""
    relation = _mapping(_mapping(event, "content"), "m.relates_to")
    return _text(relation, "event_id") if relation.get("rel_type") == "m.thread" else ""


def joined_at(events: Sequence[Event], user: str, invited: bool = True) -> int | None:
    """The first of these events that counts when we joined the room among them; None when we did not.

    `invited`: what was said between our invitation and our joining counts, too.
    """
    first, invitation = None, None
    for place, event in enumerate(events):
        if event.get("type") != "m.room.member" or event.get("state_key") != user:
            continue
        membership = _mapping(event, "content").get("membership")
        before = _mapping(_mapping(event, "unsigned"), "prev_content").get("membership")
        if membership == "invite":
            invitation = place
        elif membership == "join" and before != "join":
            first, invitation = invitation if invited and invitation is not None else place, None
    return first


def _reaction(event: Event, user: str, content: Event) -> Reacted | None:
    relation = _mapping(content, "m.relates_to")
    to, key = _text(relation, "event_id"), _text(relation, "key")
    if not to or not key or relation.get("rel_type") != "m.annotation":
        return None
    return Reacted(_text(event, "event_id"), user, to, key)


def _message(event: Event, user: str, content: Event, me: Me, direct: bool) -> Said | None:
    edited = _mapping(content, "m.relates_to").get("rel_type") == "m.replace"
    said = _mapping(content, "m.new_content") if edited else content
    if said.get("msgtype") not in ("m.text", "m.notice"):
        return None
    body = _without_quotation(said, _text(said, "body").strip())
    text = _after_name(body, me)
    if text is None and _mentions(said, me):
        text = _without_mention(body, me)
    if text is None and not direct:
        return None
    text = body if text is None else text
    bot = said["msgtype"] == "m.notice"
    return Said(_text(event, "event_id"), user, text, thread=root_of(event), edited=edited, bot=bot)


def _without_quotation(said: Event, body: str) -> str:
    """Older clients repeat what they reply to, as lines that begin with `>`."""
    if "m.in_reply_to" not in _mapping(said, "m.relates_to"):
        return body
    lines = body.split("\n")
    while lines and lines[0].startswith(">"):
        lines.pop(0)
    return "\n".join(lines).strip()


def _after_name(body: str, me: Me) -> str | None:
    """The text after `brine:`, `@brine`, `@brine:server` or `!brine`; None when it does not begin with our name."""
    for name in _names(me):
        # Behind `@brine:` there may be a server, which would make it somebody else.
        if match := re.match(rf"(?:@{name}[:,]?(?=\s|$)|!{name}(?:[:,]|(?=\s|$))|{name}[:,])\s*", body, re.IGNORECASE):
            return body[match.end() :].strip()
    return None


def _without_mention(body: str, me: Me) -> str:
    """What a message that mentions us says, without our name where it begins or ends with it: `help @brine`."""
    for name in _names(me):
        for around in (rf"^@?{name}(?=\s|$)", rf"(?:^|[\s,]+)@?{name}$"):
            without, found = re.subn(around, "", body, count=1, flags=re.IGNORECASE)
            if found:
                return without.strip()
    return body


def _names(me: Me) -> list[str]:
    """Our names as patterns, the longest first: a part of one must not pass for all of it."""
    return [re.escape(name.removeprefix("@")) for name in sorted((me.user, *me.names), key=len, reverse=True) if name]


def _mentions(said: Event, me: Me) -> bool:
    """Whether the message notifies us: as its client says, or as older clients did it, by a link to our account."""
    if "m.mentions" in said:
        users = _mapping(said, "m.mentions").get("user_ids")
        return isinstance(users, list) and me.user in users
    links = _Links()
    links.feed(_text(said, "formatted_body"))
    return me.user in links.accounts


class _Links(HTMLParser):
    """The accounts that a text links to, outside of what it quotes."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: set[str] = set()
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _QUOTED:
            self._depth += 1
        elif tag == "a" and not self._depth and (match := _TO.match(dict(attrs).get("href") or "")):
            self.accounts.add(unquote(match[1]))

    def handle_endtag(self, tag: str) -> None:
        if tag in _QUOTED and self._depth:
            self._depth -= 1


def _mapping(holder: Event, key: str) -> Event:
    found = holder.get(key)
    return found if isinstance(found, Mapping) else {}


def _text(holder: Event, key: str) -> str:
    found = holder.get(key)
    return found if isinstance(found, str) else ""
