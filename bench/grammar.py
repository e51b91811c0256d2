"""How long it takes to understand a line of chat; no installation is needed for it."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import quantiles
from zoneinfo import ZoneInfo

from orchestrator.chat.grammar import examples, help_topics, understand
from orchestrator.chat.intent import Vocabulary

TITLE = "understanding a line of chat (milliseconds; the lines of the help, and the same with a letter missing)"
AIM_MS = 1.0  # a line that is understood, at the median

_ROLES = {"api": "shop-api", "web": "shop-web"}
_VOCABULARY = Vocabulary(
    templates={f"shop-{number}" if number else "shop": _ROLES for number in range(10)},
    environments=tuple(f"cart-test-{number}" for number in range(100)),
    servers=tuple(f"cart-test-{number}-web-{server}" for number in range(100) for server in (1, 2)),
    branches=("main", "feature/cart"),
    people=tuple(f"person-{number}" for number in range(50)),
)
_FIRST = """
import time; began = time.perf_counter()
from datetime import UTC, datetime; from zoneinfo import ZoneInfo
from orchestrator.chat.grammar import understand; from orchestrator.chat.intent import Vocabulary
loaded = time.perf_counter(); understand("list", Vocabulary(), datetime.now(UTC), ZoneInfo("UTC"))
print((time.perf_counter() - loaded) * 1000)
"""


def measure(rounds: int) -> Mapping[str, Sequence[float]]:
    """What was measured → a value for each round, in milliseconds. 100 environments, 200 servers, 10 templates."""
    right = [
        *examples(_VOCABULARY),
        *(each for topic in help_topics().values() for each in topic.examples(_VOCABULARY)),
    ]
    wrong = [line[:1] + line[2:] for line in right if len(line) > 4]
    _times(right, 5)  # builds the parser, and what is kept of it
    measured: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, value in _round(right, wrong):
            measured.setdefault(name, []).append(value)
    return measured


def _round(right: Sequence[str], wrong: Sequence[str]) -> list[tuple[str, float]]:
    understood, mistyped = _times(right, 50), _times(wrong, 5)
    return [
        ("a line that is understood, median", _percentile(understood, 50)),
        ("a line that is understood, p99", _percentile(understood, 99)),
        ("a mistyped line, with what may have been meant, median", _percentile(mistyped, 50)),
        ("a mistyped line, with what may have been meant, p99", _percentile(mistyped, 99)),
        ("1,000 characters of single letters", _took(lambda: _understand("create " + "b " * 490))),
        ("10,000 characters, refused", _took(lambda: _understand("create " * 1430))),
        ("the first line of a process, which builds the parser", _first_line()),
    ]


def _understand(line: str) -> object:
    return understand(line, _VOCABULARY, datetime.now(UTC), ZoneInfo("Europe/Berlin"))


def _took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _times(lines: Sequence[str], repeats: int) -> list[float]:
    return [_took(lambda line=line: _understand(line)) for _ in range(repeats) for line in lines]  # type: ignore[misc]


def _percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100)[percent - 1]


def _first_line() -> float:
    """In a process of its own."""
    done = subprocess.run([sys.executable, "-c", _FIRST], check=True, capture_output=True, text=True, timeout=60)
    return float(done.stdout)
