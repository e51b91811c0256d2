"""What one server process bears: many environments at once, and many events; with its memory before and after.

Salt is the fake one, in this process; Brinepool is another process, as it is in life. How soon the fake can hand its
events over is in the figures, so a reader that does nothing but count them is measured on the same events, too, when
Brinepool has ended.
"""

import contextlib
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import requests

from orchestrator.domain.record import Record
from tests import programs
from tests.fakes.highstate import highstate_of, progress_of
from tests.fakes.salt import Durations, Event
from tests.fakes.saltapi import PASSWORD, USER, FakeSaltApi

from .load_server import CAP

ENVIRONMENTS = 20
SERVERS = 1_000
STATES = tuple(f"step-{number}" for number in range(12))
TITLE = f"{ENVIRONMENTS} environments of 3 servers at once (cap {CAP}), then the highstates of {SERVERS:,} servers"
_DURATIONS = Durations(create=0.5, boot=0.5, state=0.05)  # a server then takes 1.3 s by itself
_TOKEN = "bench-" + "t" * 40
_TEMPLATE = programs.roomy_shop(boot="5m", configure="5m")
_PATIENCE_S = 300.0


def measure(rounds: int) -> Mapping[str, Sequence[float]]:
    """What was measured → a value for each round."""
    logging.disable(logging.WARNING)
    measured: dict[str, list[float]] = {}
    try:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                for name, value in _round(Path(folder)).items():
                    measured.setdefault(name, []).append(value)
    finally:
        logging.disable(logging.NOTSET)
    return measured


def _round(folder: Path) -> dict[str, float]:
    events = _replay()
    with ExitStack() as ending:
        api = ending.enter_context(FakeSaltApi(durations=_DURATIONS))
        api.salt.branches.update(programs.BRANCHES)
        child = ending.enter_context(_brinepool(folder, api.url))
        before = child.memory_mb()
        took = _create_all(child.url)
        created = child.memory_mb()
        handled = _time_of(lambda: _fire(api, events), lambda: child.events(), len(events))
        after = child.memory_mb()
    with FakeSaltApi() as api, _counter(api) as counted:  # by itself, as Brinepool was
        counting = _time_of(lambda: _fire(api, events), lambda: counted[0], len(events))
    return {
        "operations per minute": ENVIRONMENTS / took * 60,
        "by themselves, servers of the cap would do at most": CAP / (3 * _own_s()) * 60,
        "events per second": len(events) / handled,
        "a reader that only counts them, events per second": len(events) / counting,
        "memory before, MB": before,
        "memory after the environments, MB": created,
        "memory after the events, MB": after,
    }


def _own_s() -> float:
    """How long a server of the fake takes by itself."""
    return _DURATIONS.create + _DURATIONS.boot + 6 * _DURATIONS.state


class _Child:
    """The Brinepool process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{self._line()}"

    def events(self) -> int:
        """How many events it has handled so far."""
        return int(self._ask()[0])

    def memory_mb(self) -> float:
        """What it has, resident."""
        return int(self._ask()[1]) / 1e6

    def _ask(self) -> list[str]:
        assert self._process.stdin is not None  # noqa: S101  (it is a pipe)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line().split()

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the Brinepool process has ended")
        return line.strip()


@contextlib.contextmanager
def _brinepool(folder: Path, salt_api: str) -> Iterator[_Child]:
    site = programs.make_site(folder / "site")
    (site / "templates" / "shop.yaml").write_text(_TEMPLATE)
    (folder / "home" / "secrets").mkdir(parents=True)
    (folder / "home" / "secrets" / "admin-token").write_text(_TOKEN)
    (folder / "password").write_text(PASSWORD)
    command = [sys.executable, "-m", "bench.load_server", str(folder), salt_api]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield _Child(process)
    finally:
        process.communicate(timeout=30)


def _create_all(url: str) -> float:
    """Ask for all environments at once. → seconds until the last is ready. Raises RuntimeError when one is not."""
    with requests.Session() as session, ThreadPoolExecutor(ENVIRONMENTS) as pool:
        session.headers["Authorization"] = f"Bearer {_TOKEN}"
        began = time.perf_counter()
        accepted = list(pool.map(lambda number: _create(session, url, f"load-{number}"), range(ENVIRONMENTS)))
        states = list(pool.map(lambda operation: _ended(session, url, operation), accepted))
        took = time.perf_counter() - began
    if set(states) != {"succeeded"}:
        raise RuntimeError(f"not every operation succeeded: {sorted(states)}")
    return took


def _create(session: requests.Session, url: str, name: str) -> str:
    answer = session.post(f"{url}/api/v1/environments", json={"template": "shop", "name": name}, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["operation"]["id"])


def _ended(session: requests.Session, url: str, operation: str) -> str:
    pause, until = threading.Event(), time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        state = str(session.get(f"{url}/api/v1/operations/{operation}", timeout=60).json()["state"])
        if state not in ("pending", "running"):
            return state
        pause.wait(0.5)
    raise RuntimeError(f"an operation had not ended after {_PATIENCE_S:.0f} s")


def _replay() -> list[Event]:
    """What a master's bus says while so many servers run their highstate: each state's progress, and each return."""
    found: list[Event] = []
    for number in range(SERVERS):
        server, jid = f"many-api-{number + 1}", f"20261125000000{number:06}"
        states = highstate_of(_record(server), STATES, None)
        for state in states.values():
            found.append((f"salt/job/{jid}/prog/{server}/{state['__run_num__']}", progress_of(state, len(states))))
        answer = {"fun": "brinepool.highstate", "jid": jid, "id": server, "cmd": "_return", "success": True}
        found.append((f"salt/job/{jid}/ret/{server}", {**answer, "return": states, "retcode": 0, "out": "highstate"}))
    return found


def _record(server: str) -> Record:
    return Record(
        operation="01KB0000000000000000000000", template="shop", environment="many", server=server, role="api",
        app="shop-api", repository="https://git.example.org/shop/api.git", branch="main", run="./serve", port=8000,
        health="/healthz",
    )  # fmt: skip


def _fire(api: FakeSaltApi, events: Sequence[Event]) -> None:
    for tag, data in events:
        api.salt.fire(tag, data)


def _time_of(begin: Callable[[], None], count: Callable[[], int], wanted: int) -> float:
    """Seconds from `begin` until `count` is higher by `wanted` than it was."""
    target, began, pause = count() + wanted, time.perf_counter(), threading.Event()
    begin()
    while count() < target:
        if time.perf_counter() - began > _PATIENCE_S:
            raise RuntimeError(f"after {_PATIENCE_S:.0f} s {target - count()} events were still not handled")
        pause.wait(0.02)
    return time.perf_counter() - began


@contextlib.contextmanager
def _counter(api: FakeSaltApi) -> Iterator[list[int]]:
    """A program that reads the stream, and counts events without looking into them. → where it counts."""
    counting = (
        "import sys, requests\n"
        "count = 0\n"
        "with requests.get(sys.argv[1], headers={'X-Auth-Token': sys.argv[2]}, stream=True) as answer:\n"
        "    print(0, flush=True)\n"
        "    for chunk in answer.iter_content(65536):\n"
        "        count += chunk.count(b'\\n\\n')\n"
        "        print(count, flush=True)\n"
    )
    auth = api.log_in({"username": USER, "password": PASSWORD, "eauth": "sharedsecret"})
    command = [sys.executable, "-c", counting, f"{api.url}/events", auth[0]["token"] if auth else ""]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    counted, ready = [0], threading.Event()

    def read() -> None:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            counted[0] = int(line)
            ready.set()

    reading = threading.Thread(target=read)
    reading.start()
    try:
        if not ready.wait(30):
            raise RuntimeError("the reader that only counts did not begin")
        yield counted
    finally:
        process.terminate()
        process.wait(30)
        reading.join(30)
        if process.stdout:
            process.stdout.close()
