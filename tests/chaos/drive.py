"""Carries one round out: people ask, things die, everything comes to rest, and what is there is compared."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tests.chaos import verify
from tests.chaos.clients import EXPECTED, Answer, Crowd
from tests.chaos.plan import Ask, Kill, Round
from tests.chaos.rows import Row, Rows
from tests.chaos.verify import Seen, Violation

_TICK = 0.015
_ASKING = 60.0  # seconds that people may take in all
_REST = 15.0  # seconds for what is outside of Brinepool to come to rest
_STARTING = 15.0


class World(Protocol):
    """What a round is carried out on: fakeworld.FakeWorld, or realworld.RealWorld."""

    name: str
    patience: float  # seconds that operations may take once nothing goes wrong any more
    pace: float  # how much longer things take than on the fake
    url: str
    tokens: dict[str, str]
    rows: Rows

    def begin(self) -> None: ...
    def close(self) -> None: ...
    def arm(self, plan: Round) -> None: ...
    def lay(self, kill: Kill) -> None: ...
    def stepped(self) -> bool: ...
    def has_died(self) -> bool: ...
    def died_at_its_point(self) -> bool: ...
    def kill(self, kill: Kill) -> None: ...
    def revive(self, kill: Kill) -> None: ...
    def calm(self) -> None: ...
    def look(self) -> None: ...
    def is_still(self) -> bool: ...
    def tidy(self) -> None: ...
    def messages(self) -> Counter[str]: ...
    def seen(self, since_operation: str, since_event: int, excused: frozenset[str]) -> Seen: ...


@dataclass
class Outcome:
    """What came of a round. `kills`: by target and phase; `unfired`: kills whose moment never came."""

    plan: Round
    seconds: float = 0.0
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    unfired: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    tries: int = 0
    violations: list[Violation] = field(default_factory=list)


def carry_out(world: World, plan: Round) -> Outcome:
    """The whole round. It ends with an empty world, or with a violation that says what is left."""
    return _Drive(world, plan).run()


class _Drive:
    def __init__(self, world: World, plan: Round) -> None:
        self.world, self.plan = world, plan
        self.outcome = Outcome(plan)
        self.since_operation, self.since_event = world.rows.newest_operation(), world.rows.newest()
        self._read = self.since_event
        self._waiting = [_Watched(kill) for kill in plan.kills]
        self._due: list[tuple[float, Kill]] = []
        self._traps: dict[str, list[Kill]] = {"point": [], "step": []}  # the first of each is laid

    def run(self) -> Outcome:
        began = time.monotonic()
        patience = _ASKING * self.world.pace
        crowd = Crowd(self.world.url, self.world.tokens, began + patience, self.world.pace)
        self.world.arm(self.plan)
        self._lay_what_needs_no_event()
        crowd.begin(self.plan.clients)
        while crowd.busy:
            self._turn()
            if time.monotonic() > began + 1.5 * patience:
                self._violates("somebody was never answered", str(crowd.answers[-1:]))
                break
        self._let_go_on()
        self.outcome.unfired = len(self._waiting) + len(self._due) + sum(map(len, self._traps.values()))
        self.world.calm()
        if self._rests():
            self._same_key_same_operation(crowd)
            self._compare(verify.steady)
        self._check_answers(crowd)
        self._take_down(crowd)
        return self._closed(crowd, began)

    # Killing

    def _let_go_on(self) -> None:
        """Nobody asks for more: let what they asked for go on under fire, as long as it goes on."""
        until, seen = 0.0, -1
        while self.world.rows.active():
            if self._read != seen:
                until, seen = time.monotonic() + self.world.patience / 2, self._read
            if time.monotonic() > until:
                return
            self._turn()

    def _turn(self) -> None:
        """Look what happened, and kill what is to be killed now."""
        self._follow_events()
        self.world.look()
        if self.world.has_died():
            self._died()
        if self.world.stepped():
            self._sprung("step")
            self._count("salt-master")
        now = time.monotonic()
        for due, kill in [each for each in self._due if each[0] <= now]:
            self._due.remove((due, kill))
            self._kill(kill)
        time.sleep(_TICK)

    def _follow_events(self) -> None:
        for event in self.world.rows.events(self._read):
            self._read = event["seq"]
            for watched in [each for each in self._waiting if each.sees(event)]:
                self._waiting.remove(watched)
                if watched.kill.moment.where == "event":
                    self._due.append((time.monotonic() + watched.kill.moment.delay, watched.kill))
                else:
                    self._lay(watched.kill)

    def _lay_what_needs_no_event(self) -> None:
        for watched in [each for each in self._waiting if each.at_once]:
            self._waiting.remove(watched)
            self._lay(watched.kill)

    def _lay(self, kill: Kill) -> None:
        """One trap of a kind at a time."""
        laid = self._traps[kill.moment.where]
        laid.append(kill)
        if len(laid) == 1:
            self.world.lay(kill)

    def _sprung(self, where: str) -> Kill | None:
        """The trap that was laid has done its work; the next one is laid."""
        laid = self._traps[where]
        if not laid:
            return None
        kill = laid.pop(0)
        if laid:
            self.world.lay(laid[0])
        return kill

    def _died(self) -> None:
        if not self.world.died_at_its_point():
            self._violates("Brinepool ended by itself", "see its log")
            self._kill(Kill("brinepool", self.plan.kills[0].moment))
        elif kill := self._sprung("point"):
            self._kill(kill)
        else:
            self.world.calm()

    def _kill(self, kill: Kill) -> None:
        self.world.kill(kill)
        self._count(kill.target)
        self.world.revive(kill)

    def _count(self, target: str) -> None:
        """In which phases operations are, now that something has died."""
        self.outcome.killed[target] += 1
        for phase in self.world.rows.phases() or {"idle"}:
            self.outcome.kills[target, phase] += 1

    # Coming to rest

    def _rests(self) -> bool:
        """Wait until every operation has ended and nothing is under way. → whether that came."""
        if not _until(self.world.patience, lambda: not self._after_deaths() and not self.world.rows.active()):
            for row in self.world.rows.active():
                self._violates("operation not ended", f"{row['kind']} {row['id']} is {row['state']}")
            return False
        if not _until(_REST * self.world.pace, self.world.is_still):
            self._violates("no rest", "something outside of Brinepool still works, or is down")
            return False
        self.world.tidy()
        return True

    def _after_deaths(self) -> bool:
        """A point that was passed at the last moment: it must run."""
        self.world.look()
        if not self.world.has_died():
            return False
        self._died()
        return True

    def _compare(self, rule: Callable[[Seen], list[Violation]]) -> None:
        seen = self.world.seen(self.since_operation, self.since_event, self.plan.excused)
        self.outcome.violations += rule(seen)

    def _take_down(self, crowd: Crowd) -> None:
        """Terminate all that is left, twice where a removal was made to fail; then nothing may be left anywhere."""
        for _ in range(2):
            crowd.until = time.monotonic() + _STARTING * self.world.pace
            left = [row["name"] for row in self.world.rows.environments()]
            for name in left:
                crowd.ask("alice", Ask("terminate", name))
            self._rests()
        self._compare(verify.empty)

    # Answers

    def _same_key_same_operation(self, crowd: Crowd) -> None:
        """Whoever asks again with the same key is told of the same operation.

        Not who joined what another had asked for: that has the key of the other one.
        """
        crowd.until = time.monotonic() + _STARTING * self.world.pace
        keys = {row["idempotency_key"] for row in self.world.rows.operations(self.since_operation)}
        for answer in crowd.answers:
            if answer.operation and answer.key in keys:
                again = crowd.ask(answer.person, answer.ask, answer.key)
                if again.operation != answer.operation:
                    told = again.operation or again.code
                    self._violates("key stood for two operations", f"{answer.ask}: {answer.operation}, then {told}")

    def _check_answers(self, crowd: Crowd) -> None:
        known = {row["id"] for row in self.world.rows.operations(self.since_operation)}
        for answer in crowd.answers:
            if answer.status != 202 and answer.code not in EXPECTED:
                self._violates("unexpected answer", _told(answer))
            if answer.operation and answer.operation not in known:
                self._violates("operation was lost", _told(answer))

    def _violates(self, what: str, about: str) -> None:
        self.outcome.violations.append(Violation(what, about))

    def _closed(self, crowd: Crowd, began: float) -> Outcome:
        done, outcome = self.world.rows.operations(self.since_operation), self.outcome
        outcome.operations.update((row["kind"], row["state"]) for row in done)
        outcome.answers.update(answer.code or "accepted" for answer in crowd.answers)
        outcome.tries = sum(answer.tries for answer in crowd.answers)
        outcome.messages = self.world.messages()
        outcome.seconds = time.monotonic() - began
        outcome.violations = list(dict.fromkeys(outcome.violations))
        return outcome


@dataclass
class _Watched:
    """A kill, and how many of the events that it (or the laying of its trap) waits for are still to come."""

    kill: Kill
    left: int = 0

    def __post_init__(self) -> None:
        self.left = self.kill.moment.nth if self.kill.moment.where == "event" else 1

    @property
    def at_once(self) -> bool:
        """Whether it is a trap that waits for nothing."""
        return self.kill.moment.where != "event" and not self.kill.moment.of

    def sees(self, event: Row) -> bool:
        """Whether this event is the one."""
        moment = self.kill.moment
        kind = moment.what if moment.where == "event" else "operation.requested"
        if kind not in ("", event["kind"]) or moment.of not in ("", event["of"]):
            return False
        self.left -= 1
        return self.left == 0


def _until(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(_TICK)
    return True


def _told(answer: Answer) -> str:
    return f"{answer.person} asked {answer.ask}: {answer.status} {answer.code} after {answer.tries} tries"
