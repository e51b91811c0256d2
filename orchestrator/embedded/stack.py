"""The embedded stack: real salt-master, salt-api and Brinepool, supervised. `up`, `down` and `status`.

Everything is safe to repeat and to interrupt: what runs is known from the processes themselves (see launcher.py), never
from notes about them.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from orchestrator.domain.errors import Unavailable
from orchestrator.settings import Settings

from . import launcher, probes, saltconfig, samples, sandboxes, supervision
from .home import Home, claim, find
from .programs import SUPERVISOR, Program, programs, supervisord
from .sandboxes import SandboxStatus

Say = Callable[[str], None]

START_SECONDS = 120.0
GRACE_SECONDS = 5.0  # to end in order, before everything that is left is killed
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class ProgramStatus:
    """A program of the stack. `state`: running | starting | silent (there, but does not answer) | stopped."""

    name: str
    state: str
    pid: int | None
    address: str
    since: datetime | None
    detail: str = ""


@dataclass(frozen=True)
class StackStatus:
    """The whole stack, as it really is."""

    home: str
    url: str
    programs: tuple[ProgramStatus, ...]
    sandboxes: tuple[SandboxStatus, ...]
    chats: tuple[str, ...] = ()  # what is wrong with chats, a sentence each

    @property
    def running(self) -> bool:
        """Whether every program runs and answers (sandboxes aside)."""
        return all(program.state == "running" for program in self.programs)


def up(settings: Settings, say: Say) -> None:
    """Make everything run that should, and return when it answers. Changes nothing when it already does.

    Raises Conflict when a port is taken, Unavailable when something cannot be started, BadInput for a wrong site.
    """
    home = claim(settings)
    with _alone(home, say):
        saltconfig.render(home)
        samples.prepare(home, settings.site)
        _supervise(home, settings, say)
        _await_answers(home, say)
        _start_sandboxes(home, say)


def down(settings: Settings, say: Say) -> None:
    """End every process of the home: the stack and the sandboxes. What they are stays; `up` starts them again."""
    home = find(settings)
    with _alone(home, say):
        marks = {"BRINE_HOME": str(home.root)}
        if running := launcher.find(marks):
            say(f"ending {len(running)} processes")
        _end(marks)
        shutil.rmtree(home.sockets, ignore_errors=True)


def status(settings: Settings) -> StackStatus:
    """What really runs and answers. Raises NotFound when there is no home."""
    home = find(settings)
    supervised = supervision.ask(home.supervisor_socket)
    states = [_supervisor_status(home, supervised)]
    states += [_program_status(home, program, supervised or {}) for program in programs(home)]
    return StackStatus(str(home.root), home.url, tuple(states), sandboxes.all_of(home), probes.chats(home))


@contextmanager
def _alone(home: Home, say: Say) -> Iterator[None]:
    """One `up` or `down` at a time; a second one waits for the first."""
    lock = FileLock(home.run / "stack.lock")
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say("waiting for another brine up or down")
            lock.acquire(timeout=START_SECONDS)
    except Timeout as error:
        raise Unavailable("stack-busy", "Another brine up or down is still at work; try again later.") from error
    try:
        yield
    finally:
        lock.release()


def _supervise(home: Home, settings: Settings, say: Say) -> None:
    """A supervisord with today's configuration that has been told to run everything."""
    today = _stack_marks(home, SUPERVISOR) | {"BRINE_CONFIG": saltconfig.fingerprint(home, settings)}
    supervised = supervision.ask(home.supervisor_socket) if launcher.find(today) else None
    if supervised is None:
        _start_supervisor(home, settings, say)
        return
    for program in supervised.values():
        if program.state not in ("RUNNING", "STARTING", "BACKOFF"):
            say(f"starting {program.name}")
            supervision.start(home.supervisor_socket, program.name)


def _start_supervisor(home: Home, settings: Settings, say: Say) -> None:
    """End what is left of an earlier stack (its supervisor died, or its configuration is old) and start anew."""
    if left := launcher.find(_stack_marks(home)):
        say(f"ending {len(left)} processes of an earlier start")
        _end(_stack_marks(home))
    for program in programs(home):
        for port in program.ports:
            probes.check_free(port)
    say(f"starting {', '.join(program.name for program in programs(home))}")
    log = str(home.log / f"{SUPERVISOR}.out")
    launch = [sys.executable, "-I", "-S", str(saltconfig.LAUNCHER), "run", "--daemon", log, SUPERVISOR, "--"]
    environment = saltconfig.stack_environment(home, settings)
    subprocess.run([*launch, *supervisord(home)], env=environment, cwd=home.root, check=True)


def _await_answers(home: Home, say: Say) -> None:
    """Wait until everything answers, saying what is waited for whenever that changes."""
    deadline = time.monotonic() + START_SECONDS
    said = None
    while waiting := [(program, why) for program in programs(home) if (why := _why_not(home, program))]:
        names = ", ".join(program.name for program, _ in waiting)
        if names != said:
            say(f"waiting for {names}")
            said = names
        _give_up_on_the_dead(home, waiting, overdue=time.monotonic() > deadline)
        time.sleep(POLL_SECONDS)


def _give_up_on_the_dead(home: Home, waiting: list[tuple[Program, str]], overdue: bool) -> None:
    """Raises Unavailable for a program that supervisord has given up on, or when time is up."""
    supervised = supervision.ask(home.supervisor_socket) or {}
    for program, why in waiting:
        seen = supervised.get(program.name)
        if overdue or (seen and seen.state == "FATAL"):
            log = home.log / f"{program.name}.out"
            sentence = f"{program.name} does not start: {why}. Its last words are in {log}."
            raise Unavailable("stack-not-started", sentence, detail=_tail(log))


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""


def _start_sandboxes(home: Home, say: Say) -> None:
    """Switch on what is off. One that cannot be started is said and does not keep the others from it."""
    for sandbox in sandboxes.all_of(home):
        if sandbox.state != "running":
            say(f"starting server {sandbox.name}")
            try:
                sandboxes.start(home, sandbox.name)
            except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                say(f"server {sandbox.name} cannot be started: {error}")


def _stack_marks(home: Home, program: str | None = None) -> dict[str, str]:
    """The marks of the stack's own processes (sandboxes have BRINE_SANDBOX)."""
    return {"BRINE_HOME": str(home.root), "BRINE_SANDBOX": ""} | ({"BRINE_PROGRAM": program} if program else {})


def _end(marks: launcher.Marks) -> None:
    try:
        launcher.end(marks, grace=GRACE_SECONDS)
    except TimeoutError as error:
        raise Unavailable("stack-not-ended", f"Not everything could be ended: {error}.") from error


def _supervisor_status(home: Home, supervised: dict[str, supervision.Supervised] | None) -> ProgramStatus:
    pid = _main_process(home, SUPERVISOR)
    state = "stopped" if pid is None else "running" if supervised is not None else "silent"
    return ProgramStatus(SUPERVISOR, state, pid, str(home.supervisor_socket), _since(pid))


def _program_status(home: Home, program: Program, supervised: dict[str, supervision.Supervised]) -> ProgramStatus:
    """Asked for real: whatever supervisord believes, a program that does not answer is not running."""
    pid = _main_process(home, program.name)
    why = _why_not(home, program)
    seen = supervised.get(program.name)
    state = "stopped" if pid is None else "running" if why is None else "silent"
    if state == "silent" and seen and seen.state == "STARTING":
        state = "starting"
    address = ", ".join(map(str, program.ports))
    return ProgramStatus(program.name, state, pid, address, _since(pid), why or "")


def _why_not(home: Home, program: Program) -> str | None:
    """None when the program runs and answers; else what is wrong. Children of a dead one may still answer: they go."""
    return probes.problem(home, program) if _main_process(home, program.name) else "no process"


def _main_process(home: Home, program: str) -> int | None:
    """The process that the program began with; children that outlived it do not count (the ports may still be open)."""
    found = launcher.find(_stack_marks(home, program))
    return next((process.pid for process in found if process.pid == process.group), None)


def _since(pid: int | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC) if pid else None
    except psutil.NoSuchProcess:
        return None
