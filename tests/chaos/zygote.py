"""A process that has imported all of Brinepool and forks one for each start: a start then takes 0.3 s instead of 2.

It has no thread, and nothing is connected or opened before the fork, so its children are what `brine serve` is after
its imports; killing one with SIGKILL is as real. One line of JSON asks, and one answers:

    {"start": {...Start}}  → {"pid": 123}            {"ended": 123}  → {"status": null | the status of waitpid}

It ends with its standard input, and its children end with it.
"""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from typing import Any

from tests.chaos.child import Start

_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Zygote:
    """Its other side, in the harness."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.chaos.zygote"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lock = threading.Lock()

    def start(self, start: Start) -> int:
        """Fork a Brinepool. → its process id."""
        return int(self._ask({"start": asdict(start)})["pid"])

    def ended(self, pid: int) -> int | None:
        """The status of a child that has ended; None while it lives."""
        status = self._ask({"ended": pid})["status"]
        return None if status is None else int(status)

    def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(10)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            return answer


def main() -> None:
    """The process."""
    from tests.chaos import child

    child.import_everything()
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()  # what was imported is shared by all children
    living: set[int] = set()
    for line in sys.stdin:
        question = json.loads(line)
        if "start" in question:
            pid = _fork(Start(**question["start"]))
            living.add(pid)
            answer = {"pid": pid}
        else:
            pid, status = os.waitpid(question["ended"], os.WNOHANG)
            living.discard(pid)
            answer = {"status": status if pid else None}
        print(json.dumps(answer), flush=True)
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def die_with_parent() -> None:
    """The kernel ends this process when its parent has ended, in whatever way."""
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)


def _fork(start: Start) -> int:
    if pid := os.fork():
        return pid
    die_with_parent()
    from tests.chaos import child

    log = os.open(start.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, standard in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, standard)
    try:
        child.main(start)
    finally:
        os._exit(1)  # never back into the loop of the parent


if __name__ == "__main__":
    main()
