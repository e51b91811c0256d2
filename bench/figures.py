"""Figures as people read them: a ratio with its aim, the spread over the rounds, and the seconds behind it."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from statistics import median

from .share import Share


@dataclass(frozen=True)
class Figure:
    """One of the four. `value` is made of medians; `rounds` are the values of each round by itself."""

    letter: str
    title: str
    value: float
    rounds: Sequence[float]
    aim: float

    def line(self) -> str:
        """What the run prints of it."""
        verdict = "met" if self.value <= self.aim else "MISSED"
        spread = f"{min(self.rounds):.3f} to {max(self.rounds):.3f}"
        return f"({self.letter}) {self.title:<66} {self.value:6.3f}   {self.aim:4.2f}  {verdict:<6}  {spread}"


def ratio(letter: str, title: str, ours: Sequence[float], theirs: Sequence[float], aim: float) -> Figure:
    """Our median over theirs; the rounds pair what was measured one after the other."""
    rounds = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Figure(letter, title, median(ours) / median(theirs), rounds, aim)


def own_share(letter: str, title: str, shares: Sequence[Share], aim: float) -> Figure:
    """The median of the orchestrator's share."""
    each = [share.ours for share in shares]
    return Figure(letter, title, median(each), each, aim)


def header(rounds: int, load: tuple[float, float]) -> str:
    """When, where, with what, and whether the machine was busy with something else."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_machine()}, Python {platform.python_version()}, "
        f"Salt {version('salt')}; {rounds} rounds after a warm-up\n"
        f"load average: {load[0]:.1f} at the begin, {load[1]:.1f} at the end (the bench's own is among it)"
    )


def ratios(figures: Iterable[Figure]) -> str:
    """The figures, one a line."""
    head = f"{'':<4}{'':<66}  ratio    aim          each round"
    return "\n".join([head, *(figure.line() for figure in figures)])


def seconds(title: str, measured: Mapping[str, Sequence[float]]) -> str:
    """Medians with their spread, as information: they are this machine's."""
    lines = [
        f"  {name:<60} {median(values):7.2f}   ({min(values):.2f} to {max(values):.2f})"
        for name, values in measured.items()
    ]
    return "\n".join([title, *lines])


def breakdown(shares: Sequence[Share]) -> str:
    """Where the orchestrator's own share goes: the median of each piece, and what else was seen."""
    pieces = {name: [share.pieces[name] for share in shares] for name in shares[0].pieces}
    notes = {name: [share.notes[name] for share in shares] for name in shares[0].notes}
    return "\n".join(
        chain(
            [seconds("where the orchestrator's own share goes (seconds; medians, of each piece by itself):", pieces)],
            [seconds("and, not part of it:", notes)],
        )
    )


def _machine() -> str:
    """The processors, as Linux names them."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{len(names)} x {names[0]}" if names else platform.machine()
