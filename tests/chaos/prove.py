"""Switch each protection off in turn, and see which violations the run finds."""

import time
from collections import Counter
from collections.abc import Sequence
from itertools import count

from tests.chaos import lanes
from tests.chaos.mutations import MUTATIONS, Mutation
from tests.chaos.plan import plan_round

ROUNDS = 40  # at most; a mutation that was noticed needs no more


def main(seed: int, side_by_side: int, names: Sequence[str]) -> int:
    """→ 0 when each of these protections was missed, 1 when the run did not notice that one was gone."""
    print(f"seed {seed}: each protection is switched off for up to {ROUNDS} rounds on the fake Salt", flush=True)
    unnoticed = [name for name in names if not _noticed(name, seed, side_by_side)]
    print(f"\n{len(names) - len(unnoticed)} of {len(names)} were noticed")
    for name in unnoticed:
        print(f"not noticed: {name}: {MUTATIONS[name].about}")
    return 1 if unnoticed else 0


def _noticed(name: str, seed: int, side_by_side: int) -> bool:
    numbers, found, rounds = _numbers(MUTATIONS[name], seed), Counter[str](), 0
    first = ""
    for outcome in lanes.fake_rounds(seed, numbers, side_by_side, time.time() + 10**6, name):
        if isinstance(outcome, str):
            print(outcome, flush=True)  # what breaks the run itself has not been noticed by it
            continue
        rounds += 1
        for violation in outcome.violations:
            found[violation.what] += 1
            first = first or f"round {outcome.plan.number}: {violation.what}: {violation.about}"
    told = ", ".join(f"{what} ({count})" for what, count in found.most_common())
    print(f"\n{name}: {MUTATIONS[name].about}")
    print(f"  {'noticed in' if found else 'NOT noticed in'} {rounds} rounds{': ' + told if told else ''}", flush=True)
    if first:
        print(f"  e.g. {first}", flush=True)
    return bool(found)


def _numbers(mutation: Mutation, seed: int) -> list[int]:
    """The first rounds in which the protection matters."""
    chosen = []
    for number in count():
        plan = plan_round(seed, number)
        faults = {fault.name for fault in plan.faults}
        if (not mutation.focus or plan.focus in mutation.focus) and mutation.fault in faults | {""}:
            chosen.append(number)
        if len(chosen) == ROUNDS:
            return chosen
    raise AssertionError("numbers never end")
