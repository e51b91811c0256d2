"""The execution module `brinepool`: what the orchestrator may ask of a minion, and where an app lives on its machine.

All that leaves the minion through here is masked: no value of an env file is in a return or in a progress event.
"""

import fcntl
import logging
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import groupby
from pathlib import Path
from typing import Any

from orchestrator.domain.masking import Masker

log = logging.getLogger(__name__)

__virtualname__ = "brinepool"
__outputter__ = {"highstate": "highstate"}

MAX_LOG_LINES = 1000
_TAIL_BYTES = 256 * 1024
STARTED = "--- started"  # the start script writes it before each start


def __virtual__() -> str:
    return __virtualname__


def paths(app: str | None = None) -> dict[str, Any]:
    """Where an app lives on this machine, for the formula's map.jinja and for `logs`.

    In a sandbox everything is below the sandbox's folder and runs as the minion's user; on a real machine it is in
    /srv/<app> and belongs to a user of its own. The `.env` is beside the checkout and not in it, so that neither git
    nor a web server that serves the checkout gets hold of it.

    CLI Example: salt cart-test-api-1 brinepool.paths
    """
    app = app or _pillar().get("app", "app")
    sandbox = _in_sandbox()
    base = os.path.join(__opts__["sandbox"]["folder"], "srv", app) if sandbox else os.path.join("/srv", app)
    return {
        "sandbox": sandbox,
        "user": None if sandbox else app,
        "service": app,
        "base": base,
        "checkout": os.path.join(base, "checkout"),
        "env": os.path.join(base, ".env"),
        "start": os.path.join(base, "start"),
        "release": os.path.join(base, "release"),
        "log": os.path.join(base, "app.log"),
    }


def repository(url: str) -> str:
    """The URL that git really uses for `url`, after the machine's `url.<base>.insteadOf`.

    git.latest compares the URL that it is given with the one that git shows, which is the rewritten one; when they
    differ it removes the remote with its branches, and the next switch of branches fails for want of them.

    CLI Example: salt cart-test-api-1 brinepool.repository https://git.example.org/shop/api.git
    """
    asked = subprocess.run(
        ["git", "ls-remote", "--get-url", "--", url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or url


def highstate(test: bool | None = None, **kwargs: Any) -> Any:
    """`state.highstate` with live progress, masked: its return, its progress events and its retcode.

    Takes nothing that could replace data: no pillar, no other environment. While another highstate of ours runs, the
    answer is a list with one sentence and the retcode 1, as Salt itself answers.

    CLI Example: salt cart-test-api-1 brinepool.highstate
    """
    ours = {key: value for key, value in kwargs.items() if key.startswith("__pub_")}  # the jid of the events among them
    seen: set[str] = set(_secrets(__pillar__))
    with _alone() as alone, _masked_events(seen):
        if not alone:
            __context__["retcode"] = 1
            return ["Another highstate is running on this server; wait for its end or cancel it, then try again."]
        returned = __salt__["state.highstate"](test=test, state_events=True, **ours)
        return Masker(seen).run(returned)


def logs(lines: int = 100) -> str:
    """The last lines of the app's own output, masked; a sentence when there is none.

    CLI Example: salt cart-test-api-1 brinepool.logs lines=50
    """
    lines = max(1, min(int(lines), MAX_LOG_LINES))
    tail = log_tail(paths()["log"], lines)
    return Masker(_secrets(__pillar__)).text(tail) or "The app has not written anything yet."


def log_tail(path: str, lines: int = 20) -> str:
    """The last lines of a file; "" without a file. What is said again and again is shown once.

    Never a part of a line: half a secret would not be recognised.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    whole = _lines(text) if size <= _TAIL_BYTES else _lines(text)[1:]
    return "\n".join(_said_once(whole)[-lines:])


def last_words(path: str, lines: int = 20) -> str:
    """What an app has written since it was started last, in so many lines: a third of them from the beginning.

    An app that ends when it is started may say why first, and then print a page of usage.
    """
    written = _lines(log_tail(path, MAX_LOG_LINES))
    starts = [number for number, line in enumerate(written, start=1) if line.startswith(STARTED)]
    said = "\n".join(written[starts[-1] if starts else 0 :]).strip("\n").split("\n")
    if len(said) > lines:
        said = [*said[: lines // 3], "[...]", *said[lines // 3 - lines :]]
    return "\n".join(said)


def _lines(text: str) -> list[str]:
    """Its lines, split only at what no value of an env file can hold; others, such as U+2028, may be inside one."""
    return re.split(r"\r\n|\r|\n", text.rstrip("\r\n")) if text else []


def _said_once(lines: list[str]) -> list[str]:
    """The lines, with a number behind one that repeats the line before it."""
    counted = [(line, len(list(group))) for line, group in groupby(lines)]
    return [line if count == 1 or not line.strip() else f"{line} ({count} times)" for line, count in counted]


def mask(text: str) -> str:
    """The text with the values of this minion's env files masked, for our state module."""
    return Masker(_secrets(__pillar__)).text(text)


def _pillar() -> dict[str, Any]:
    return __pillar__.get("brinepool") or {}


def _in_sandbox() -> bool:
    """Whether this minion is one of the embedded cloud: its services then run without systemd and without root."""
    return (__opts__.get("providers") or {}).get("service") == "sandbox_service"


def _secrets(pillar: Any) -> Iterator[str]:
    """The values in a pillar that came from env files."""
    data = (pillar or {}).get("brinepool") or {}
    plain = set(data.get("plain") or ())
    yield from (str(value) for name, value in (data.get("env") or {}).items() if name not in plain)


@contextmanager
def _alone() -> Iterator[bool]:
    """Held by one highstate at a time; Salt's own check knows only functions called state.*. The kernel frees it."""
    path = Path(__opts__["cachedir"]) / "brinepool-highstate.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _masked_events(seen: set[str]) -> Iterator[None]:
    """Mask the progress events of state runs in this process, and add to `seen` the secrets of their pillar.

    The pillar of a run is compiled at its start and may be newer than the one in the minion's memory, so the secrets
    are taken from the run itself. A job of a minion is a process of its own, so nobody else sees the change; were it a
    thread, two runs would wrap each other and mask twice, which does no harm.
    """
    import salt.state

    original = salt.state.State.event
    salt.state.State.event = _masking(original, seen)
    try:
        yield
    finally:
        salt.state.State.event = original


def _masking(event: Callable[..., Any], seen: set[str]) -> Callable[..., Any]:
    @wraps(event)
    def masked(self: Any, chunk_ret: dict[str, Any], length: int, fire_event: bool | str = False) -> Any:
        seen.update(_secrets(self.opts.get("pillar")))
        result = Masker(seen).state(chunk_ret)
        if fire_event:  # a state that asks for an event of its own
            return event(self, result, length, fire_event)
        return _progress(self, result, length)

    return masked


def _progress(run: Any, result: dict[str, Any], length: int) -> None:
    """Salt's own progress event, handed to the minion, which is logged in at the master.

    `State.event` logs in anew for each state, which takes 0.1 s of every state.
    """
    tag = f"salt/job/{run.jid}/prog/{__opts__['id']}/{result['__run_num__']}"
    __salt__["event.fire_master"]({"ret": result, "len": length}, tag)
