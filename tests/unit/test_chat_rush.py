"""Fifty commands at once while twenty operations run: nothing is mixed up, lost, or more than Slack allows.

How quickly they are acknowledged is measured by the benchmark (`python -m bench --only rush`), not asserted here.
"""

import re
from pathlib import Path

import pytest

from tests.chat import rush

PHASES = ["booting", "configuring", "ready"]
PHASE = re.compile("|".join(PHASES))


@pytest.mark.long
def test_a_rush_keeps_order_and_limits(tmp_path: Path) -> None:
    seen = rush.rush(tmp_path)
    assert seen.running == rush.OPERATIONS, "the operations ended before the commands were made"
    assert len(seen.acknowledged_s) == rush.COMMANDS
    assert max(seen.acknowledged_s) < 3.0, "Slack shows an error after three seconds"
    assert seen.violations == []
    for card in seen.cards:
        assert ["is ready" in shown for shown in card] == [False] * (len(card) - 1) + [True], card
        for server in {line.split()[0] for shown in card[:-1] for line in shown.splitlines() if PHASE.search(line)}:
            seen_of_it = [
                _rank(line) for shown in card[:-1] for line in shown.splitlines() if line.split()[:1] == [server]
            ]
            assert seen_of_it == sorted(seen_of_it), card


def _rank(line: str) -> tuple[int, int]:
    """How far a server is, as a card shows it: its phase, and how many states have ended."""
    phase, states = PHASE.search(line), re.search(r"(\d+)/\d+", line)
    assert phase
    return PHASES.index(phase[0]), int(states[1]) if states else 0
