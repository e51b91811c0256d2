"""One real stack for the whole run: started once, always taken down, and nothing may be left of it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.embedded import home, networks, stack
from orchestrator.settings import CHECKOUT, Settings

from .stack import RunningStack

HERE = Path(__file__).parent
_minions = pytest.StashKey[set[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives real Salt."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how real it was: how many minions returned jobs, counted in the masters' job caches."""
    if minions := config.stash.get(_minions, None):
        terminalreporter.write_line(f"{len(minions)} real minions returned jobs to a real master in this run.")


@pytest.fixture(scope="session")
def start_stack(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Callable[..., RunningStack]]:
    """Start a stack in a home of its own; all of them are taken down, and looked after, at the end of the run."""
    running: list[RunningStack] = []

    def start(**settings: object) -> RunningStack:
        chosen = Settings(home=tmp_path_factory.mktemp("home"), site=CHECKOUT, **settings)
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
        shutil.rmtree(one.home.sockets, ignore_errors=True)
        networks.release(one.home.root, one.home.network)
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
