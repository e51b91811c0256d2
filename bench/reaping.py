"""How long it takes to plan what the reaper does, and what memory that takes; no installation is needed for it."""

import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click

from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.reaping import (
    ActionKind,
    Candidate,
    Cause,
    GoneBranch,
    Hold,
    Policy,
    Protection,
    Snapshot,
    Warned,
    noticed,
    plan_reap,
)

ENVIRONMENTS = 10_000
TITLE = f"planning what the reaper does with {ENVIRONMENTS:,} environments"
AIM_S = 1.0  # one plan

_NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)
_POLICY = Policy(
    max=14 * 24 * _HOUR, extend=24 * _HOUR, hold=24 * _HOUR, warn=(4 * _HOUR, 30 * _MINUTE), idle=5 * 24 * _HOUR,
    failed=3 * 24 * _HOUR, per_person=3, branches={"api": "main", "web": "main"},
)  # fmt: skip


def measure(rounds: int, environments: int = ENVIRONMENTS) -> Mapping[str, Sequence[float]]:
    """What was measured → a value for each round. The first round is a warm-up and not counted."""
    snapshot = _snapshot(environments)
    measured: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        found = {
            "one plan, seconds": _seconds(lambda: plan_reap(snapshot, _NOW)),
            "what is noticed, seconds": _seconds(lambda: noticed(snapshot, _NOW)),
            "one plan, peak of its memory, MB": _megabytes(lambda: plan_reap(snapshot, _NOW)),
            "the snapshot, MB": _megabytes(lambda: _snapshot(environments)),
        }
        for name, value in found.items() if number else ():
            measured.setdefault(name, []).append(value)
    return measured


def actions(environments: int = ENVIRONMENTS) -> Mapping[str, int]:
    """How many of each kind the plan has, so that it is seen to be no empty one."""
    found = [action.kind for action in plan_reap(_snapshot(environments), _NOW)]
    return {str(kind): found.count(kind) for kind in ActionKind}


def _snapshot(count: int) -> Snapshot:
    """Ten kinds of environments in turn: half of them have an action. Owners have two to four of a template each."""
    made = (_candidate(number) for number in range(count))
    return Snapshot(tuple(made), {f"template-{number}": _POLICY for number in range(10)})


def _candidate(number: int) -> Candidate:
    well = Candidate(
        id=f"{number:026}", name=f"cart-test-{number}", template=f"template-{number % 10}",
        owner=f"person-{number * 7919 % 3300}", status=EnvironmentStatus.READY, created_at=_NOW - 48 * _HOUR,
        expires_at=_NOW + 48 * _HOUR, touched_at=_NOW - 48 * _HOUR, deployed_at=_NOW - 48 * _HOUR,
    )  # fmt: skip
    due = _NOW - number % 20 * _MINUTE
    expired = replace(well, expires_at=due, warnings=_warned(Cause.EXPIRED, due))
    gone = GoneBranch("web", "feature/cart", 9, _NOW - 5 * _HOUR)
    match number // 10 % 10:
        case 0:
            return expired
        case 1:
            return replace(expired, protection=Protection("olga", well.created_at, None, "a demonstration"))
        case 2:
            return replace(expired, hold=Hold("ada", _NOW - 9 * _HOUR, _NOW + 9 * _HOUR))
        case 3:
            return replace(well, expires_at=_NOW + 3 * _HOUR)
        case 4:
            return replace(well, gone=(gone,), warnings=_warned(Cause.BRANCH_GONE, gone.first_noticed + 4 * _HOUR))
    return well


def _warned(cause: Cause, due: datetime) -> tuple[Warned, ...]:
    return tuple(Warned(cause, due, step, due - step, due - step) for step in _POLICY.warn)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _megabytes(work: Callable[[], object]) -> float:
    """The peak of what `work` allocates, its result included."""
    tracemalloc.start()
    try:
        kept = work()
        peak = tracemalloc.get_traced_memory()[1]
        del kept
        return peak / 1e6
    finally:
        tracemalloc.stop()


@click.command()
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Rounds after the warm-up.")
@click.option("--environments", type=click.IntRange(min=1), default=ENVIRONMENTS, show_default=True)
def main(runs: int, environments: int) -> None:
    """Print how long one plan takes, and its memory."""
    print(f"{TITLE.replace(f'{ENVIRONMENTS:,}', f'{environments:,}')}, aim below {AIM_S:.0f} s")
    print("in the plan: " + ", ".join(f"{count:,} {kind}" for kind, count in actions(environments).items()))
    for name, values in measure(runs, environments).items():
        print(f"  {name:<34} {min(values):7.3f} to {max(values):7.3f}")


if __name__ == "__main__":
    main()
