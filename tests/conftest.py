"""Fixtures that several parts of the suite share."""

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
