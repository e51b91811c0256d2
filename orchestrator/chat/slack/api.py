"""Slack's Web API as the adapter needs it: one attempt a call, errors in our words, and what is worth remembering."""

import http.client
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse
from slack_sdk.webhook import WebhookClient

from orchestrator.chat.base import RateLimited, Room, Undeliverable
from orchestrator.domain.errors import BrinepoolError, Unavailable

from .blocks import Message

API = "https://slack.com/api/"
_ANSWER_SECONDS = 10
_ROOM_SECONDS = 60.0  # how long a room keeps its name for us after it was renamed
_ROOMS_SECONDS = 30.0
_USER_SECONDS = 600.0
_REMEMBERED = 5000
_PAGES = 50  # of 200 rooms
_FIRST_PAUSE = 30.0  # what to wait when Slack does not say

_NO_ROOM = "Brinepool is not in that Slack room; invite it there with /invite @Brinepool."
_NO_MESSAGE = "That message cannot be changed in Slack any more."
_NO_USER = "Slack has no such account, or it is closed."
_FORBIDDEN = "The Slack workspace does not let Brinepool post there; an admin of the workspace can allow it."
_NEVER = {
    "channel_not_found": _NO_ROOM,
    "not_in_channel": _NO_ROOM,
    "user_not_in_channel": "They are not in that Slack room.",
    "is_archived": "That Slack room is archived; unarchive it, or name another one in the template.",
    "message_not_found": _NO_MESSAGE,
    "cant_update_message": _NO_MESSAGE,
    "edit_window_closed": _NO_MESSAGE,
    "thread_not_found": _NO_MESSAGE,
    "user_not_found": _NO_USER,
    "users_not_found": _NO_USER,
    "user_disabled": _NO_USER,
    "cannot_dm_bot": _NO_USER,
    "restricted_action": _FORBIDDEN,
    "restricted_action_read_only_channel": _FORBIDDEN,
    "expired_trigger_id": "That click was too long ago; try again.",
}
# Not for ever: it works again as soon as ops have put it right.
_REFUSED = {
    "account_inactive", "access_denied", "ekm_access_denied", "invalid_auth", "no_permission", "not_allowed_token_type",
    "not_authed", "org_login_required", "team_access_not_granted", "token_expired", "token_revoked",
}  # fmt: skip
_PASSING = {
    "fatal_error",
    "internal_error",
    "rollup_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
}
_GUEST = ("is_restricted", "is_ultra_restricted", "is_stranger", "is_bot", "deleted")

log = logging.getLogger(__name__)
quiet = logging.getLogger(f"{__name__}.sdk")  # below warnings, bolt and the SDK log what people say
quiet.setLevel(logging.WARNING)
T = TypeVar("T")


@dataclass(frozen=True)
class Me:
    """Who we are in Slack, as auth.test says; empty until it did."""

    user: str = ""
    bot: str = ""
    team: str = ""
    organisation: str = ""


@dataclass(frozen=True)
class Account:
    """Somebody's account. `email`: only of full members of our own workspace who have confirmed it: in a shared room
    another company vouches for its people, and guests are not checked at all."""

    name: str = ""
    email: str = ""


class SlackApi:
    """Every call raises RateLimited, Unavailable (`chat-unreachable`, `chat-refused`: ops have to look at the token
    or the permissions) or Undeliverable, and is made once. Safe to share between threads.

    `trouble`: what is wrong with Slack now, in a sentence; None when the last call was answered.
    """

    def __init__(self, token: str, url: str = API, clock: Callable[[], float] = time.monotonic) -> None:
        # Verification is on here, whatever another library does to this process's defaults.
        self.tls = ssl.create_default_context()
        self.web = self.client(token, url)
        self.me = Me()
        self.trouble: str | None = None
        self._users: _Memory[Account] = _Memory(_USER_SECONDS, clock)
        self._rooms: _Memory[Room] = _Memory(_ROOM_SECONDS, clock)
        self._listing: _Memory[dict[str, list[str]]] = _Memory(_ROOMS_SECONDS, clock)
        self._directs: _Memory[str] = _Memory(_USER_SECONDS, clock)

    def client(self, token: str | None, url: str) -> WebClient:
        """A client of slack_sdk that verifies, gives up in time, and does not try again by itself."""
        return WebClient(token, base_url=url, timeout=_ANSWER_SECONDS, ssl=self.tls, retry_handlers=[], logger=quiet)

    def introduce(self) -> None:
        """Ask Slack who we are."""
        data = self._call(self.web.auth_test)
        self.me = Me(*(str(data.get(key) or "") for key in ("user_id", "bot_id", "team_id", "enterprise_id")))

    def post(self, room: str, message: Message, thread: str = "") -> str:
        """→ the id of the new message."""
        data = self._call(
            self.web.chat_postMessage, channel=room, text=message.text, blocks=message.blocks,
            thread_ts=thread or None, unfurl_links=False, unfurl_media=False,
        )  # fmt: skip
        return str(data["ts"])

    def whisper(self, room: str, user: str, message: Message, thread: str = "") -> None:
        """What only one person sees in the room. It cannot be changed afterwards."""
        self._call(
            self.web.chat_postEphemeral, channel=room, user=user, text=message.text, blocks=message.blocks,
            thread_ts=thread or None,
        )  # fmt: skip

    def update(self, room: str, ts: str, message: Message) -> None:
        """Replace a message of ours."""
        self._call(self.web.chat_update, channel=room, ts=ts, text=message.text, blocks=message.blocks)

    def open_form(self, trigger: str, view: dict[str, Any]) -> None:
        """Show a form to whoever caused `trigger`, which is good for three seconds."""
        self._call(self.web.views_open, trigger_id=trigger, view=view)

    def respond(self, url: str, message: Message) -> None:
        """Say something to whoever clicked or typed a slash command, also in a room that we are not in."""
        hook = WebhookClient(url, timeout=_ANSWER_SECONDS, ssl=self.tls, retry_handlers=[], logger=quiet)
        try:
            hook.send(text=message.text, blocks=message.blocks, response_type="ephemeral", replace_original=False)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error

    def direct(self, user: str) -> str:
        """The id of the conversation with one account."""

        def opened() -> str:
            return str(self._call(self.web.conversations_open, users=user)["channel"]["id"])

        return self._directs.get(user, opened)

    def account(self, user: str) -> Account:
        """Name and e-mail address of an account."""

        def asked() -> Account:
            if not self.me.team:
                self.introduce()  # or nobody could be told from people of other companies
            return self._account(self._call(self.web.users_info, user=user).get("user") or {})

        return self._users.get(user, asked)

    def room(self, room: str) -> Room:
        """A room that we are in. Undeliverable when we are not, or it has no name: nothing may be done from there."""

        def asked() -> Room:
            channel = self._call(self.web.conversations_info, channel=room).get("channel") or {}
            if channel.get("is_im"):
                return Room(room, direct=True)
            if not channel.get("name") or not (channel.get("is_member") or channel.get("is_mpim")):
                raise Undeliverable("chat-undeliverable", _NO_ROOM)
            return Room(room, str(channel["name"]))

        return self._rooms.get(room, asked)

    def room_called(self, name: str) -> str | None:
        """The id of the one room of that name that we are in; None for none, and for several: which is meant?

        Names are compared letter for letter, so that none passes for another by looking like it.
        """
        found = self._listing.get("", self._listed).get(name, [])
        return found[0] if len(found) == 1 else None

    def _listed(self) -> dict[str, list[str]]:
        named: dict[str, list[str]] = {}
        for channel in self._channels():
            if channel.get("is_member"):
                named.setdefault(str(channel.get("name")), []).append(str(channel.get("id")))
        return named

    def _channels(self) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        for _ in range(_PAGES):
            data = self._call(
                self.web.conversations_list, types="public_channel,private_channel", exclude_archived=True, limit=200,
                cursor=cursor,
            )  # fmt: skip
            yield from data.get("channels") or []
            cursor = (data.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
        log.warning("slack: there are more than %d rooms; those after them are not found by name", _PAGES * 200)

    def _account(self, user: dict[str, Any]) -> Account:
        profile = user.get("profile") or {}
        name = profile.get("display_name") or profile.get("real_name") or user.get("name") or ""
        ours = self.me.team and user.get("team_id") == self.me.team
        organisation = (user.get("enterprise_user") or {}).get("enterprise_id")
        ours = ours or (self.me.organisation and organisation == self.me.organisation)
        vouched = ours and user.get("is_email_confirmed") is True and not any(user.get(flag) for flag in _GUEST)
        return Account(str(name), str(profile.get("email") or "") if vouched else "")

    def _call(self, method: Callable[..., SlackResponse], **arguments: Any) -> dict[str, Any]:
        try:
            data = method(**arguments).data
        except SlackApiError as error:
            raise self._told(error) from error
        # slack_sdk looks into an answer without looking whether it is an object; hence the last two.
        except (SlackClientError, OSError, http.client.HTTPException, ValueError, AttributeError, TypeError) as error:
            raise self._unreachable(error) from error
        if not isinstance(data, dict):
            raise self._unreachable("no JSON")
        self.trouble = None
        return data

    def _told(self, error: SlackApiError) -> BrinepoolError:
        """What Slack said, in our words. Without a code, or with a sentence for one, it was not Slack that answered."""
        response = error.response
        code = str((response.get("error") if isinstance(response, SlackResponse) else "") or "")
        status = getattr(response, "status_code", 0)
        if status == http.client.TOO_MANY_REQUESTS or code in ("ratelimited", "rate_limited"):
            return RateLimited(_pause(response.headers))
        if status >= http.client.INTERNAL_SERVER_ERROR or code in _PASSING or not code or " " in code:
            return self._unreachable(f"{status} {code[:200]}")
        if code in _REFUSED or code == "missing_scope":
            return self._refused(code, str(response.get("needed") or ""))
        self.trouble = None
        return Undeliverable("chat-undeliverable", _NEVER.get(code, f"Slack does not take that ({code})."), detail=code)

    def _refused(self, code: str, needed: str) -> Unavailable:
        self.trouble = f"Slack does not accept our token ({code}); put in the one that the page of the app shows."
        if needed:
            self.trouble = (
                f"The Slack app lacks the permission {needed}; add it on the page of the app and reinstall it."
            )
        return Unavailable("chat-refused", self.trouble, detail=code)

    def _unreachable(self, detail: object) -> Unavailable:
        self.trouble = "Slack does not answer; it is tried again by itself."
        return Unavailable("chat-unreachable", self.trouble, detail=str(detail))


class _Memory(Generic[T]):
    """What was asked for keeps for some seconds. Failures are not kept. Several threads may ask the same at once."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, T]] = {}

    def get(self, key: str, ask: Callable[[], T]) -> T:
        now = self._clock()
        with self._lock:
            known = self._known.get(key)
        if known and now < known[0]:
            return known[1]
        value = ask()
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = (now + self._seconds, value)
        return value


def _pause(headers: Any) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After") or headers.get("retry-after")))
    except (TypeError, ValueError):
        return _FIRST_PAUSE
