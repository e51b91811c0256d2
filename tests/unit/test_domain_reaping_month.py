"""A month of an imaginary team: 50 people, 400 environments, and everything that happens to them.

Two nights of downtime, the end of summer time, a chat that is down for a day, failed checks, a template that goes away
and one that allows less. Nobody sleeps: the clock is an argument. What is expected is worked out here once more, from
what happened and not from the planner's parts.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random

import pytest

from orchestrator.domain import schedule
from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.reaping import (
    Action,
    ActionKind,
    Candidate,
    Cause,
    GoneBranch,
    Hold,
    Policy,
    Protection,
    Snapshot,
    Warned,
    checked,
    extended,
    hold_until,
    noticed,
    plan_reap,
    tomorrow_morning,
)

H, M, D = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
ZONE = schedule.time_zone("Europe/Berlin")
BEGIN, END = datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC)  # the clocks change on 25 October
TICK = 10 * M
DOWN = [(datetime(2026, 10, 13, 18, tzinfo=UTC), datetime(2026, 10, 14, 7, tzinfo=UTC)),
        (datetime(2026, 10, 24, 19, tzinfo=UTC), datetime(2026, 10, 25, 8, tzinfo=UTC))]  # fmt: skip
MUTE = (datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 10, 21, tzinfo=UTC))
REMOVED, EDITED = BEGIN + 12 * D, BEGIN + 20 * D
JOBS = [
    schedule.daily("nightly", "02:30", "Europe/Berlin"),  # a time that comes twice on 25 October
    schedule.repeated("branches", H),
    schedule.repeated("check", TICK),
]
SHOP = Policy(5 * D, D, D, (4 * H, 30 * M), idle=2 * D, failed=D, per_person=3, branches={"api": "main", "web": "main"})
NOTES = Policy(D, 4 * H, 4 * H, (30 * M,), failed=6 * H, per_person=9, branches={"site": "main"})


def policies(now: datetime) -> dict[str, Policy]:
    """What is curated: `notes` goes away one day, and one day `shop` allows two for each person instead of three."""
    shop = SHOP if now < EDITED else replace(SHOP, per_person=2)
    return {"shop": shop} if now >= REMOVED else {"shop": shop, "notes": NOTES}


def is_up(now: datetime) -> bool:
    return not any(begin <= now < end for begin, end in DOWN)


def first_look(moment: datetime) -> datetime:
    """The first check at or after a moment."""
    tick = BEGIN + -((BEGIN - moment) // TICK) * TICK
    return next((end for begin, end in DOWN if begin <= tick < end), tick)


@dataclass
class Life:
    """One environment: how it is now, and what happened to it."""

    now: Candidate
    gone_since: datetime | None = None  # at the remote, whether noticed or not
    happened: list[datetime] = field(default_factory=list)
    busy_until: datetime = BEGIN
    ended: datetime | None = None
    action: Action | None = None

    def change(self, now: datetime, **fields: object) -> None:
        self.now = replace(self.now, **fields)  # type: ignore[arg-type]
        self.happened.append(now)


class Month:
    """The team, its environments, and a Brinepool that has nothing but the planner and the schedule."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311  (the same month each time)
        self.lives: dict[str, Life] = {}
        self.runs: list[str] = []
        self.warned: list[tuple[Life, Action, datetime]] = []
        self.kept: Counter[str] = Counter()
        self._last = dict.fromkeys((job.name for job in JOBS), BEGIN - M)
        births = sorted(BEGIN + self.random.random() * 28 * D for _ in range(400))
        self._to_come = [(when, number) for number, when in enumerate(births)]

    def run(self) -> "Month":
        now = BEGIN
        while now <= END:
            self._remote(now)
            if is_up(now):
                self._people(now)
                self._deliver(now)
                for job in JOBS:
                    self._run_due(job, now)
            now += TICK
        return self

    def alive(self) -> Iterator[Life]:
        return (life for life in self.lives.values() if life.ended is None)

    def snapshot(self, now: datetime) -> Snapshot:
        """Read anew for each plan, the ended ones with it, as a store would give it."""
        rows = (
            replace(life.now, busy="somebody is deploying to it") if life.busy_until > now else life.now
            for life in self.lives.values()
        )
        return Snapshot(tuple(rows), policies(now))

    def _run_due(self, job: schedule.Job, now: datetime) -> None:
        due = schedule.latest_due(job, self._last[job.name], now)
        if due is None:
            return
        self._last[job.name] = due
        self.runs.append(schedule.run_id(job.name, due))
        if job.name == "branches":
            self._branches(now)
        else:
            self._reap(now)

    def _reap(self, now: datetime) -> None:
        since = noticed(self.snapshot(now), now)
        for life in self.alive():
            if (new := since.get(life.now.id, {})) != life.now.noticed:
                life.change(now, noticed=new)
        dry = plan_reap(self.snapshot(now), now)
        done = [self._carry_out(action, now) for action in plan_reap(self.snapshot(now), now)]
        assert done == [(action.kind, action.name) for action in dry]
        ended = {life.now.name for life in self.lives.values() if life.ended == now and life.action in dry}
        assert ended == {action.name for action in dry if action.kind is ActionKind.REAP}

    def _carry_out(self, action: Action, now: datetime) -> tuple[ActionKind, str]:
        life = self.lives[action.environment]
        match action.kind:
            case ActionKind.REAP:
                assert life.ended is None
                life.ended, life.action = now, action
                life.now = replace(life.now, status=EnvironmentStatus.TERMINATING)
            case ActionKind.WARN:
                assert action.step is not None
                delivered = None if MUTE[0] <= now < MUTE[1] else now + timedelta(seconds=3)
                warned = Warned(action.cause, action.at, action.step, now, delivered if life.now.reachable else None)
                life.now = replace(life.now, warnings=(*life.now.warnings, warned))
                self.warned.append((life, action, now))
            case ActionKind.KEEP:
                self.kept[action.kept.split()[0]] += 1
        return action.kind, life.now.name

    def _deliver(self, now: datetime) -> None:
        """What the chat could not take before, it takes when it is back."""
        if MUTE[0] <= now < MUTE[1]:
            return
        for life in self.alive():
            if life.now.reachable and any(each.delivered_at is None for each in life.now.warnings):
                told = tuple(
                    each if each.delivered_at else replace(each, delivered_at=now) for each in life.now.warnings
                )
                life.now = replace(life.now, warnings=told)

    def _remote(self, now: datetime) -> None:
        for life in self.alive():
            if self.random.random() < 0.0012:
                life.gone_since = None if life.gone_since else now

    def _branches(self, now: datetime) -> None:
        for life in self.alive():
            before: GoneBranch | None = next(iter(life.now.gone), None)
            there = None if self.random.random() < 0.2 else life.gone_since is None
            role, branch = ("site", "main") if life.now.template == "notes" else ("web", "feature/cart")
            after = checked(before, role, branch, there, now)
            if after != before:
                life.change(now, gone=(after,) if after else ())

    def _people(self, now: datetime) -> None:
        while self._to_come and self._to_come[0][0] <= now:
            self._create(self._to_come.pop(0)[1], now)
        for life in self.alive():
            if self.random.random() < 0.008:
                self._somebody(life, now)

    def _create(self, number: int, now: datetime) -> None:
        template = self.random.choice(["shop", "shop", "shop", "notes"] if now < REMOVED else ["shop"])
        ttl = self.random.choice([2 * H, D, D, 4 * D] if template == "shop" else [20 * M, 4 * H, D])
        owner = f"person-{int(self.random.random() ** 2 * 50)}"
        status = EnvironmentStatus.FAILED if self.random.random() < 0.15 else EnvironmentStatus.READY
        failed = now if status is EnvironmentStatus.FAILED else None
        self.lives[f"{number}"] = life = Life(Candidate(
            f"{number}", f"env-{number}", template, owner, status, now, now + ttl, now, now, failed_at=failed,
            reachable=self.random.random() < 0.9, protection=Protection("olga", now) if number % 40 == 0 else None,
        ))  # fmt: skip
        life.happened.append(now)

    def _somebody(self, life: Life, now: datetime) -> None:
        one = life.now
        policy = policies(now).get(one.template)
        what = self.random.choice(["deploy", "deploy", "extend", "morning", "hold", "release", "protect", "open"])
        if what == "deploy":
            life.change(now, deployed_at=now, touched_at=now, failed_at=None, status=EnvironmentStatus.READY)
            life.busy_until = now + self.random.choice([5 * M, 90 * M])
        elif what in ("extend", "morning") and policy:
            until = tomorrow_morning(now, ZONE) if what == "morning" else None
            if until is None or one.expires_at < until <= one.created_at + policy.max:
                longest = one.created_at + policy.max - max(one.expires_at, now)
                by = None if until else min(policy.extend, longest)
                if until or (by and by > timedelta()):
                    later = extended(one.name, one.expires_at, one.created_at, policy, now, by, until)
                    life.change(now, expires_at=later, extended_at=now, touched_at=now)
        elif (
            what == "hold" and policy and not (one.hold and one.hold.until > now) and now < one.created_at + policy.max
        ):
            life.change(now, hold=Hold(one.owner, now, hold_until(one.name, one.created_at, policy, now)))
        elif what == "release" and one.hold and one.hold.until > now:
            life.change(now, hold=replace(one.hold, until=now))
        elif what == "protect" and not one.protection:
            life.change(now, protection=Protection("olga", now, now + D))
        elif what == "open" and one.protection and one.protection.until is None and int(one.id) % 80:
            life.change(now, protection=replace(one.protection, until=now))


@cache
def month(seed: int) -> Month:
    return Month(seed).run()


SEEDS = [1]
pytestmark = pytest.mark.parametrize("seed", SEEDS)


def ended(seed: int) -> list[tuple[Candidate, Action, datetime, Life]]:
    lives = month(seed).lives.values()
    return [(life.now, life.action, life.ended, life) for life in lives if life.action and life.ended]


def policy_for(one: Candidate, when: datetime) -> Policy | None:
    return policies(when).get(one.template)


def natural(one: Candidate, cause: Cause, when: datetime) -> datetime:
    """When that cause made it due."""
    policy = policy_for(one, when)
    extension = one.extended_at or one.created_at
    if cause is Cause.EXPIRED:
        return min(one.expires_at, one.created_at + policy.max) if policy else one.expires_at
    assert policy is not None, f"{cause} needs a policy"
    if cause is Cause.BRANCH_GONE:
        assert one.gone[0].checks >= 2
        assert one.gone[0].first_noticed > extension
        return one.gone[0].first_noticed + policy.warn[0]
    if cause is Cause.FAILED:
        assert one.failed_at is not None
        assert policy.failed is not None
        return max(one.failed_at, one.touched_at) + policy.failed
    if cause is Cause.IDLE:
        assert policy.idle is not None
        return max(one.deployed_at, extension) + policy.idle
    return one.noticed[Cause.OVER_LIMIT] + policy.warn[0]


def keepers_end(one: Candidate) -> list[datetime]:
    return [each.until for each in (one.hold, one.protection) if each and each.until]


def about(one: Candidate, action: Action) -> list[Warned]:
    return [each for each in one.warnings if (each.cause, each.due_at) == (action.cause, action.at)]


def test_much_happened(seed: int) -> None:
    causes = Counter(action.cause for _, action, _, _ in ended(seed))
    assert len(month(seed).lives) == 400
    assert all(causes[cause] >= 3 for cause in Cause), causes
    assert causes[Cause.EXPIRED] > 100
    assert {"held", "protected", "somebody", "its", "the"} <= set(month(seed).kept), month(seed).kept


def test_everything_ends_for_a_cause_that_is_true_and_nothing_that_is_kept(seed: int) -> None:
    for one, action, when, life in ended(seed):
        assert natural(one, action.cause, when) <= action.at <= when
        assert not one.protection or (one.protection.until and one.protection.until <= when)
        assert not one.hold or one.hold.until <= when
        assert life.busy_until <= when


def test_every_end_has_a_warning_before_it_that_was_delivered(seed: int) -> None:
    for one, action, when, _ in ended(seed):
        hard = max(one.created_at + (policy_for(one, when) or SHOP).max, one.expires_at)
        counts = [each for each in about(one, action) if each.delivered_at or not one.reachable or hard <= when]
        assert counts, f"{one.name} went without a warning"
        notice = when - min((each.delivered_at or each.at) for each in counts)
        life = action.at - max(one.created_at, one.extended_at or one.created_at)
        assert notice >= min(15 * M, life / 4)


def test_everything_ends_when_policy_says_within_one_check(seed: int) -> None:
    for one, action, when, life in ended(seed):
        first = min(about(one, action), key=lambda each: each.at)
        given = first.delivered_at if first.delivered_at and one.reachable else first.at
        late = given + 30 * M if given > action.at - 15 * M else action.at
        due = max([action.at, late, life.busy_until])
        assert when <= first_look(due), f"{one.name} was due at {due} and went at {when}"


def test_every_warning_is_sent_at_the_first_check_after_its_moment(seed: int) -> None:
    for life, action, sent in month(seed).warned:
        assert action.step is not None
        news = [when for when in [*life.happened, REMOVED, EDITED] if when <= sent]
        moment = max([action.at - action.step, *(when for when in news if when >= action.at - action.step)])
        assert sent <= first_look(moment), f"{life.now.name}: {action} at {sent}"


def test_no_warning_is_sent_twice(seed: int) -> None:
    sent = Counter((life.now.id, each.cause, each.due_at, each.step)
                   for life in month(seed).lives.values() for each in life.now.warnings)  # fmt: skip
    assert set(sent.values()) == {1}


def test_what_is_left_at_the_end_is_not_due_or_is_kept(seed: int) -> None:
    left = list(month(seed).alive())
    assert any(life.now.protection and life.now.protection.until is None for life in left)
    for life in left:
        due = max([natural(life.now, Cause.EXPIRED, END), *keepers_end(life.now)])
        endless = life.now.protection is not None and life.now.protection.until is None
        assert endless or life.busy_until > END - TICK or due > END - H, life.now


def test_what_ops_protect_without_end_is_there_at_the_end(seed: int) -> None:
    lives = month(seed).lives
    assert all(lives[f"{number}"].ended is None for number in range(0, 400, 80))


def test_each_run_is_started_once_and_a_missed_night_is_caught_up_once(seed: int) -> None:
    runs = month(seed).runs
    assert len(set(runs)) == len(runs)
    nights = [run for run in runs if run.startswith("nightly/")]
    assert len(nights) == 31
    assert "nightly/2026-10-25T00:30:00Z" in nights
    assert "nightly/2026-10-26T01:30:00Z" in nights
