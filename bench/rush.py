"""Fifty commands at once in Slack while twenty operations run on the fake Salt: how soon each is acknowledged."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.chat import rush

TITLE = f"{rush.COMMANDS} commands at once while {rush.OPERATIONS} operations run (seconds; Slack's and Salt's fakes)"
AIM_S = 0.2  # the 99th percentile


def measure(rounds: int) -> Mapping[str, Sequence[float]]:
    """What was measured → a value for each round. Raises RuntimeError when a rule of Slack's was broken."""
    logging.disable(logging.WARNING)
    measured: dict[str, list[float]] = {}
    try:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                seen = rush.rush(Path(folder))
            if seen.violations:
                raise RuntimeError(f"Slack's rules were broken: {seen.violations[0]}")
            for name, share in (("median", 0.5), ("p99", 0.99)):
                value = rush.percentile(seen.acknowledged_s, share)
                measured.setdefault(f"until the acknowledgement, {name}", []).append(value)
    finally:
        logging.disable(logging.NOTSET)
    return measured
