"""The state module `brinepool_app`: an app's env file, its build and its health.

The only states that ever see the values of an env file. They take them from the pillar, never from an argument, and
mask them in all that they return: Salt puts returns on the event bus, in the job cache and in logs.
"""

import hashlib
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from salt.utils.secret import REDACT_PLACEHOLDER

from orchestrator.domain.envfile import env_text
from orchestrator.domain.errors import BadInput
from orchestrator.saltext import health

__virtualname__ = "brinepool_app"

OUTPUT_LINES = 30  # the end of a failed build, where the reason is
LOG_LINES = 60  # after the telling line many an app says how it shuts down
LINE_LENGTH = 1000  # characters; a longer line keeps its beginning and its end
BODY_LENGTH = 300
OUTPUT_BYTES = 256 * 1024  # of a build's output: more is not kept in memory
REQUEST_SECONDS = 5
LAST_WORDS_SECONDS = 5  # how long an app that was just started again is waited for to say why it ends
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
    when the highstate that built it was killed before it came to that.

    `data` in the return has the commit; of a failure also `step` of how many (`of`), its `line`, its `exit` code (a
    signal is a negative one) and the end of its `output`.
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
        code, output = _run_line(line, env, name, user)
        if code:
            step = {"step": number, "of": len(build), "line": line, "exit": code, "output": output}
            return _not_built(name, {"commit": commit, **step})
    _write_private(Path(release), _text_of(wanted | {"run": _digest(run)}), user)
    return _result(name, True, f"Built in {len(build)} steps.", changes, commit)


def healthy(name: str, log: str, service: str, deadline: int = 120, release: str = "") -> dict[str, Any]:
    """The URL `name` answers with 2xx within `deadline` seconds; asked at once and then in short pauses.

    Fails early when the service does not stay up, or another program holds its port. `<release>.started`, which the
    app writes at its start, tells that one from the app. `data` of a failure has the `url`, the last answer (`status`,
    or 0 and the `error`; the beginning of its `body`) and the end of the app's `log`.
    """
    if __opts__["test"]:
        return _result(name, None, "The app's health would be asked for.")
    started, down = time.monotonic(), 0.0
    for pause in _pauses():
        answer, waited = health.ask(name, REQUEST_SECONDS), time.monotonic() - started
        up = __salt__["service.status"](service)
        other = health.other_listener(name, _started(release) if up else None)
        if answer.ok and up and not other:
            return _result(name, True, f"Healthy after {waited:.1f} s.")
        down += 0 if up and not other else pause
        late = waited + pause > deadline
        if down > DOWN_SECONDS or (late and down > waited / 2):
            return _unhealthy(name, other or "the app ends each time it is started", answer, other, log)
        if late:
            return _unhealthy(name, f"{answer.told} for {deadline} seconds", answer, other, log)
        time.sleep(pause)
    raise AssertionError("the pauses never end")


def _started(release: str) -> float:
    """When the app was started last; 0 when it has not said so."""
    try:
        return Path(f"{release}.started").stat().st_mtime
    except OSError:
        return 0.0


def _unhealthy(url: str, waited: str, answer: health.Answer, other: str, log: str) -> dict[str, Any]:
    """The failure, with what the app itself said last."""
    said = _last_words(log)
    comment = f"Not healthy: {url}: {waited}.\nThe end of the app's log:\n{said or '(it has written nothing)'}"
    failed = _result(url, False, __salt__["brinepool.mask"](comment))
    error = other or answer.error
    answered = {"status": answer.status, "body": _body(answer.text), "error": __salt__["brinepool.mask"](error)}
    return failed | {"data": {"url": url, **answered, "log": said}}


def _last_words(log: str) -> str:
    """The end of the app's log, masked. An app that was started again a moment ago is given time to say something."""
    until = time.monotonic() + LAST_WORDS_SECONDS
    while not (said := __salt__["brinepool.last_words"](log, LOG_LINES)) and time.monotonic() < until:
        time.sleep(POLL_SECONDS[1] / 4)
    return _bounded(__salt__["brinepool.mask"](said))


def _body(text: str) -> str:
    """The readable beginning of an answer. Masked before it is read, and again as it reads, and only then cut."""
    mask = __salt__["brinepool.mask"]
    return str(mask(health.readable(mask(text))))[:BODY_LENGTH]


def _pauses() -> Iterator[float]:
    pause, longest = POLL_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, longest)


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


def _run_line(line: str, env: str, checkout: str, user: str | None) -> tuple[int, str]:
    """How the line ended, 0 for well, and the end of its output, masked.

    Not by cmd.run, which writes the output of a failed command into the minion's log.
    """
    command = ["/bin/sh", "-c", _IN_FORCE, "sh", env, checkout, line]
    if user:
        command = ["runuser", "-u", user, "--", *command]
    kept, more = b"", False
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while chunk := cast(io.BufferedReader, process.stdout).read1(OUTPUT_BYTES):
            kept += chunk
            more, kept = more or len(kept) > OUTPUT_BYTES, kept[-OUTPUT_BYTES:]
    if more:  # from the next whole line on: half a secret would not be recognised
        kept = kept.partition(b"\n")[2]
    # Masked before it is cut, for the same reason.
    masked = __salt__["brinepool.mask"](kept.decode(errors="replace")).rstrip()
    return _signed(process.returncode), _bounded("\n".join(masked.splitlines()[-OUTPUT_LINES:]))


def _signed(code: int) -> int:
    """The exit code; negative for a signal, which a shell tells as 128 and its number."""
    ended_by = code - 128 if code > 128 else 0
    return -ended_by if ended_by in signal.valid_signals() else code


def _not_built(name: str, step: dict[str, Any]) -> dict[str, Any]:
    """The failure of a build, as a sentence and as data."""
    sentence = f"Step {step['step']} of {step['of']} of the build failed: {step['line']}\n{_ending(step['exit'])}"
    comment = __salt__["brinepool.mask"](f"{sentence}\n{step['output']}".rstrip())
    step["line"] = __salt__["brinepool.mask"](step["line"])
    return _result(name, False, comment) | {"data": step}


def _ending(code: int) -> str:
    """How a line of a build ended, in words."""
    if code == -signal.SIGKILL:
        return "It was killed (signal 9), perhaps for want of memory."
    if code < 0:
        return f"It was ended by signal {-code} ({signal.strsignal(-code)})."
    why = {126: ": a program in it is not executable", 127: ": a program in it was not found"}.get(code, "")
    return f"It ended with exit code {code}{why}."


def _bounded(text: str) -> str:
    """The text with no line longer than `LINE_LENGTH`. Masked before, as half a secret would not be recognised."""
    half = LINE_LENGTH // 2
    lines = (line if len(line) <= LINE_LENGTH else f"{line[:half]} ... {line[-half:]}" for line in text.split("\n"))
    return "\n".join(lines)


def _result(
    name: str, result: bool | None, comment: str, changes: dict[str, Any] | None = None, commit: str = ""
) -> dict[str, Any]:
    """A state's return. `data` is ours: Salt passes it on."""
    returned = {"name": name, "result": result, "comment": comment, "changes": changes or {}}
    return returned | ({"data": {"commit": commit}} if commit else {})
