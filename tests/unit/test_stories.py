"""How a story ends when something else happens than what it tells."""

import logging

import pytest
from dbos import PortableWorkflowError

from orchestrator.commands import World, environments, operations
from orchestrator.engine import stories
from orchestrator.ports import Superseded
from tests.programs import ALICE, ended, shop

NOT_IN_CHARGE = "operation X is not in charge of cart-test any more"
# The second is what the first becomes when the process dies behind the step that raised it, and the step is replayed.
SUPERSEDED = [Superseded(NOT_IN_CHARGE), PortableWorkflowError(NOT_IN_CHARGE, "Superseded")]


@pytest.mark.parametrize("error", SUPERSEDED, ids=["live", "replayed"])
def test_who_is_superseded_ends_quietly(world: World, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    accepted = environments.create(world, ALICE, shop())
    assert ended(world, accepted).state == "succeeded"

    def story(*_: str) -> None:
        raise error

    with caplog.at_level(logging.INFO, "orchestrator.engine"):
        stories.operation_story(story)(accepted.operation.id)
        stories.server_story(story)(accepted.operation.id, "cart-test-api-1")
    assert [entry.levelname for entry in caplog.records if "ended early" in entry.message] == ["INFO", "INFO"]
    assert "surprise" not in caplog.text
    assert operations.show(world, accepted.operation.id).state == "succeeded"
