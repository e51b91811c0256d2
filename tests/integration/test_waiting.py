"""Salt that is away, a terminate, a cancel and a stop in the middle of everything, on the real stack: nothing is made
twice, nothing is left, and all of it in the time that was promised."""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest
import requests

from orchestrator.embedded import launcher
from tests.embedded import RunningStack, wait_for

from .test_brinepool import answer, brine, created, env, of_role, page, traces

pytestmark = pytest.mark.long

__all__ = ["env"]  # the fixture

# What is promised, in seconds.
GONE, CANCELLED, STOPPED = 15, 5, 10
OUTAGE = 30


def api(stack: RunningStack, method: str, path: str, **options: Any) -> requests.Response:
    """One request, without the seconds that a command needs to start."""
    headers = {"Authorization": f"Bearer {stack.settings.admin_token_file.read_text().strip()}"}
    return requests.request(method, f"{stack.home.url}{path}", headers=headers, timeout=10, **options)


def shown(stack: RunningStack, name: str) -> dict[str, Any]:
    """The environment; {} while Brinepool does not answer."""
    try:
        found = api(stack, "GET", f"/api/v1/environments/{name}")
    except requests.RequestException:
        return {}
    return found.json() if found.ok else {}


def settled(stack: RunningStack, name: str) -> dict[str, Any]:
    """The environment once it is ready or failed."""
    return wait_for(lambda: (found := shown(stack, name)).get("status") in ("ready", "failed") and found, 180)


def operation(stack: RunningStack, operation_id: str) -> dict[str, Any]:
    return api(stack, "GET", f"/api/v1/operations/{operation_id}").json()


def finished_states(stack: RunningStack, name: str, operation_id: str) -> set[str]:
    """The Salt states that have ended in an operation."""
    events = api(stack, "GET", f"/api/v1/environments/{name}/events", params={"limit": 500}).json()["events"]
    ours = [each for each in events if each["operation"] == operation_id]
    return {each["data"]["state"] for each in ours if each["kind"] == "server.state_finished"}


def supervisorctl(stack: RunningStack, *command: str) -> None:
    """What the home's own supervisor is told. What it was told to stop it does not start again by itself."""
    program = [str(stack.home.bin / "supervisorctl"), "-s", f"unix://{stack.home.supervisor_socket}"]
    subprocess.run([*program, *command], check=True, capture_output=True, timeout=60, cwd="/")


@contextmanager
def away(stack: RunningStack, program: str) -> Iterator[float]:
    """The program does not run. → since when."""
    supervisorctl(stack, "stop", program)
    assert stack.processes(program=program, sandbox="") == []
    try:
        yield time.monotonic()
    finally:
        supervisorctl(stack, "start", program)


@contextmanager
def hanging(stack: RunningStack, program: str) -> Iterator[None]:
    """The program is there and answers nothing."""
    found = stack.processes(program=program, sandbox="")
    try:
        for each in found:
            launcher.send(each.pid, signal.SIGSTOP)
        yield
    finally:
        for each in found:
            launcher.send(each.pid, signal.SIGCONT)


@contextmanager
def in_the_foreground(stack: RunningStack, file: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `brine` command that somebody watches; all that it says is in `file`."""
    environment = {"PATH": os.environ["PATH"], "BRINE_HOME": str(stack.home.root), "LANG": "C.UTF-8"}
    command = [str(stack.home.bin / "brine"), *arguments]
    with file.open("wb") as said, subprocess.Popen(command, env=environment, stdout=said, stderr=said) as running:
        try:
            yield running
        finally:
            running.kill()


def begun(stack: RunningStack, name: str) -> str:
    """A create that has made its first folder. → the operation's id."""
    operation_id = answer(stack, "env", "create", "shop", name, "--no-wait")["operation"]["id"]
    wait_for(lambda: folders(stack, name))
    return str(operation_id)


def booting(stack: RunningStack, name: str) -> str:
    """A create in the middle of its boot: every machine is there, and no minion has answered. → the operation's id."""
    operation_id = begun(stack, name)
    wait_for(lambda: len(folders(stack, name)) == 3 and minions(stack, name))
    statuses = {each["status"] for each in shown(stack, name)["servers"]}
    assert statuses <= {"booting", "configuring"}, statuses
    return operation_id


def folders(stack: RunningStack, name: str) -> list[str]:
    return [folder.name for folder in stack.home.sandboxes.iterdir() if folder.name.startswith(name)]


def minions(stack: RunningStack, name: str) -> list[int]:
    """The minions of an environment that have a process."""
    found = stack.processes(program="salt-minion")
    return [each.pid for each in found if each.marks["BRINE_SANDBOX"].startswith(name)]


def times_made(stack: RunningStack, name: str) -> Counter[str]:
    """How often each server of an environment was really made, as the master's job cache has it."""
    made = Counter[str]()
    for file in (stack.home.salt / "cache" / "jobs").glob("*/*/*/return.p"):
        run = msgpack.unpackb(file.read_bytes(), strict_map_key=False).get("return")
        if not isinstance(run, dict) or run.get("fun") != "runner.brinepool.create":
            continue
        told = run["return"]
        if isinstance(told, dict) and told.get("created") and told["server"]["server"].startswith(name):
            made[told["server"]["server"]] += 1
    return made


def each_once(stack: RunningStack, name: str) -> dict[str, int]:
    return {each["name"]: 1 for each in shown(stack, name)["servers"]}


def is_applying(stack: RunningStack, server: str) -> bool:
    """Whether a highstate runs on the minion: it holds the lock, or some job's process, or one that it began, lives."""
    (lock,) = (stack.home.sandboxes / server).rglob("brinepool-highstate.lock")
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    minion = psutil.Process(stack.main_process("salt-minion", server))
    return any(is_alive(child) for child in minion.children(recursive=True))


def is_alive(process: psutil.Process) -> bool:
    """Whether it is there, and no zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_gone(stack: RunningStack, name: str) -> bool:
    """Whether no folder, process, key or cache entry of it is left; as `traces`, without the seconds of salt-key."""
    left = [file for part in ("pki", "cache/brinepool/servers") for file in (stack.home.salt / part).rglob(f"{name}-*")]
    return not (left or folders(stack, name) or minions(stack, name))


def took(what: str, since: float) -> None:
    """Say how many seconds have passed since then."""
    print(f"{what}: {time.monotonic() - since:.1f} s")


def test_salt_api_may_be_away_in_the_middle_of_a_create_and_whoever_watches_is_told(
    stack: RunningStack, env: None, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    with in_the_foreground(stack, said, "env", "create", "shop", "calm") as watching:
        wait_for(lambda: folders(stack, "calm"))
        with away(stack, "salt-api") as since:
            waiting_for = wait_for(lambda: shown(stack, "calm").get("waiting_for"))
            assert waiting_for.startswith("salt-api, which does not answer, since ")
            took("told that it waits", since)
            ready = requests.get(f"{stack.home.url}/readyz", timeout=10)
            assert (ready.status_code, ready.json()["salt"]) == (503, "unreachable")
            status = brine(stack, "status")
            assert status.returncode == 3
            (line,) = [line for line in status.stdout.splitlines() if line.split()[:1] == ["salt-api"]]
            assert "stopped" in line
            wait_for(lambda: time.monotonic() - since >= OUTAGE)
            assert watching.poll() is None
        took("without salt-api", since)
        assert watching.wait(180) == 0, said.read_text()
    took("ready after salt-api had gone", since)
    lines = said.read_text().splitlines()
    print(*lines, sep="\n")
    (waits,) = [line for line in lines if "waiting for salt-api, which does not answer, since " in line]
    (goes_on,) = [line for line in lines if "resumed: salt-api answers again, after " in line]
    assert lines.index(waits) < lines.index(goes_on) < len(lines) - 1
    assert requests.get(f"{stack.home.url}/readyz", timeout=10).json()["salt"] == "answers"
    found = shown(stack, "calm")
    assert (found["status"], found["waiting_for"]) == ("ready", None)
    assert times_made(stack, "calm") == each_once(stack, "calm")
    (serving,) = of_role(found, "api")
    assert all(serving["url"] in page(web) for web in of_role(found, "web"))


@pytest.mark.parametrize("verb", ["terminate", "cancel"])
def test_a_create_is_ended_in_the_middle_of_its_boot(stack: RunningStack, env: None, verb: str) -> None:
    creating = booting(stack, "brief")
    since = time.monotonic()
    done = brine(stack, "env", verb, "brief", *(["--yes"] if verb == "terminate" else []))
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: is_gone(stack, "brief"), GONE - (time.monotonic() - since))
    took(f"all gone after brine env {verb}", since)
    assert not any(traces(stack, "brief").values()), traces(stack, "brief")
    assert operation(stack, creating)["state"] == "cancelled"
    assert brine(stack, "env", "show", "brief").returncode == 2


def test_a_deploy_is_cancelled_while_its_highstate_runs_and_the_next_one_succeeds(
    stack: RunningStack, env: None
) -> None:
    created(stack, "long", "--count", "web=1")
    # Its app never becomes healthy, so that the highstate waits for two minutes.
    deploying = answer(stack, "env", "deploy", "long", "web/broken/health", "--no-wait")["operation"]["id"]
    wait_for(lambda: "service" in finished_states(stack, "long", deploying))
    assert is_applying(stack, "long-web-1")
    since = time.monotonic()
    done = brine(stack, "env", "cancel", "long")
    assert done.returncode == 0, done.stdout + done.stderr
    took("brine env cancel", since)
    cancelled = operation(stack, deploying)
    assert cancelled["state"] == "cancelled"
    ago = (datetime.now(UTC) - datetime.fromisoformat(cancelled["ended_at"])).total_seconds()
    wait_for(lambda: not is_applying(stack, "long-web-1"), CANCELLED - ago)
    took("its highstate has ended after brine env cancel", since)
    assert shown(stack, "long")["status"] == "failed"

    # What a git that was killed leaves.
    (stack.home.sandboxes / "long-web-1" / "srv" / "shop-web" / "checkout" / ".git" / "index.lock").touch()
    done = brine(stack, "env", "deploy", "long", "web/feature/cart")
    assert done.returncode == 0, done.stdout + done.stderr
    found = shown(stack, "long")
    assert found["status"] == "ready"
    assert "Add to cart" in page(of_role(found, "web")[0])


@pytest.mark.parametrize("salt", ["answers", "hangs"])
def test_a_stop_in_the_middle_of_a_create_refuses_new_work_and_loses_nothing(
    stack: RunningStack, env: None, salt: str
) -> None:
    name = f"stop-salt-{salt}"  # one of its own, as the job cache remembers
    creating = booting(stack, name) if salt == "answers" else begun(stack, name)
    process = psutil.Process(stack.main_process("brinepool"))
    with hanging(stack, "salt-master") if salt == "hangs" else nullcontext():
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        refused = api(stack, "POST", "/api/v1/environments", json={"template": "shop", "name": "late"})
        assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
        assert (refused.json()["code"], refused.headers["Retry-After"]) == ("stopping", "5")
        print(json.dumps(refused.json()))
        process.wait(STOPPED)
        took(f"ended after SIGTERM while Salt {salt}", since)
    wait_for(lambda: stack.status().running)
    took("answers again", since)
    found = settled(stack, name)
    took("ready", since)
    assert found["status"] == "ready", found["failure"]
    assert operation(stack, creating)["state"] == "succeeded"
    assert times_made(stack, name) == each_once(stack, name)
    assert shown(stack, "late") == {}
