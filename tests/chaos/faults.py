"""More misbehaviours of Salt than tests/fakes has, and how a plan's faults become misbehaviours."""

from collections import Counter
from collections.abc import Iterable

from tests.chaos.plan import Fault
from tests.fakes import misbehaviour as bad


class DelaysEvents(bad.Misbehaviour):
    """An event is sent `seconds` later than it happened, after others that happened later."""

    def __init__(self, seconds: float, times: int | None = None) -> None:
        super().__init__(times=times)
        self.seconds = seconds


class TakesEffectButTimesOut(bad.Misbehaviour):
    """A runner's function is carried out, but neither an event nor the job cache ever tells."""

    def __init__(self, function: str, times: int | None = None) -> None:
        super().__init__(times=times)
        self.function = function


class StartsLate(bad.Misbehaviour):
    """A runner that was accepted begins `seconds` later: the master is busy."""

    def __init__(self, function: str, seconds: float, times: int | None = None) -> None:
        super().__init__(times=times)
        self.function, self.seconds = function, seconds


class MakesSlowly(bad.Misbehaviour):
    """The cloud takes `seconds` longer to make a machine."""

    def __init__(self, seconds: float, times: int | None = None) -> None:
        super().__init__(times=times)
        self.seconds = seconds


class WorksSlowly(bad.Misbehaviour):
    """Each state of a highstate takes `seconds` longer; not in the first `skip` highstates."""

    def __init__(self, *servers: str, seconds: float, skip: int = 0, times: int | None = None) -> None:
        super().__init__(*servers, times=times)
        self.seconds, self.skip = seconds, skip

    def is_due(self) -> bool:
        """Asked once for each highstate."""
        self.skip -= 1
        return self.skip < 0


_OWN = {each.__name__: each for each in (DelaysEvents, TakesEffectButTimesOut, StartsLate, MakesSlowly, WorksSlowly)}
# What a misbehaviour does to messages, for the report.
MESSAGES = {
    "DropsEvents": "events lost", "DropsStream": "events lost", "HangsStream": "streams that hang",
    "RepeatsEvents": "events repeated", "DelaysEvents": "events delayed", "LosesReturns": "returns lost",
    "TakesEffectButTimesOut": "calls that took effect and timed out", "Restarts": "calls that took effect unanswered",
    "StartsLate": "calls delayed", "MakesSlowly": "machines made slowly", "WorksSlowly": "highstates slowed down",
    "AnswersSlowly": "answers delayed", "ExpiresTokens": "tokens expired",
    "ForgetsJobs": "jobs forgotten", "FailsDuringHighstate": "highstates that fail", "CreateFails": "creates that fail",
    "DestroyFails": "destroys that fail",
}  # fmt: skip


def misbehaviours(faults: Iterable[Fault]) -> list[bad.Misbehaviour]:
    """The plan's faults, ready for `FakeSalt.misbehave`."""
    return [_made(fault) for fault in faults]


def _made(fault: Fault) -> bad.Misbehaviour:
    kind = _OWN.get(fault.name) or getattr(bad, fault.name)
    servers = (fault.server,) if fault.server else ()
    made: bad.Misbehaviour = kind(*servers, times=fault.times, **fault.options)
    return made


def messages(happened: Counter[str]) -> Counter[str]:
    """What happened to messages, by kind, from how often which misbehaviour happened."""
    counted: Counter[str] = Counter()
    for name, count in happened.items():
        if name in MESSAGES:
            counted[MESSAGES[name]] += count
    return counted
