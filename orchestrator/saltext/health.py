"""What answers at an app's URL: one question, bounded in time and in what is read of the answer, and who listens there.

Nothing here masks: what an answer says must be masked before it is shown, and again after `readable` and before it is
cut, because half a secret would not be recognised.
"""

import http.client
import re
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlsplit

BODY_BYTES = 256 * 1024
STARTING_SECONDS = 5  # a start script says that it has started a moment after its process has begun

_SKIPPED = re.compile(r"<(/?)(?:script|style|svg)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<!--|-->|<[^<>]*>")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]+")
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  (looked for, not listened on)


@dataclass(frozen=True)
class Answer:
    """`status` is 0 and `error` says why when there was none. `text`: as far as it was read, unmasked; of what is fine
    nothing is read."""

    status: int = 0
    text: str = ""
    error: str = ""
    is_http: bool = True

    @property
    def ok(self) -> bool:
        """Whether it is what a healthy app answers."""
        return 200 <= self.status < 300

    @property
    def told(self) -> str:
        """What it did, as the end of a sentence about a URL."""
        if self.status:
            return f"it answered {self.status}"
        return f"it did not answer ({self.error})" if self.is_http else f"it did not answer in HTTP ({self.error})"


def ask(url: str, seconds: float) -> Answer:
    """What the URL answers within `seconds`, however slowly it does. Never through a proxy: it is our own machine."""
    handlers = (urllib.request.ProxyHandler({}), _Handler(time.monotonic() + seconds))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=seconds) as response:
            return Answer(response.status, "" if 200 <= response.status < 300 else _text_of(response))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _text_of(error))
    except (OSError, ValueError) as error:
        return Answer(error=str(getattr(error, "reason", error)))
    except Exception as error:  # noqa: BLE001  (http.client has its own tree of errors for what is no HTTP)
        return Answer(error=type(error).__name__, is_http=False)


def readable(text: str) -> str:
    """Of a page its words, without tags and scripts; other text as it is. Takes time in proportion to the text."""
    if re.match(r"\s*<(?:!doctype|html|head|body|h\d|p|div|title)\b", text, re.IGNORECASE):
        pieces = _SKIPPED.split(text)  # text, "" or "/", text, ...: what follows an opening tag is skipped
        shown = "\n".join(piece for piece, before in zip(pieces[::2], ["/", *pieces[1::2]], strict=True) if before)
        text = unescape(_TAG.sub("\n", shown))
    lines = (" ".join(_UNPRINTABLE.sub(" ", line).split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def other_listener(url: str, started: float | None) -> str:
    """Who listens at the URL's address and port although it is not what was `started` then; "" for nobody.

    It is another one when its process was there before; `None`: whoever listens is another one.
    """
    found = _listeners(url)
    if not found or any(_belongs(process, started) for process in found):
        return ""
    where = urlsplit(url)
    who = next((f"{process.name()}, process {process.pid}" for process in found if process), "of another user")
    return f"something else listens on {where.hostname}:{where.port or 80} ({who})"


def _listeners(url: str) -> list[Any]:
    """The processes that listen there; None for one that we may not look at."""
    import psutil  # imported late: minions load the states at their start

    where = urlsplit(url)
    places = {(address, where.port or 80) for address in (where.hostname, *_ANYWHERE)}
    open_ones = psutil.net_connections("tcp")
    listening = [one for one in open_ones if one.status == psutil.CONN_LISTEN and tuple(one.laddr) in places]
    return [_process(one.pid) for one in listening]


def _process(pid: int | None) -> Any:
    import psutil

    try:
        return psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None


def _belongs(process: Any, started: float | None) -> bool:
    return process is not None and started is not None and process.create_time() > started - STARTING_SECONDS


def _text_of(response: Any) -> str:
    """The beginning of what it says, as text; "" for pictures and the like.

    Of an answer that is too long, too slow or breaks off only whole lines: half a secret would not be recognised.
    """
    if response.headers.get_content_maintype() in ("image", "audio", "video", "font"):
        return ""
    data, is_whole = b"", False
    try:
        while len(data) < BODY_BYTES and not is_whole:
            more = response.read1(BODY_BYTES - len(data))
            data, is_whole = data + more, not more
    except (OSError, ValueError, http.client.HTTPException):
        pass  # what came until then is what there is
    if not is_whole:
        data = data[: data.rfind(b"\n") + 1]
    try:
        return data.decode(response.headers.get_content_charset() or "utf-8", errors="replace")
    except LookupError:
        return data.decode(errors="replace")


class _Timed(socket.socket):
    """A socket that is read until a moment, and not for some seconds after each byte."""

    until: float

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(max(self.until - time.monotonic(), 0.001))
        return super().recv_into(*arguments)


class _Connection(http.client.HTTPConnection):
    until: float

    def connect(self) -> None:
        self.timeout = max(self.until - time.monotonic(), 0.001)
        super().connect()
        timed = _Timed(fileno=self.sock.detach())
        timed.until = self.until
        self.sock = timed


class _Handler(urllib.request.HTTPHandler):
    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **options: Any) -> _Connection:
        made = _Connection(host, **options)
        made.until = self._until
        return made
