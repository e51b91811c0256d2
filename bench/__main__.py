"""`python -m bench [--runs N] [--only a,b,grammar,...]`: the figures of docs/benchmarks.md, from one run.

A round measures everybody once, one after the other, so that what else goes on in the machine meets all alike; the
first round is a warm-up and not counted. Nothing is left of the run, whether it ends well, badly or by Ctrl-C.
"""

import os
import sys
import time

import click

from orchestrator.domain.errors import BrinepoolError

from . import explaining, figures, grammar, load, reaping, rush
from .events import Events
from .figures import Figure
from .installation import BenchError, Installation, installation
from .rounds import CREATED_BY, Creates, Deploys

AIMS = {"a": 0.35, "b": 0.90, "c": 0.05, "d": 1.00}
ALONE = {  # no installation needed
    "grammar": grammar, "rush": rush, "reaping": reaping, "explaining": explaining, "load": load,
}  # fmt: skip
SECTIONS = (*AIMS, *ALONE)


def _sections(_context: click.Context, _option: click.Parameter, given: str) -> set[str]:
    sections = {section.strip() for section in given.split(",")}
    if strangers := sections - set(SECTIONS):
        raise click.BadParameter(f"{', '.join(sorted(strangers))}: choose from {','.join(SECTIONS)}.")
    return sections


@click.command()
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True, help="Rounds after the warm-up.")
@click.option("--only", callback=_sections, default=",".join(SECTIONS), metavar="a,rush", help="Only these figures.")
def main(runs: int, only: set[str]) -> None:
    """Print the speed of Brinepool against plain Salt, as ratios from one run."""
    before = os.getloadavg()[0]
    alone = [(module, module.measure(runs)) for name, module in ALONE.items() if name in only and _say_of(name)]
    creates, deploys = _against_salt(runs, only) if only & set(AIMS) else (None, None)
    print(figures.header(runs, (before, os.getloadavg()[0])))
    if creates or deploys:
        _print(creates, deploys, only)
    for module, measured in alone:
        print(f"\n{figures.seconds(module.TITLE, measured)}")


def _say_of(name: str) -> bool:
    _say(f"measuring {name}")
    return True


def _against_salt(runs: int, only: set[str]) -> tuple[Creates | None, Deploys | None]:
    try:
        with installation(_say) as installed, Events(installed.home) as events:
            creates = _create(installed, events, only, runs) if only & {"a", "b", "c"} else None
            deploys = _deploy(installed, events, runs) if "d" in only else None
    except (BenchError, BrinepoolError) as error:
        raise click.ClickException(str(error)) from error
    return creates, deploys


def _create(installed: Installation, events: Events, only: set[str], runs: int) -> Creates:
    creates = Creates(installed, events, [CREATED_BY[letter] for letter in sorted(only & set(CREATED_BY))])
    for number in range(runs + 1):
        _say(f"creating, round {number} of {runs}" if number else "creating, warm-up")
        creates.round(number, _say)
    return creates


def _deploy(installed: Installation, events: Events, runs: int) -> Deploys:
    with Deploys(installed, events) as deploys:
        for number in range(runs + 1):
            _say(f"deploying, round {number} of {runs}" if number else "deploying, warm-up")
            deploys.round(number, _say)
    return deploys


def _print(creates: Creates | None, deploys: Deploys | None, only: set[str]) -> None:
    found = (creates.figures(AIMS) if creates else []) + (deploys.figures(AIMS) if deploys else [])
    shown: list[Figure] = [figure for figure in found if figure.letter[0] in only]
    print(f"\n{figures.ratios(shown)}")
    for measured in (creates, deploys):
        if measured:
            print(f"\n{figures.seconds(measured.title, measured.seconds)}")
    if creates and "c" in only:
        print(f"\n{figures.breakdown(creates.shares)}")


_BEGAN = time.monotonic()


def _say(line: str) -> None:
    """Progress goes to stderr: what is printed can be kept as it is."""
    print(f"{time.monotonic() - _BEGAN:6.1f} s  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
