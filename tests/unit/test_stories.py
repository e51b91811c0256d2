"""How a story ends when something else happens than what it tells."""

import logging
from typing import Any

import pytest
from dbos import DBOS, PortableWorkflowError

from orchestrator.commands import World, environments, operations
from orchestrator.engine import stories
from orchestrator.engine.runtime import current, record, remote
from orchestrator.ports import Ledger, Superseded
from tests.programs import ALICE, ended, shop

NOT_IN_CHARGE = "operation X is not in charge of cart-test any more"


def call() -> None:
    raise Superseded(NOT_IN_CHARGE)


def change(_: Ledger) -> None:
    raise Superseded(NOT_IN_CHARGE)


def replayed(*_: Any) -> None:
    """What a step does when the process died behind it and it is replayed."""
    raise PortableWorkflowError(NOT_IN_CHARGE, "Superseded")


@pytest.mark.parametrize("step", [lambda: remote(call), lambda: record(change)], ids=["remote", "record"])
@pytest.mark.parametrize("again", [False, True], ids=["live", "replayed"])
def test_who_is_superseded_ends_quietly(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, step: Any, again: bool
) -> None:
    accepted = environments.create(world, ALICE, shop())
    assert ended(world, accepted).state == "succeeded"
    if again:
        monkeypatch.setattr(DBOS, "run_step", replayed)
        monkeypatch.setattr(current().datasource, "run_tx_step", replayed)
    with caplog.at_level(logging.INFO, "orchestrator.engine"):
        stories.operation_story(lambda _: step())(accepted.operation.id)
        stories.server_story(lambda *_: step())(accepted.operation.id, "cart-test-api-1")
    assert [entry.levelname for entry in caplog.records if "ended early" in entry.message] == ["INFO", "INFO"]
    assert "surprise" not in caplog.text
    monkeypatch.undo()
    assert operations.show(world, accepted.operation.id).state == "succeeded"
