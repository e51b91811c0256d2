"""Cards of failures: what was said, and where more is written about it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.chat import cards, notes, plain
from orchestrator.commands.views import Accepted, EnvironmentView, FailureView, OperationView

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LINK = "https://wiki.example.org/wheels"


def failed(**failure: Any) -> Accepted:
    """A create that failed for one cause."""
    cause = FailureView(code="build-failed", title="cart-web-1: the build failed.", servers=["cart-web-1"], **failure)
    operation = OperationView(
        id="1", kind="create", environment="cart", actor="ada", door="api", state="failed", requested_at=NOW,
        started_at=NOW, ended_at=NOW, elapsed_s=1, request={}, failure=cause,
    )  # fmt: skip
    environment = EnvironmentView(
        name="cart", template="shop", owner="ada", status="failed", degraded=None, uses=None, branches={"web": "main"},
        servers_total=1, servers_ready=0, created_at=NOW, expires_at=NOW, age_s=1, expires_in_s=1, operation="1",
        failure=cause,
    )  # fmt: skip
    return Accepted(operation=operation, environment=environment)


@pytest.mark.parametrize("evidence", ["", "no such wheel"])
def test_the_link_is_in_the_details(evidence: str) -> None:
    details = cards.outcome(failed(link=LINK, evidence=evidence)).details
    assert details is not None
    assert (details.lines, details.code) == ((f"More about it: {LINK}",), evidence)
    assert LINK in plain.text(details)


def test_without_a_link_or_evidence_there_are_no_details() -> None:
    assert cards.outcome(failed()).details is None
    told = cards.outcome(failed(evidence="no such wheel")).details
    assert told is not None
    assert (told.lines, told.code) == ((), "no such wheel")


def test_the_link_is_told_below_the_card_where_there_are_threads() -> None:
    seen = failed(link=LINK, action="Mend it.")
    outcome = cards.outcome(seen)
    below = notes.below(seen, outcome, mention=("UA",), details=True)
    assert below is not None
    assert below.lines == ("Mend it.", f"More about it: {LINK}")
    without = notes.below(seen, outcome, mention=("UA",), details=False)
    assert without is not None
    assert without.lines == ("Mend it.",)
    assert notes.below(seen, outcome, mention=(), details=False) is None
