"""A throw-away PostgreSQL: made in a folder of its own, on a free port of loopback, and gone at the end."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

SQLITE = "sqlite"
# What a test, or a file of them (`pytestmark`), runs on: the fixture `database` goes by it.
BOTH = pytest.mark.parametrize("database", [SQLITE, "postgresql"], indirect=True)
ONLY = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

USER = "brinepool"
_PATIENCE_S = 60.0
# What a crash of the machine would cost does not matter here; that connections are enough for several replicas does.
_SETTINGS = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300",
    "listen_addresses": "127.0.0.1",
}  # fmt: skip


def binaries() -> Path | None:
    """Where the installed PostgreSQL is; None when there is none."""
    if found := shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Postgres:
    """A server in a folder of its own."""

    folder: Path
    _owner: pwd.struct_passwd | None
    _port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def database(self) -> str:
        """Make an empty database. → its SQLAlchemy URL."""
        name = f"brinepool_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self._port}/{name}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection that commits each statement."""
        return psycopg.connect(host="127.0.0.1", port=self._port, user=USER, dbname=database, autocommit=True)

    def make(self) -> None:
        """Make its files."""
        options = ["-U", USER, "--auth=trust", "-E", "UTF8", "--no-locale", "-N"]
        command = [_program("initdb"), "-D", self.folder / "data", *options]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **_as(self._owner))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [option for name, value in _SETTINGS.items() for option in ("-c", f"{name}={value}")]
        command = [_program("postgres"), "-D", self.folder / "data", "-k", self.folder, "-p", str(self._port), *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as(self._owner))
        _await(self, self._process)

    def stop(self) -> None:
        """End it at once, and every connection with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def restart(self, away_s: float) -> None:
        """Be away for so long."""
        self.stop()
        threading.Event().wait(away_s)
        self.start()


@contextmanager
def running() -> Iterator[Postgres]:
    """A server until the end of the block."""
    # Not below pytest's folder: whoever runs the server must be able to get there, and a socket's path must be short.
    folder, owner = Path(tempfile.mkdtemp(prefix="brine-pg-")), _owner()
    server = Postgres(folder, owner)
    try:
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> Path:
    found = binaries()
    assert found is not None, "there is no PostgreSQL on this machine"
    return found / name


def _await(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not _answers(server):
        log = (server.folder / "log").read_text(errors="replace")
        assert process.poll() is None, f"PostgreSQL has ended: {log}"
        assert time.monotonic() < deadline, f"PostgreSQL does not answer: {log}"
        time.sleep(0.02)


def _answers(server: Postgres) -> bool:
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def _owner() -> pwd.struct_passwd | None:
    """Who runs the server when we are root, as whom it refuses to run."""
    if os.geteuid() != 0:
        return None
    known = {each.pw_name: each for each in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _as(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
