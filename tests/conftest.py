"""Fixtures that several parts of the suite share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.commands import World
from tests import embedded, programs
from tests.fakes.saltapi import FakeSaltApi


@pytest.fixture
def fake() -> Iterator[FakeSaltApi]:
    """A fake salt-api that knows the branches of the test template."""
    with FakeSaltApi() as api:
        api.salt.branches.update(programs.BRANCHES)
        yield api


@pytest.fixture
def world(fake: FakeSaltApi, tmp_path: Path) -> Iterator[World]:
    """A whole Brinepool over the fake Salt."""
    with programs.brinepool(programs.settings_for(tmp_path), fake.connect()) as running:
        yield running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Stack]:
    """One embedded stack for the whole run, without servers of its own. Tests take names of their own."""
    with embedded.running(tmp_path_factory.mktemp("home")) as running:
        yield running


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where everything is installed (BRINE_TEST_SKIPS=forbidden, as in CI), a skipped test is a failed run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("BRINE_TEST_SKIPS") == "forbidden" and reporter and reporter.stats.get("skipped"):
        reporter.write_line("\nTests were skipped, which BRINE_TEST_SKIPS=forbidden does not allow.")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
