"""The state module `brinepool_app`: an app's env file, its build and its health.

The only states that ever see the values of an env file. They take them from the pillar, never from an argument, and
mask them in all that they return: Salt puts returns on the event bus, in the job cache and in logs.
"""

import hashlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from salt.utils.secret import REDACT_PLACEHOLDER

from orchestrator.domain.envfile import env_text
from orchestrator.domain.errors import BadInput

__virtualname__ = "brinepool_app"

OUTPUT_LINES = 30  # the end of a failed build, where the reason is
LOG_LINES = 15
REQUEST_SECONDS = 5
POLL_SECONDS = (0.05, 1.0)  # from the first pause between two questions to the longest
DOWN_SECONDS = 10  # an app that was down for so long, taken together, does not come up by being started again

# Runs a line in the checkout ($2) with the env file ($1) in force, as the start script does.
_IN_FORCE = 'cd "$2" && set -a && . "$1" && set +a && eval "$3"'


def __virtual__() -> str:
    return __virtualname__


def env_file(name: str, user: str | None = None) -> dict[str, Any]:
    """The pillar's env is in the file `name`, readable by its owner only. Changes name variables, never values."""
    try:
        text = env_text(_env())
    except BadInput as error:
        return _result(name, False, error.message)
    path = Path(name)
    old = path.read_text() if path.is_file() else ""
    changed = _changed_names(old, text)
    if path.is_file() and old == text and path.stat().st_mode & 0o777 == 0o600:
        return _result(name, True, "The env file is in place.")
    changes = {"variables": changed} if changed else {"file": "written"}
    if __opts__["test"]:
        return _result(name, None, "The env file would be written.", changes)
    _write_private(path, text, user)
    return _result(name, True, "The env file was written.", changes)


def unlocked(name: str) -> dict[str, Any]:
    """The checkout `name` has no lock that a killed git left. Only one highstate runs at a time, so none is in use."""
    git = Path(name) / ".git"
    locks = sorted([*git.glob("*.lock"), *(git / "refs").rglob("*.lock")])
    if not locks:
        return _result(name, True, "No git left a lock behind.")
    changes = {"removed": [str(lock.relative_to(git)) for lock in locks]}
    if __opts__["test"]:
        return _result(name, None, "Locks would be removed.", changes)
    for lock in locks:
        lock.unlink(missing_ok=True)
    return _result(name, True, "Locks that a killed git left behind were removed.", changes)


def built(
    name: str, env: str, release: str, run: str, build: Sequence[str] = (), user: str | None = None
) -> dict[str, Any]:
    """The checkout `name` is built from its commit, with the env file in force, by the shell lines `build`.

    Builds only when the commit, the env or the lines differ from the last good build. The file `release` says what was
    built; the app notes at its start what it was started from (`<release>.started`), so a changed app is restarted even
    when the highstate that built it was killed before it came to that. `data` in the return always has the commit.
    """
    commit = __salt__["git.revision"](name, user=user, ignore_retcode=True)
    wanted = {"commit": commit, "env": _digest(Path(env).read_text()), "build": _digest(list(build))}
    old = _read_release(release)
    changes = _build_changes(old, wanted)
    if not changes:
        return _current(name, release, wanted | {"run": _digest(run)}, commit)
    if __opts__["test"]:
        return _result(name, None, "The app would be built.", changes, commit)
    # From here on the checkout holds a mixture: if this build ends in the middle, the next one must not be skipped.
    Path(release).unlink(missing_ok=True)
    for number, line in enumerate(build, start=1):
        failure = _run_line(line, env, name, user)
        if failure is not None:
            comment = f"Step {number} of {len(build)} of the build failed: {line}\n{failure}"
            return _result(name, False, __salt__["brinepool.mask"](comment), commit=commit)
    _write_private(Path(release), _text_of(wanted | {"run": _digest(run)}), user)
    return _result(name, True, f"Built in {len(build)} steps.", changes, commit)


def healthy(name: str, log: str, service: str, deadline: int = 120) -> dict[str, Any]:
    """The URL `name` answers with 2xx within `deadline` seconds; asked at once and then in short pauses.

    Fails early when the service does not stay up. A failure has the last answer and the end of the app's log.
    """
    if __opts__["test"]:
        return _result(name, None, "The app's health would be asked for.")
    started, down = time.monotonic(), 0.0
    for pause in _pauses():
        answer, waited = _ask(name), time.monotonic() - started
        if not answer:
            return _result(name, True, f"Healthy after {waited:.1f} s.")
        down += 0 if __salt__["service.status"](service) else pause
        if down > DOWN_SECONDS:
            return _unhealthy(name, "the app ends each time it is started", log)
        if waited + pause > deadline:
            return _unhealthy(name, f"{answer} for {deadline} seconds", log)
        time.sleep(pause)
    raise AssertionError("the pauses never end")


def _unhealthy(url: str, waited: str, log: str) -> dict[str, Any]:
    """The failure, with what the app itself said last."""
    tail = __salt__["brinepool.last_words"](log, LOG_LINES) or "(it has written nothing)"
    comment = f"Not healthy: {url}: {waited}.\nThe end of the app's log:\n{tail}"
    return _result(url, False, __salt__["brinepool.mask"](comment))


def _pauses() -> Iterator[float]:
    pause, longest = POLL_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, longest)


def _ask(url: str) -> str:
    """ "" when the URL answers with 2xx, else what it did instead. Never through a proxy: it is our own machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=REQUEST_SECONDS) as response:
            return "" if 200 <= response.status < 300 else f"it answered {response.status}"
    except urllib.error.HTTPError as error:
        return f"it answered {error.code}"
    except (OSError, ValueError) as error:
        return f"it did not answer ({getattr(error, 'reason', error)})"
    except Exception as error:  # noqa: BLE001  (http.client has its own tree of errors for what is no HTTP)
        return f"it did not answer in HTTP ({type(error).__name__})"


def _env() -> dict[str, str]:
    """The env of the pillar. Raises BadInput when it is not there, or is the mask that Salt shows instead of values."""
    env = (__pillar__.get("brinepool") or {}).get("env")
    if env is None:
        raise BadInput("env-missing", "The master gave this server no env; check that the server's record is there.")
    masked = [name for name, value in env.items() if value == REDACT_PLACEHOLDER]
    if masked:
        raise BadInput("env-masked", f"Salt masked the value of {', '.join(masked)} on its way; nothing was written.")
    return dict(env)


def _changed_names(old: str, new: str) -> list[str]:
    """The variables whose lines differ; our own env files have one line for each.

    Not by splitlines, which also splits at characters inside values: a part of a value would pass for a name.
    """
    lines = set(old.split("\n")) ^ set(new.split("\n"))
    return sorted({line.partition("=")[0] for line in lines if line})


def _write_private(path: Path, text: str, user: str | None) -> None:
    """Write in one step; at no moment can anybody else read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    if user:
        __salt__["file.chown"](str(temporary), user, None)
    temporary.replace(path)


def _build_changes(old: dict[str, str], wanted: dict[str, str]) -> dict[str, Any]:
    """What differs from the last good build: the commits themselves, of the rest only that it changed."""
    differ = [key for key, value in wanted.items() if old.get(key) != value]
    return {key: {"old": old.get(key, ""), "new": wanted[key]} if key == "commit" else "changed" for key in differ}


def _current(name: str, release: str, wanted: dict[str, str], commit: str) -> dict[str, Any]:
    """The result when nothing is to build: a change only if the app runs from something else, so that it restarts."""
    text = _text_of(wanted)
    changes = {}
    if Path(release).read_text() != text:
        changes = {"run": "changed"}
        if not __opts__["test"]:
            _write_private(Path(release), text, None)
    started = Path(f"{release}.started")
    if not changes and (not started.is_file() or started.read_text() != text):
        changes = {"restart": "the app still runs from an earlier build"}
    result = None if changes and __opts__["test"] else True
    return _result(name, result, "Built already.", changes, commit)


def _read_release(release: str) -> dict[str, str]:
    try:
        return dict(json.loads(Path(release).read_text()))
    except (OSError, ValueError):
        return {}


def _text_of(release: dict[str, str]) -> str:
    return json.dumps(release, sort_keys=True) + "\n"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _run_line(line: str, env: str, checkout: str, user: str | None) -> str | None:
    """None when the line succeeded, else how it ended and the end of its output, unmasked.

    Not by cmd.run, which writes the output of a failed command into the minion's log.
    """
    command = ["/bin/sh", "-c", _IN_FORCE, "sh", env, checkout, line]
    if user:
        command = ["runuser", "-u", user, "--", *command]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode == 0:
        return None
    output = done.stdout.decode(errors="replace")
    # Masked before it is cut: half a secret would not be recognised.
    tail = __salt__["brinepool.mask"](output).rstrip().splitlines()[-OUTPUT_LINES:]
    return "\n".join([f"It ended with exit code {done.returncode}.", *tail])


def _result(
    name: str, result: bool | None, comment: str, changes: dict[str, Any] | None = None, commit: str = ""
) -> dict[str, Any]:
    """A state's return. `data` is ours: Salt passes it on."""
    returned = {"name": name, "result": result, "comment": comment, "changes": changes or {}}
    return returned | ({"data": {"commit": commit}} if commit else {})
