"""An installation of the bench's own: a home in a temporary folder, the stack started in it, and all of it removed."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from orchestrator.domain.errors import NotFound
from orchestrator.embedded import saltconfig, stack
from orchestrator.embedded.home import Home, find, release
from orchestrator.settings import Settings, load

Say = Callable[[str], None]
Handler = Callable[[int, FrameType | None], None] | signal.Handlers

COMMAND_SECONDS = 600
_MARK = "bench"  # BRINE_PROGRAM of the commands that we start: what the end of the stack finds and ends them by


class BenchError(Exception):
    """Something did not do what is to be measured; the message says what, with its last words."""


@dataclass(frozen=True)
class Installation:
    """A running stack that nobody else uses."""

    settings: Settings
    home: Home

    def run(self, *command: str) -> str:
        """Run a program of the installation's Python environment to its end. → its output. Raises BenchError."""
        # A session of its own: when the stack is ended, whatever shares a session with a marked process goes too.
        done = subprocess.run(
            [str(self.home.bin / command[0]), *command[1:]], env=self._environment(), cwd=self.home.root,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
            start_new_session=True,
        )  # fmt: skip
        if done.returncode:
            raise BenchError(f"{' '.join(command)} ended with {done.returncode}:\n{_end(done.stdout + done.stderr)}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return saltconfig.stack_environment(self.home, self.settings) | {"BRINE_PROGRAM": _MARK}


@contextmanager
def installation(say: Say) -> Iterator[Installation]:
    """A stack in a new home on loopback, removed without a trace at the end of the block, however it ends."""
    with _signals(_interrupt):  # SIGTERM as Ctrl-C, so that the clean-up runs
        root = Path(tempfile.mkdtemp(prefix="brinepool-bench-"))
        settings = _settings(root)
        try:
            stack.up(settings, say)
            yield Installation(settings, find(settings))
        finally:
            _remove(settings, say)


def _settings(root: Path) -> Settings:
    """The defaults with a home of our own. Settings of the caller's could lead to a real database or another server."""
    for name in [name for name in os.environ if name.startswith("BRINE_")]:
        del os.environ[name]
    os.environ["BRINE_HOME"] = str(root)
    return load()


@contextmanager
def _signals(handler: Handler) -> Iterator[None]:
    """Within the block, signals that end a program are handled so."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _remove(settings: Settings, say: Say) -> None:
    """End every process and remove every file. Not to be interrupted: what stayed would be somebody's to find."""
    with _signals(signal.SIG_IGN):
        with suppress(NotFound):  # when it did not come as far as that
            home = find(settings)
            stack.down(settings, say)
            release(home)
        shutil.rmtree(settings.home)


def _end(text: str, lines: int = 15) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
