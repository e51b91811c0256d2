"""What is counted over all rounds, and printed. The run is good when nothing was violated and every phase was met."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.drive import Outcome
from tests.chaos.plan import PHASES

ENOUGH = 5  # how often each phase has to be met by a kill


@dataclass
class Report:
    """Everything so far. `wanted`: rounds asked for, by world."""

    seed: int
    wanted: dict[str, int]
    rounds: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    unfired: int = 0
    tries: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> list[str]:
        """Count a round. → what it violated, in sentences that say how to repeat it."""
        world = outcome.plan.world
        self.rounds[world] += 1
        self.seconds[world] += outcome.seconds  # type: ignore[assignment]
        for mine, its in (
            (self.kills, outcome.kills), (self.killed, outcome.killed), (self.messages, outcome.messages),
            (self.operations, outcome.operations), (self.answers, outcome.answers),
        ):  # fmt: skip
            mine.update(its)  # type: ignore[call-overload,attr-defined]
        self.unfired += outcome.unfired
        self.tries += outcome.tries
        told = [self._sentence(outcome, each.what, each.about) for each in outcome.violations]
        self.violations += told
        return told

    @property
    def missed(self) -> list[str]:
        """The phases that were not met often enough."""
        met: Counter[str] = Counter()
        for (_, phase), count in self.kills.items():
            met[phase] += count
        return [phase for phase in PHASES if met[phase] < ENOUGH]

    @property
    def good(self) -> bool:
        """Whether the run shows what it is to show."""
        return not self.violations and not self.missed

    def lines(self) -> Iterable[str]:
        """The whole report."""
        yield f"seed {self.seed}"
        for world, wanted in self.wanted.items():
            took = f"{self.seconds[world] / max(1, self.rounds[world]):.1f} s each"
            yield f"{self.rounds[world]} of {wanted} rounds on the {world} Salt, {took}"
        yield ""
        yield from self._table()
        yield ""
        yield f"kills whose moment never came: {self.unfired}"
        yield f"messages: {_listed(self.messages)}"
        yield f"operations: {_listed(Counter({f'{kind} {state}': n for (kind, state), n in self.operations.items()}))}"
        yield f"answers to people, after {self.tries} requests: {_listed(self.answers)}"
        yield f"violations: {len(self.violations)}"
        yield from self.violations
        if self.missed:
            yield f"met fewer than {ENOUGH} times: {', '.join(self.missed)}"

    def _table(self) -> Iterable[str]:
        """Kills by what was killed and the phases that operations were in then; one kill may meet several."""
        phases = [*PHASES, "idle"]
        yield f"{'killed in phase':<16}" + "".join(f"{phase:>12}" for phase in phases) + f"{'kills':>8}"
        for target in sorted(self.killed):
            counts = "".join(f"{self.kills[target, phase]:>12}" for phase in phases)
            yield f"{target:<16}{counts}{self.killed[target]:>8}"
        sums = "".join(f"{sum(self.kills[target, phase] for target in self.killed):>12}" for phase in phases)
        yield f"{'all':<16}{sums}{sum(self.killed.values()):>8}"

    def _sentence(self, outcome: Outcome, what: str, about: str) -> str:
        plan = outcome.plan
        repeat = f"python -m tests.chaos --seed {self.seed} --world {plan.world} --only {plan.number}"
        return f"{plan.world} round {plan.number} ({plan.focus}): {what}: {about} [{repeat}]"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
