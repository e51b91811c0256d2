"""One Brinepool process of the chaos run: `brine serve`, with less patience, and points to die at.

What is different from `brine serve` is here and nowhere else: how long silence is believed in (`hurry`), `Points`, and
a mutation if one was asked for.
"""

import importlib
import json
import logging
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

MODULES = (
    "orchestrator.bootstrap", "orchestrator.saltapi.adapter", "tests.fakes.saltapi", "tests.chaos.mutations",
    "alembic.command",
)  # fmt: skip


@dataclass(frozen=True)
class Start:
    """How a Brinepool is started. `settings`: of it; `point`: the file that names where it is to die, see Points."""

    settings: dict[str, Any]
    log: str
    point: str
    mutation: str = ""


def import_everything() -> None:
    """All that a start would import."""
    for module in MODULES:
        importlib.import_module(module)


def main(start: Start) -> None:
    """Be Brinepool until SIGTERM."""
    from orchestrator import bootstrap
    from orchestrator.ports import Salt
    from orchestrator.saltapi.adapter import SaltApi
    from orchestrator.settings import Settings
    from tests.chaos import mutations
    from tests.fakes.saltapi import IMPATIENT, PASSWORD, USER

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
    hurry()
    mutations.apply(start.mutation)
    points = Points(Path(start.point))

    def salt_api(settings: Settings) -> Salt:
        salt = SaltApi(settings.salt_api_url or "", USER, lambda: PASSWORD, patience=IMPATIENT)
        points.mark(salt)
        return salt

    bootstrap._salt_api = salt_api  # type: ignore[assignment]
    bootstrap.serve(Settings(**start.settings))


def hurry() -> None:
    """Believe less long in silence: a round takes seconds. Nothing else about Brinepool is changed."""
    from orchestrator.engine import configure, highstate_steps, machine_steps, patience, runtime, schedule, slots

    for module in (runtime, patience, machine_steps, highstate_steps, slots):
        module.SLICE = 0.5  # type: ignore[attr-defined]
    highstate_steps._SILENCE = timedelta(seconds=2)
    highstate_steps._PING = 5.0
    patience._RUNNER = 2.0
    configure._PATIENCE = 40
    schedule.TICK_S = 5


class Points:
    """Places inside the process at which it can be told to die, as by SIGKILL from outside.

    The file holds `{"point": name, "nth": n}`: the nth time that this point is come to. It is removed before dying.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._read_at, self._point, self._left = 0, "", 0

    def mark(self, salt: Any) -> None:
        """Wrap what is to have a point before and behind it."""
        from dbos import SQLAlchemyDatasource

        from orchestrator import bootstrap
        from orchestrator.engine import recovery

        for name in ("create", "submit", "put", "destroy"):
            setattr(salt, name, self._around(name, getattr(salt, name)))
        salt.news = self._behind_returns(salt.news)
        start = self._around("start", recovery.start)
        recovery.start = start
        if hasattr(bootstrap, "start"):
            bootstrap.start = start
        SQLAlchemyDatasource.run_tx_step = self._around("step", SQLAlchemyDatasource.run_tx_step)  # type: ignore[method-assign]

    def passed(self, point: str) -> None:
        """The process has come to a point."""
        with self._lock:
            self._refresh()
            if point != self._point:
                return
            self._left -= 1
            if self._left == 0:
                self._file.unlink(missing_ok=True)
                os.kill(os.getpid(), signal.SIGKILL)

    def _refresh(self) -> None:
        try:
            changed = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            self._point = ""
            return
        if changed != self._read_at:
            told = json.loads(self._file.read_text())
            self._read_at, self._point, self._left = changed, told["point"], told["nth"]

    def _around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.passed(f"{name}:before")
            result = call(*args, **kwargs)
            self.passed(f"{name}:after")
            return result

        return wrapped

    def _behind_returns(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """After a return was heard, and before it is written down."""

        @wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            news = call(*args, **kwargs)
            if news.returned is not None:
                self.passed("returned:after")
            return news

        return wrapped
