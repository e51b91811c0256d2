"""Brinepools that are processes of their own, on one PostgreSQL and over one fake salt-api."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import requests

from orchestrator.embedded import home, networks
from orchestrator.settings import Settings
from tests import programs
from tests.fakes.saltapi import PASSWORD, USER, FakeSaltApi
from tests.postgres import free_port

T = TypeVar("T")
PATIENCE_S = 180.0  # on a machine that has much to do
SHOP = programs.roomy_shop(boot="2m", configure="2m").replace(
    "description: Storefront", "description: Storefront\nnotify: beacon:shop-dev"
)
ACCESS = "unknown: nothing\npeople:\n  ada: {role: developer, identities: {beacon: ada}}\n"


def wait_for(condition: Callable[[], T], says: Callable[[], object] = lambda: "", seconds: float = PATIENCE_S) -> T:
    """The first true answer of the condition; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {says()}"
        time.sleep(0.05)
    return answer


@dataclass
class Process:
    """One `brine serve` or `brine worker`, in a home of its own as if it ran on a machine of its own."""

    kind: str
    home: Path
    url: str
    process: subprocess.Popen[bytes]

    @property
    def token(self) -> str:
        return (self.home / "secrets" / "admin-token").read_text().strip()

    @property
    def log(self) -> str:
        return (self.home / "log.txt").read_text(errors="replace")

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=30, **more)

    def create(self, name: str, **asked: object) -> str:
        """Ask for an environment. → the operation."""
        answer = self.call("POST", "/environments", json={"template": "shop", "name": name, **asked})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["operation"]["id"])

    def answers(self) -> bool:
        """Whether it does its work; fails when it has ended."""
        assert self.process.poll() is None, f"{self.kind} has ended: {self.log}"
        if self.kind == "worker":
            return " works for " in self.log
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).ok
        except requests.ConnectionError:
            return False

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, seconds: float = 15.0) -> int:
        """Wait for its end. → its exit code, negative for a signal."""
        return self.process.wait(seconds)


@dataclass
class Fleet:
    """All of them, with what they share."""

    folder: Path
    database: str
    salt: FakeSaltApi
    processes: list[Process] = field(default_factory=list)

    def start(self, *kinds: str, settings: str = "") -> list[Process]:
        """Start processes at the same moment, and wait until all of them work. `settings`: their settings.toml."""
        started = [self.begin(kind, settings) for kind in kinds]
        wait_for(lambda: all(each.answers() for each in started), lambda: [each.log[-2000:] for each in started])
        return started

    def begin(self, kind: str, settings: str = "", **environment: str) -> Process:
        """Start one process, and wait for nothing."""
        own = self.folder / f"home-{len(self.processes)}"
        port = free_port()
        names = {
            "BRINE_HOME": own, "BRINE_SITE": self.folder / "site", "BRINE_DATABASE_URL": self.database,
            "BRINE_SALT_API_URL": self.salt.url, "BRINE_SALT_API_USER": USER, "BRINE_ADDRESS": "127.0.0.1",
            "BRINE_SALT_API_PASSWORD_FILE": self.folder / "password", "BRINE_PORT": port,
            "PATH": os.environ["PATH"], **environment,
        }  # fmt: skip
        (own / "secrets").mkdir(parents=True)
        (own / "secrets" / "admin-token").write_text("the same token in every home of this test")
        (own / "settings.toml").write_text(settings)
        command = [str(Path(sys.prefix) / "bin" / "brine"), kind]
        with (own / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                command, env={name: str(value) for name, value in names.items()}, stdout=log, stderr=log
            )
        self.processes.append(Process(kind, own, f"http://127.0.0.1:{port}", process))
        return self.processes[-1]

    def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """What the database has."""
        with psycopg.connect(self.database.replace("+psycopg", ""), autocommit=True) as connection:
            return connection.execute(query, arguments).fetchall()  # type: ignore[arg-type]

    def at_work(self, process: Process) -> list[str]:
        """The workflows that are being told by this process."""
        query = "SELECT workflow_uuid FROM dbos.workflow_status WHERE status = 'PENDING' AND executor_id LIKE %s"
        return [row[0] for row in self.rows(query, f"%-{process.process.pid}-%")]

    def executors(self, workflows: list[str]) -> set[str]:
        """Who works on these workflows, or did last."""
        query = "SELECT DISTINCT executor_id FROM dbos.workflow_status WHERE workflow_uuid = ANY(%s)"
        return {row[0] for row in self.rows(query, workflows)}

    def replicas(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT id FROM replicas ORDER BY started_at")]

    def is_replica(self, process: Process) -> bool:
        return any(f"-{process.process.pid}-" in each for each in self.replicas())

    def states(self) -> Counter[str]:
        """How operations stand."""
        return Counter(row[0] for row in self.rows("SELECT state FROM operations"))

    def await_end(self) -> None:
        """Wait until every operation has ended."""
        wait_for(lambda: not {"pending", "running"} & set(self.states()), self.said)

    def said(self) -> str:
        """What to look at when something does not happen."""
        transactions = self.rows(
            "SELECT state, wait_event, now() - xact_start, left(query, 80) FROM pg_stat_activity"
            " WHERE xact_start IS NOT NULL"
        )
        stuck = self.rows(
            "SELECT name, status, executor_id FROM dbos.workflow_status WHERE status IN ('PENDING', 'ENQUEUED')"
        )
        return "\n".join(
            [
                str(self.states()), *map(str, stuck + transactions),
                *(f"{each.kind}:\n{each.log[-3000:]}" for each in self.processes),
            ]
        )  # fmt: skip

    def close(self) -> None:
        for each in self.processes:
            if each.process.poll() is None:
                each.signal(signal.SIGCONT)
                each.process.kill()
            each.ended()
            _give_back(each.home)


@contextmanager
def fleet(folder: Path, database: str, salt: FakeSaltApi) -> Iterator[Fleet]:
    """A fleet without any process yet; all of them are gone at the end."""
    site = programs.make_site(folder / "site")
    (site / "templates" / "shop.yaml").write_text(SHOP)
    (site / "access.yaml").write_text(ACCESS)
    (folder / "password").write_text(PASSWORD)
    found = Fleet(folder, database, salt)
    try:
        yield found
    finally:
        found.close()


def _give_back(root: Path) -> None:
    """What a home has claimed outside of itself."""
    network = networks.recorded_in(root / "home.json")
    if network is not None:
        home.release(home.Home.of(Settings(home=root), network))
