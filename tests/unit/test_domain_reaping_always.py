"""What is true of every plan, whatever the environments, their policies and their warnings."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from orchestrator.domain.lifecycle import EnvironmentStatus as Status
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
    explain,
    hold_ends,
    noticed,
    plan_reap,
)
from tests.unit.reaping import NOW, POLICY, WELL, at, span

HALF_HOUR = span("30m")
HALF_A_STEP = span("7.5m")  # of the shortest step there is here: half of the shortest life, which is half an hour


def moments(earliest: str, latest: str) -> st.SearchStrategy[datetime]:
    """On a grid of half an hour, so that moments meet."""
    return st.integers(span(earliest) // HALF_HOUR, span(latest) // HALF_HOUR).map(lambda n: NOW + n * HALF_HOUR)


POLICIES = st.builds(
    Policy,
    max=st.sampled_from([span("1d"), span("4d"), span("14d")]),
    extend=st.just(span("1d")),
    hold=st.sampled_from([span("2h"), span("1d")]),
    warn=st.sampled_from([(span("4h"), span("30m")), (span("1h"),)]),
    idle=st.sampled_from([None, span("12h"), span("3d")]),
    failed=st.sampled_from([None, span("6h"), span("3d")]),
    per_person=st.sampled_from([None, 1, 2]),
    branches=st.just({"api": "main", "web": "main"}),
)
PROTECTIONS = st.builds(Protection, st.just("olga"), moments("-2d", "0h"), st.none() | moments("-1d", "1d"))
HOLDS = st.builds(Hold, st.just("ada"), moments("-2d", "0h"), moments("-1d", "1d"))
BRANCHES = st.builds(
    GoneBranch, st.sampled_from(["api", "web"]), st.sampled_from(["main", "x"]), st.integers(1, 3), moments("-2d", "0h")
)


@st.composite
def candidates(draw: st.DrawFn, policy: Policy, number: int = 0, free: bool = False) -> Candidate:
    """`free`: nothing keeps it, and every warning was delivered in time."""
    created = draw(moments("-6d", "-3h"))
    later = moments("-3h", "0h") | st.just(created)
    deployed, extended, failed = draw(later), draw(st.none() | later), draw(later)
    ready = [Status.READY, Status.FAILED, Status.DEPLOYING]
    status = draw(st.sampled_from(ready if free else [*ready, Status.TERMINATING]))
    bare = replace(
        WELL,
        id=f"{number}",
        name=f"cart-{number}",
        owner=draw(st.sampled_from(["ada", "bob"])),
        status=status,
        created_at=created,
        expires_at=max(created + HALF_HOUR, draw(moments("-12h", "2d"))),
        deployed_at=deployed,
        extended_at=extended,
        touched_at=max(deployed, extended or deployed),
        failed_at=failed if status is Status.FAILED else None,
        reachable=draw(st.booleans()),
        gone=tuple(draw(st.lists(BRANCHES, max_size=2))),
        noticed=draw(st.just({}) | moments("-1d", "0h").map(lambda since: {Cause.OVER_LIMIT: since})),
        **({} if free or draw(st.booleans()) else draw(KEEPERS)),
    )
    how = st.just("in time") if free else st.sampled_from(["in time", "in time", "late", "not", "of another moment"])
    return replace(bare, warnings=tuple(warning(cause, draw(how), bare, policy) for cause in Cause))


KEEPERS = st.fixed_dictionaries(
    {},
    optional={
        "busy": st.just("bob is deploying main to it"),
        "locked": st.just("bob"),
        "protection": PROTECTIONS,
        "hold": HOLDS,
    },
)


def warning(cause: Cause, how: str, one: Candidate, policy: Policy) -> Warned:
    due = max(due_of(cause, one, policy), *keeps(one, policy), one.created_at)
    sent = min(NOW, due - span("4h"))
    if how == "late":
        sent = max(sent, NOW - span("10m"))
    delivered = None if how == "not" else sent
    return Warned(cause, due + HALF_HOUR * (how == "of another moment"), policy.warn[-1], sent, delivered)


def due_of(cause: Cause, one: Candidate, policy: Policy) -> datetime:
    """When a cause makes it due, said once more and otherwise; never, for a cause that does not hold."""
    never = NOW + span("99d")
    extended = one.extended_at or one.created_at
    match cause:
        case Cause.EXPIRED:
            return min(one.expires_at, one.created_at + policy.max)
        case Cause.IDLE:
            return max(one.deployed_at, extended) + policy.idle if policy.idle else never
        case Cause.FAILED:
            holds = one.status is Status.FAILED and one.failed_at and policy.failed
            return max(one.failed_at, one.touched_at) + policy.failed if holds else never  # type: ignore[type-var, operator]
        case Cause.BRANCH_GONE:
            counting = [g.first_noticed for g in one.gone if g.checks > 1 and g.branch == "x"]
            since = [when for when in counting if one.extended_at is None or when > one.extended_at]
            return min(since) + policy.warn[0] if since else never
        case Cause.OVER_LIMIT:
            return one.noticed.get(Cause.OVER_LIMIT, NOW) + policy.warn[0]


def keeps(one: Candidate, policy: Policy) -> list[datetime]:
    ends = [hold_ends(one.hold, one.created_at, policy)] if one.hold else []
    return ends + ([one.protection.until] if one.protection and one.protection.until else [])


def kept(one: Candidate, policy: Policy) -> bool:
    endless = bool(one.busy or one.locked or (one.protection and one.protection.until is None))
    return endless or any(until > NOW for until in keeps(one, policy))


@st.composite
def single(draw: st.DrawFn, free: bool = False) -> tuple[Candidate, Policy]:
    policy = draw(POLICIES)
    return draw(candidates(policy, free=free)), policy


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    policy = draw(POLICIES)
    count = draw(st.integers(1, 4))
    return Snapshot(tuple(draw(candidates(policy, number)) for number in range(count)), {"shop": policy})


def alone(one: Candidate, policy: Policy | None, now: datetime = NOW) -> Action | None:
    found = plan_reap(Snapshot((one,), {"shop": policy} if policy else {}), now)
    return found[0] if found else None


def goes(action: Action | None) -> bool:
    return action is not None and action.kind is ActionKind.REAP


def reaped(snapshot: Snapshot) -> list[tuple[Action, Candidate]]:
    by_id = {each.id: each for each in snapshot.environments}
    found = [(action, by_id[action.environment]) for action in plan_reap(snapshot, NOW) if goes(action)]
    for action, _ in found:
        event(f"reaped: {action.cause}")
    return found


@settings(max_examples=150)
@given(snapshots())
def test_nothing_goes_that_is_kept_or_is_ending(snapshot: Snapshot) -> None:
    for _, one in reaped(snapshot):
        assert not kept(one, snapshot.policies["shop"])
        assert one.status not in (Status.TERMINATING, Status.TERMINATED)


@settings(max_examples=150)
@given(snapshots())
def test_nothing_goes_before_a_warning_about_it_was_delivered_and_its_time_is_over(snapshot: Snapshot) -> None:
    for action, one in reaped(snapshot):
        about = [each for each in one.warnings if (each.cause, each.due_at) == (action.cause, action.at)]
        hard = max(one.expires_at, one.created_at + snapshot.policies["shop"].max)
        given_up = not one.reachable or hard <= NOW
        moments = [each.at if given_up else each.delivered_at for each in about]
        assert min(when for when in moments if when) <= NOW - HALF_A_STEP


@settings(max_examples=150)
@given(snapshots())
def test_what_goes_has_cause_to(snapshot: Snapshot) -> None:
    policy = snapshot.policies["shop"]
    for action, one in reaped(snapshot):
        assert due_of(action.cause, one, policy) <= action.at <= NOW
        if action.cause is Cause.OVER_LIMIT:
            others = [each for each in snapshot.environments if each.owner == one.owner]
            assert policy.per_person is not None
            assert len(others) > policy.per_person
            assert sum(each.created_at > one.created_at for each in others) >= policy.per_person - sum(
                each.created_at == one.created_at for each in others if each is not one
            )


@given(snapshots(), st.randoms())
def test_a_plan_is_one_action_each_and_the_same_again_in_whatever_order(snapshot: Snapshot, random: Any) -> None:
    found = plan_reap(snapshot, NOW)
    assert len({action.environment for action in found}) == len(found)
    shuffled = list(snapshot.environments)
    random.shuffle(shuffled)
    assert plan_reap(replace(snapshot, environments=tuple(shuffled)), NOW) == found
    since = noticed(snapshot, NOW)
    known = tuple(replace(each, noticed=since.get(each.id, {})) for each in snapshot.environments)
    assert plan_reap(replace(snapshot, environments=known), NOW) == found
    assert all(explain(action).endswith(".") for action in found)


@given(snapshots())
def test_a_warning_is_not_sent_twice_and_makes_nothing_go_at_once(snapshot: Snapshot) -> None:
    snapshot = replace(snapshot, environments=tuple(replace(each, warnings=()) for each in snapshot.environments))
    sent = {action.environment: action for action in plan_reap(snapshot, NOW) if action.kind is ActionKind.WARN}
    assume(sent)
    after = []
    for each in snapshot.environments:
        if each.id in sent:
            action = sent[each.id]
            assert action.step is not None
            assert action.ends_at is not None
            assert action.ends_at > NOW
            each = replace(each, warnings=(*each.warnings, Warned(action.cause, action.at, action.step, NOW, NOW)))
        after.append(each)
    again = plan_reap(replace(snapshot, environments=tuple(after)), NOW)
    assert [each for each in again if each.environment in sent and each.kind is not ActionKind.KEEP] == []


@settings(max_examples=150)
@given(single(free=True), st.timedeltas(timedelta(), span("20d")))
def test_what_goes_now_goes_later_too(pair: tuple[Candidate, Policy], wait: timedelta) -> None:
    one, policy = pair
    assume(goes(alone(one, policy)))
    assert goes(alone(one, policy, NOW + wait))


@settings(max_examples=150)
@given(single(free=True), st.sampled_from(["busy", "locked", "protection", "hold"]))
def test_what_is_kept_in_addition_does_not_go(pair: tuple[Candidate, Policy], how: str) -> None:
    one, policy = pair
    assume(goes(alone(one, policy)))
    more: Any = {"protection": Protection("olga", NOW), "hold": Hold("ada", NOW, at("1h"))}
    assume(how != "hold" or one.created_at + policy.max > NOW)
    action = alone(replace(one, **{how: more.get(how, "bob is at it")}), policy)
    assert action is not None
    assert action.kind in (ActionKind.KEEP, ActionKind.WARN)
    assert how == "hold" or action.kind is ActionKind.KEEP


@settings(max_examples=150)
@given(single(free=True))
def test_what_was_extended_just_now_does_not_go(pair: tuple[Candidate, Policy]) -> None:
    one, policy = pair
    assume(goes(alone(one, policy)) and one.created_at + policy.max > NOW + HALF_HOUR)
    later = replace(one, expires_at=one.created_at + policy.max, extended_at=NOW, touched_at=NOW)
    assert not goes(alone(later, policy))


@settings(max_examples=150)
@given(single())
def test_a_policy_that_cannot_be_read_makes_nothing_go_that_would_stay(pair: tuple[Candidate, Policy]) -> None:
    one, policy = replace(pair[0], hold=None), replace(pair[1], warn=POLICY.warn)
    assume(one.expires_at <= one.created_at + policy.max)
    if goes(alone(one, None)):
        assert goes(alone(one, policy))


@settings(max_examples=150)
@given(single(), st.timedeltas(span("1m"), span("9d")))
def test_a_shorter_maximum_breaks_no_promise_at_once(pair: tuple[Candidate, Policy], shorter: timedelta) -> None:
    """A file that somebody edits makes a due moment of its own, of which nobody was warned."""
    one, policy = replace(pair[0], hold=None), pair[1]
    assume(one.expires_at <= one.created_at + policy.max and not goes(alone(one, policy)))
    if goes(alone(one, replace(policy, max=max(span("1m"), policy.max - shorter)))):
        assert one.expires_at <= NOW
