"""Fixtures that several parts of the suite share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis
from salt._logging import impl as salt_logging

from orchestrator.commands import World
from orchestrator.embedded import home, stack
from orchestrator.settings import CHECKOUT, Settings
from tests import postgres, programs
from tests.embedded import RunningStack
from tests.fakes.saltapi import FakeSaltApi
from tests.postgres import SQLITE

_minions = pytest.StashKey[set[str]]()
_MINIONS = "brinepool-minions"  # how a worker of pytest-xdist reports them

STACK = {"stack", "running_stack", "start_stack"}


hypothesis.register_profile("untimed", deadline=None)  # a loaded machine is slow, and that is no defect
hypothesis.load_profile("untimed")


@pytest.fixture
def fake() -> Iterator[FakeSaltApi]:
    """A fake salt-api that knows the branches of the test template."""
    with FakeSaltApi() as api:
        api.salt.branches.update(programs.BRANCHES)
        yield api


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Postgres]:
    """The PostgreSQL server of this worker."""
    if postgres.binaries() is None:
        pytest.skip("there is no PostgreSQL on this machine: no pg_ctl in PATH or below /usr/lib/postgresql")
    with postgres.running() as server:
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of the test's database: SQLite, unless `tests.postgres.BOTH` or `ONLY` mark it."""
    if getattr(request, "param", SQLITE) == SQLITE:
        return {}
    return {"database_url": request.getfixturevalue("postgresql").database()}


@pytest.fixture
def world(fake: FakeSaltApi, tmp_path: Path, database: dict[str, str]) -> Iterator[World]:
    """A whole Brinepool over the fake Salt."""
    with programs.brinepool(programs.settings_for(tmp_path, **database), fake.connect()) as running:
        yield running


@pytest.fixture(scope="session")
def start_stack(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Callable[..., RunningStack]]:
    """Start a stack in a home of its own; all of them are taken down, and looked after, at the end of the run."""
    running: list[RunningStack] = []

    def start(**settings: object) -> RunningStack:
        # Tests make servers by hand, which are leaks to a sweep; the test of sweeps starts its own.
        usual = {"home": tmp_path_factory.mktemp("home"), "site": CHECKOUT, "sweep_every": "1d"}
        chosen = Settings(**usual | settings)
        started = RunningStack(chosen, home.claim(chosen))
        running.append(started)
        stack.up(chosen, started.said.append)
        return started

    yield start
    minions = pytestconfig.stash.setdefault(_minions, set())
    for one in running:
        minions |= {returned.parent.name for returned in (one.home.salt / "cache" / "jobs").glob("*/*/*/return.p")}
        stack.down(one.settings, one.said.append)
        left = one.processes()
        home.release(one.home)
        assert left == []


@pytest.fixture(scope="session")
def running_stack(start_stack: Callable[..., RunningStack]) -> RunningStack:
    """The one stack of the run."""
    return start_stack()


@pytest.fixture(name="stack")
def healthy_stack(running_stack: RunningStack) -> Iterator[RunningStack]:
    """The one stack of the run, with no server in it, before and after each test."""
    running_stack.up()
    yield running_stack
    running_stack.up()
    if left := [sandbox.name for sandbox in running_stack.status().sandboxes]:
        running_stack.destroy(*left)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs a whole Salt stack: these tests run one after the other, all others beside each other."""
    if STACK & set(getattr(item, "fixturenames", ())) or "acceptance" in item.path.parts:
        item.add_marker(pytest.mark.stack)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended: what it knows of minions is known here."""
    node.config.stash.setdefault(_minions, set()).update(getattr(node, "workeroutput", {}).get(_MINIONS, ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how real it was: how many minions returned jobs, counted in the masters' job caches."""
    if minions := config.stash.get(_minions, None):
        terminalreporter.write_line(f"{len(minions)} real minions returned jobs to a real master in this run.")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where everything is installed (BRINE_TEST_SKIPS=forbidden, as in CI), a skipped test is a failed run."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_MINIONS] = sorted(session.config.stash.get(_minions, set()))
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("BRINE_TEST_SKIPS") == "forbidden" and reporter and reporter.stats.get("skipped"):
        reporter.write_line("\nTests were skipped, which BRINE_TEST_SKIPS=forbidden does not allow.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_configure() -> None:
    """Salt, once imported, keeps log lines to print them when Python ends; by then pytest has closed the stream."""
    salt_logging.shutdown_temp_handler()
