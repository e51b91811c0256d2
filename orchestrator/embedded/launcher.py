"""Start, find and end the processes of a home. A program and a module; standard library only, Linux only.

    python -I -S launcher.py run [--daemon LOG] NAME -- COMMAND...    become COMMAND, as the only NAME
    python -I -S launcher.py end GRACE KEY=VALUE...               end everything that carries these marks
    python -I -S launcher.py ps KEY=VALUE...                      list it, as JSON

Every process is marked by its environment: BRINE_HOME (the home), BRINE_SANDBOX (the server it belongs to; not set for
the stack itself), BRINE_PROGRAM (set here) and BRINE_CONFIG (which configuration it was started with). `KEY=` asks for
processes without KEY. So nothing depends on records that can be lost or on process ids that can be used again, and no
process without our marks is ever touched. A program that wipes its environment is still found, by the process group or
session that it shares with one that does not.

`run` first kills what its predecessor left: a salt-master whose parent was killed leaves ten children that hold its
ports. It takes 15 ms and stands before every supervised program. `--daemon`: in a session of its own, its output
appended to LOG; returns when it has become COMMAND and so can be found.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

PATIENCE = 20.0  # seconds for the kernel to end what was killed
POLL = 0.02
MARKS = ("BRINE_HOME", "BRINE_SANDBOX", "BRINE_PROGRAM", "BRINE_CONFIG")

Marks = Mapping[str, str]  # an empty value stands for "not set"


class Process(NamedTuple):
    """A living process (no zombie) as /proc shows it; `marks` holds those of MARKS that its environment has."""

    pid: int
    group: int
    session: int
    marks: dict[str, str]


def run(name: str, command: list[str], log: str = "") -> None:
    """Kill what is left of the predecessor and become the command; with `log`, as a daemon (the caller goes on)."""
    if log:
        ready, alive = os.pipe()  # closed in the daemon when it becomes the command, or dies
        if os.fork():
            os.close(alive)
            os.read(ready, 1)
            return
        become_daemon(log)
    elif os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    own = {key: os.environ.get(key, "") for key in ("BRINE_HOME", "BRINE_SANDBOX")} | {"BRINE_PROGRAM": name}
    end(own, by="session" if log else "group")
    if log and own["BRINE_SANDBOX"]:
        os.nice(5)  # a server that boots or builds must not keep the master and the API waiting
    os.environ["BRINE_PROGRAM"] = name
    # setproctitle (Salt uses it) overwrites /proc/<pid>/environ, where the marks are, unless this is set.
    os.environ["SPT_NOENV"] = "1"
    os.execv(command[0], command)  # noqa: S606  (no shell is wanted)


def become_daemon(log: str) -> None:
    """A session of our own, and no file of the caller's: one who reads our output to its end would wait for ever."""
    os.setsid()
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    for ours, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(ours, standard)


def end(marks: Marks, grace: float = 0, by: str = "session") -> None:
    """End every process that carries the marks or shares its group or session (`by`) with one that does.

    SIGTERM first and SIGKILL after `grace` seconds; without grace SIGKILL at once. Raises TimeoutError when something
    is still there after all. Never ends the caller.
    """
    start = time.monotonic()
    for process in kin(marks, by) if grace else ():
        send(process.pid, signal.SIGTERM)
    while left := kin(marks, by):
        waited = time.monotonic() - start
        if waited > grace + PATIENCE:
            raise TimeoutError(f"processes {[process.pid for process in left]} do not end")
        for process in left if waited >= grace else ():
            send(process.pid, signal.SIGKILL)
        time.sleep(POLL)


def kin(marks: Marks, by: str = "session") -> list[Process]:
    """The processes that carry the marks, and those that share their group or session without marks of their own."""
    everybody = [process for process in processes() if process.pid != os.getpid()]
    marked = [process for process in everybody if carries(process, marks)]
    shared = {getattr(process, by) for process in marked}
    return marked + [process for process in everybody if not process.marks and getattr(process, by) in shared]


def find(marks: Marks) -> list[Process]:
    """The processes that carry the marks."""
    return [process for process in processes() if carries(process, marks)]


def carries(process: Process, marks: Marks) -> bool:
    """Whether the process was started by `run` and carries all the marks."""
    return "BRINE_PROGRAM" in process.marks and all(process.marks.get(key, "") == marks[key] for key in marks)


def processes() -> Iterator[Process]:
    """All living processes that we may look at."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):  # it has ended, or it is another user's
                if process := read(int(entry)):
                    yield process


def read(pid: int) -> Process | None:
    """The process; None when it is a zombie. Raises OSError when it is gone or not ours to look at."""
    with open(f"/proc/{pid}/stat") as file:  # its name, in brackets, may hold anything: what counts comes after it
        state, _, group, session = file.read().rpartition(")")[2].split()[:4]
    with open(f"/proc/{pid}/environ", "rb") as file:
        environment = dict(entry.partition("=")[::2] for entry in os.fsdecode(file.read()).split("\0"))
    marks = {key: environment[key] for key in MARKS if key in environment}
    return None if state in "ZX" else Process(pid, int(group), int(session), marks)


def send(pid: int, number: int) -> None:
    """Signal a process that may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def main(arguments: list[str]) -> None:
    """The program; see the module's description."""
    verb, *rest = arguments
    if verb == "run":
        options, command = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
        run(options[-1], command, log=options[1] if options[0] == "--daemon" else "")
    elif verb == "end":
        end(dict(mark.split("=", 1) for mark in rest[1:]), grace=float(rest[0]))
    else:
        print(json.dumps([process._asdict() for process in find(dict(mark.split("=", 1) for mark in rest))]))


if __name__ == "__main__":
    main(sys.argv[1:])
