"""`python -m tests.chaos`: see the package's description, and --help."""

import argparse
import math
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import lanes, mutations, prove
from tests.chaos.plan import FAKE, REAL, numbers_of
from tests.chaos.report import Report

FULL = (500, 20)
SHORT = (40, 2)
SHORT_BUDGET = 280.0
MORE, MORE_BATCHES = 8, 4  # rounds for phases that were missed, and how often
_FAKE_SHARE = 0.55  # of a budget, where there are rounds on the real stack as well


def _count(least: int) -> Callable[[str], int]:
    """A number that is not lower than that."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} on")
        return int(text)

    return number


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Create, deploy to and terminate environments by several people at once while everything is "
        "killed at random moments and messages are lost, repeated and delayed; then compare all worlds.",
    )
    parser.add_argument("--seed", type=int, default=None, help="of the plans; default: a new one, which is printed")
    parser.add_argument("--rounds", type=_count(0), default=None, help=f"on the fake Salt; default {FULL[0]}")
    parser.add_argument("--real-rounds", type=_count(0), default=None, help=f"on the embedded stack; default {FULL[1]}")
    parser.add_argument(
        "--budget", type=float, default=None, help="seconds after which no round begins, if every phase was met"
    )
    parser.add_argument("--short", action="store_true", help=f"{SHORT[0]} and {SHORT[1]} rounds, {SHORT_BUDGET:.0f} s")
    parser.add_argument("--lanes", type=_count(1), default=2, help="fake worlds side by side; default 2")
    parser.add_argument("--world", choices=(FAKE, REAL), default=FAKE, help="where --only takes place")
    parser.add_argument("--only", type=_count(0), default=None, help="just the round of this number, --rounds times")
    parser.add_argument("--mutate", choices=sorted(mutations.MUTATIONS), default="", help="switch a protection off")
    parser.add_argument(
        "--prove", action="store_true", help="switch each protection (or --mutate) off in turn: what is noticed?"
    )
    parser.add_argument("--keep", type=Path, default=None, help="a folder in which homes and logs are kept")
    chosen = parser.parse_args()
    if chosen.keep:
        try:
            chosen.keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--keep {chosen.keep} is no folder to write to: {error.strerror}")
    return chosen


def main() -> int:
    """→ 0 when nothing was violated and every phase was met."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # in order, so that nothing is left running
    chosen = arguments()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    if chosen.prove:
        return prove.main(seed, chosen.lanes, [chosen.mutate] if chosen.mutate else list(mutations.MUTATIONS))
    fake, real = _rounds(chosen)
    budget = chosen.budget or (SHORT_BUDGET if chosen.short else 10**9)
    report = Report(seed, {FAKE: len(fake), REAL: len(real)})
    print(f"seed {seed}: {len(fake)} rounds on the fake Salt, {len(real)} on the embedded stack", flush=True)
    began = time.time()
    fake_until = began + budget * (_FAKE_SHARE if real else 1.0)
    for outcome in lanes.fake_rounds(
        seed, fake, chosen.lanes, fake_until, chosen.mutate, chosen.keep, lambda: not report.missed
    ):
        _tell(report, outcome)
    if real:
        from tests.chaos import realworld

        for outcome in realworld.rounds(seed, real, began + budget, chosen.keep):
            _tell(report, outcome)
    if chosen.only is None and chosen.rounds is None:
        _meet_what_was_missed(report, chosen)
    print("\n" + "\n".join(report.lines()))
    return 0 if (report.good if chosen.only is None else not report.violations) else 1


def _meet_what_was_missed(report: Report, chosen: argparse.Namespace) -> None:
    """More rounds on the fake Salt of the phases that chance kept from being met often enough."""
    first = report.wanted[FAKE]
    for _ in range(MORE_BATCHES):
        if not report.missed:
            return
        numbers = numbers_of(report.missed, first, MORE)
        print(f"{len(numbers)} more rounds for: {', '.join(report.missed)}", flush=True)
        first = numbers[-1] + 1
        report.wanted[FAKE] += len(numbers)
        for outcome in lanes.fake_rounds(report.seed, numbers, chosen.lanes, math.inf, chosen.mutate, chosen.keep):
            _tell(report, outcome)


def _rounds(chosen: argparse.Namespace) -> tuple[list[int], list[int]]:
    """The numbers of the rounds on the fake Salt and on the embedded stack."""
    if chosen.only is not None:
        numbers = [chosen.only] * (chosen.rounds or 1)
        return (numbers, []) if chosen.world == FAKE else ([], numbers)
    fake, real = SHORT if chosen.short else FULL
    fake = fake if chosen.rounds is None else chosen.rounds
    real = real if chosen.real_rounds is None else chosen.real_rounds
    return list(range(fake)), list(range(real))


def _tell(report: Report, outcome: "lanes.Outcome | str") -> None:
    """Count a round, and say at once what it violated; otherwise now and then how far it is."""
    if isinstance(outcome, str):
        report.violations.append(f"the harness broke: {outcome}")
        print(outcome, flush=True)
        return
    for sentence in report.add(outcome):
        print(f"VIOLATION {sentence}", flush=True)
    done = report.rounds[outcome.plan.world]
    if outcome.plan.world == REAL or done % 25 == 0:
        print(f"{done} {outcome.plan.world} rounds, {len(report.violations)} violations", flush=True)


if __name__ == "__main__":
    sys.exit(main())
