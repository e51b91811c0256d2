"""Talks to the stack's supervisord over its socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport


@dataclass(frozen=True)
class Supervised:
    """A program as its supervisord sees it. `state`: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL, ..."""

    name: str
    state: str
    pid: int
    since: int
    detail: str


@contextmanager
def _connected(socket: Path) -> Iterator[Any]:
    with ServerProxy("http://localhost", transport=SupervisorTransport(serverurl=f"unix://{socket}")) as proxy:
        yield proxy.supervisor


def ask(socket: Path) -> dict[str, Supervised] | None:
    """All programs by name; None when nothing answers at the socket."""
    try:
        with _connected(socket) as supervisor:
            return {info["name"]: _supervised(info) for info in supervisor.getAllProcessInfo()}
    except OSError:
        return None


def start(socket: Path, name: str) -> None:
    """Start a program, without waiting for it; one that runs is left alone. Raises OSError when nothing answers."""
    with _connected(socket) as supervisor:
        try:
            supervisor.startProcess(name, False)
        except Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise OSError(f"{name}: {fault.faultString}") from fault


def _supervised(info: dict[str, Any]) -> Supervised:
    return Supervised(
        info["name"], info["statename"], info["pid"], info["start"], info["spawnerr"] or info["description"]
    )
