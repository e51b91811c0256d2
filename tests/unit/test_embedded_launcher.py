"""The launcher, as the program that it is: on real processes, with homes of their own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.embedded import launcher

COMMAND = [sys.executable, "-I", "-S", launcher.__file__]
SLEEP = "/bin/sleep"


@pytest.fixture
def home(tmp_path):
    """The marks of a home; whatever still carries them at the end is ended."""
    marks = {"BRINE_HOME": str(tmp_path)}
    yield marks
    launcher.end(marks)


def start(home, name, *command, sandbox=None, daemon=True, **environment):
    """Start a command through the launcher and wait until it runs."""
    environment |= home | ({"BRINE_SANDBOX": sandbox} if sandbox else {})
    before = {process.pid for process in named(home, name)}
    options = ["--daemon", str(Path(home["BRINE_HOME"]) / "log")] if daemon else []
    subprocess.run([*COMMAND, "run", *options, name, "--", *command], env=environment, check=True)
    wait_for(lambda: {process.pid for process in named(home, name)} - before)


def named(home, name):
    return launcher.find(home | {"BRINE_PROGRAM": name})


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
    return found


def test_a_program_replaces_its_predecessor_with_all_its_children(home):
    start(home, "web", "/bin/sh", "-c", f"{SLEEP} 100 & {SLEEP} 100 & exec {SLEEP} 100")
    first = wait_for(lambda: found if len(found := named(home, "web")) == 3 else None)
    os.kill(next(process.pid for process in first if process.pid == process.group), 9)
    start(home, "web", SLEEP, "100")
    assert len(named(home, "web")) == 1
    assert not {process.pid for process in first} & {process.pid for process in named(home, "web")}


def test_a_program_of_another_name_sandbox_or_home_is_not_touched(home, tmp_path):
    other = {"BRINE_HOME": str(tmp_path / "other")}
    (tmp_path / "other").mkdir()
    try:
        start(home, "web", SLEEP, "100", sandbox="one")
        start(home, "api", SLEEP, "100")
        start(other, "web", SLEEP, "100")
        start(home, "web", SLEEP, "100")
        assert len(named(home, "web")) == 2
        assert len(named(home, "api")) == len(named(other, "web")) == 1
        launcher.end(home | {"BRINE_SANDBOX": "one"})
        assert [process.marks.get("BRINE_SANDBOX") for process in named(home, "web")] == [None]
    finally:
        launcher.end(other)


def test_end_takes_those_that_ignore_sigterm_and_those_that_wiped_their_environment(home):
    script = f"trap '' TERM; env -i {SLEEP} 111111 & while :; do {SLEEP} 1; done"
    start(home, "web", "/bin/sh", "-c", script)
    session = named(home, "web")[0].session
    in_session = lambda: [process for process in launcher.processes() if process.session == session]  # noqa: E731
    wait_for(lambda: any(not process.marks for process in in_session()))
    launcher.end(home, grace=0.2)
    assert in_session() == []


def test_a_process_that_was_not_started_by_us_is_never_ended(home):
    bystander = subprocess.Popen([SLEEP, "100"], env=home)  # a shell in which BRINE_HOME is set
    try:
        launcher.end(home)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_daemon_lets_go_of_its_caller_s_output(home):
    arguments = [*COMMAND, "run", "--daemon", str(Path(home["BRINE_HOME"]) / "log"), "web", "--", "/bin/sh", "-c"]
    answer = subprocess.run(
        [*arguments, f"echo here; exec {SLEEP} 100"], env=home, capture_output=True, timeout=20, check=True
    )
    assert answer.stdout == b""
    wait_for(lambda: (Path(home["BRINE_HOME"]) / "log").read_text() == "here\n")


def test_ps_lists_the_marked_processes_as_json(home):
    start(home, "web", SLEEP, "100", sandbox="one")
    arguments = [*COMMAND, "ps", f"BRINE_HOME={home['BRINE_HOME']}", "BRINE_SANDBOX=one"]
    (process,) = json.loads(subprocess.run(arguments, capture_output=True, check=True).stdout)
    assert process["marks"] == home | {"BRINE_SANDBOX": "one", "BRINE_PROGRAM": "web"}
