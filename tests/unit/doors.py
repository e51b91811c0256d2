"""A Brinepool for tests of the front doors: real commands on a real database, and operations that a test plays."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.main import run
from orchestrator.commands import World, tokens
from orchestrator.curated.templates import CuratedFolder
from orchestrator.db.connect import connect, migrate
from orchestrator.db.store import SqlStore
from orchestrator.domain.environment import Operation
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.failures import Failure
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus
from orchestrator.domain.people import Access
from orchestrator.engine.progress import Hub
from orchestrator.ports import Branches, CuratedAccess
from orchestrator.settings import CHECKOUT, Settings
from orchestrator.web.app import create_app
from orchestrator.web.serve import Server

Brine = Callable[..., tuple[int, str, str]]  # the command's arguments → exit code, stdout, stderr
TOKEN = "ada-" + "t" * 40
BROKEN = Failure(
    "state-failed", "cart-web-1: the step “build” failed on branch main.", "no such wheel", "Mend it and deploy again."
)


def becoming(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A way to use the command line as somebody; olga at first."""

    def become(person: str) -> None:
        token = f"{person}-" + "t" * 40
        tokens.ensure(world, token, person, person)
        monkeypatch.setenv("BRINE_TOKEN", token)

    become("olga")
    return become


class RealTime:
    def now(self) -> datetime:
        return datetime.now(UTC)


class OneRepository:
    """A Salt that only knows branches; `down` lets it be unreachable."""

    down = False

    def branches(self, template: str, role: str) -> Branches:
        self.health()
        return Branches(f"https://git.example.org/{template}/{role}.git", "main", ("feature/cart", "main"))

    def all_branches(self, template: str) -> dict[str, Branches]:
        return {role: self.branches(template, role) for role in ("api", "web")}

    def providers(self) -> dict[str, str]:
        self.health()
        return {"small": "sandbox"}

    def health(self) -> None:
        if self.down:
            raise Unavailable("salt-unreachable", "salt-api does not answer; look with brine status.")


class People:
    """An access.yaml without a file: ada, alice and bob are developers, unless told otherwise."""

    def __init__(self, **roles: str) -> None:
        people = {
            name: {"role": role}
            for name, role in (roles or dict.fromkeys(("ada", "alice", "bob"), "developer")).items()
        }
        self.access = Access.model_validate({"people": people})

    def current(self) -> CuratedAccess:
        return CuratedAccess(self.access)


def make_world(folder: Path, start: Callable[[Operation], None] = lambda _: None, **settings: Any) -> World:
    """A world over a database in `folder`; `start` gets the operations that would begin now. TOKEN belongs to ada."""
    engine = connect(f"sqlite:///{folder / 'test.sqlite'}")
    migrate(engine)
    clock = RealTime()
    store, curated = SqlStore(engine, clock), CuratedFolder(CHECKOUT / "templates")
    chosen = Settings(home=folder, **settings)
    world = World(store, OneRepository(), curated, People(), clock, Hub(), start, lambda _: None, chosen)
    tokens.ensure(world, TOKEN, "ada", "test")
    return world


class Stage:
    """Plays the operations of a world, as the engine would write them down."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.world = make_world(folder, self._start, **settings)
        self.failure: Failure | None = None
        self.started: list[Operation] = []
        self.play: Callable[[Operation], None] = self.to_the_end

    def _start(self, operation: Operation) -> None:
        self.started.append(operation)
        threading.Thread(target=self.play, args=(operation,), daemon=True).start()

    def to_the_end(self, operation: Operation) -> None:
        self.begin(operation)
        self.finish(operation)

    def begin(self, operation: Operation) -> None:
        """Everything but the end: each server runs one Salt state."""
        with self.world.store.transaction() as ledger:
            ledger.move_operation(operation.id, OperationState.RUNNING)
            for server in ledger.servers(operation.environment):
                if server.status is ServerStatus.REQUESTED:
                    ledger.note(operation, "server.booted", server.name, phase="booting")
                ledger.note(operation, "state.ended", server.name)
                ledger.note(operation, "server.configuring", server.name, phase="configuring", state="build", n=3, of=6)
        self.world.hub.notify()

    def finish(self, operation: Operation) -> None:
        self._end(operation)
        self.world.hub.notify()

    def _end(self, operation: Operation) -> None:
        with self.world.store.transaction() as ledger:
            environment = ledger.environment_by_id(operation.environment)
            if environment.status is EnvironmentStatus.TERMINATING:
                for server in ledger.servers(environment.id):
                    ledger.move_server(
                        environment.id, server.name, operation.id, ServerStatus.TERMINATED, kind="server.terminated"
                    )
                ledger.move_environment(
                    environment.id, operation.id, EnvironmentStatus.TERMINATED, ended_at=self.world.clock.now()
                )
            state = OperationState.FAILED if self.failure else OperationState.SUCCEEDED
            ledger.move_operation(operation.id, state, self.failure)


@contextmanager
def served(world: World, port: int = 0, chats: Any = None) -> Iterator[str]:
    """The world's application, served in a thread of this process → its URL."""
    server, ending = Server(create_app(world, chats), "127.0.0.1", port, world.settings.threads), threading.Event()
    thread = threading.Thread(target=server.run, args=(ending,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        ending.set()
        thread.join()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def command_line(capsys: pytest.CaptureFixture[str]) -> Brine:
    """The command `brine`, in this process; it never prints a trace."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(arguments)
        printed = capsys.readouterr()
        assert "Traceback (most recent" not in printed.out + printed.err
        return code, printed.out, printed.err

    return call


def hears_an_interrupt() -> None:
    """For `preexec_fn` of a program that a test interrupts: a shell that started the tests in the background has told
    all its children to ignore that signal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
