"""The chaos run itself: a plan can be repeated from its seed, and the verification finds what it is there to find."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.plan import FAKE, PHASES, REAL, numbers_of, plan_round
from tests.chaos.verify import Run, Seen, Start, Violation, empty, steady

OPERATION = "01KB0000000000000000000001"
SERVER = {
    "name": "cart-web-1", "environment": "e1", "role": "web", "status": "ready", "target": "present", "branch": "main",
    "address": "127.9.1.1", "port": 8000,
}  # fmt: skip
API = SERVER | {"name": "cart-api-1", "role": "api", "address": "127.9.1.2"}
RECORD = {"branch": "main", "address": "127.9.1.1", "siblings": {"api": ["127.9.1.2:8000"]}}
GOOD = Seen(
    operations=[{"id": OPERATION, "kind": "create", "state": "succeeded", "failure": None}],
    environments=[{"id": "e1", "name": "cart", "status": "ready", "operation": OPERATION}],
    servers=[SERVER, API],
    events=[{"operation": OPERATION, "server": None, "kind": "operation.started", "data": {}}],
    machines=[("i-1", "cart-web-1"), ("i-2", "cart-api-1")],
    keys={"cart-web-1": "i-1", "cart-api-1": "i-2"},
    records={"cart-web-1": RECORD, "cart-api-1": RECORD | {"address": "127.9.1.2", "siblings": {}}},
    notes=frozenset({"cart-web-1", "cart-api-1"}),
    processes=frozenset({"cart-web-1", "cart-api-1"}),
    runs=[Run("cart-web-1", "1", OPERATION, "done"), Run("cart-api-1", "1", OPERATION, "done")],
    starts=[Start("cart-web-1", "i-1", OPERATION, "main A"), Start("cart-api-1", "i-2", OPERATION, "main B")],
    apps={"i-1": "main A", "i-2": "main B"},
)  # fmt: skip


@pytest.mark.parametrize("world", [FAKE, REAL])
def test_a_plan_is_made_from_the_seed_alone(world: str) -> None:
    plans = [plan_round(7, number, world) for number in range(50)]
    assert plans == [plan_round(7, number, world) for number in range(50)]
    assert plans != [plan_round(8, number, world) for number in range(50)]
    assert {plan.focus for plan in plans} == set(PHASES)
    assert all(plan.clients and plan.kills for plan in plans)


def test_more_rounds_for_phases_that_were_missed_are_about_those() -> None:
    numbers = numbers_of(["removing", "retrying"], after=42, count=8)
    assert (len(numbers), numbers[0]) == (8, 46)
    assert {plan_round(7, number).focus for number in numbers} == {"removing", "retrying"}


def test_every_kind_of_harm_is_planned() -> None:
    plans = [plan_round(7, number) for number in range(200)]
    killed = Counter(kill.target for plan in plans for kill in plan.kills)
    assert set(killed) == {"brinepool", "salt-api", "salt-master", "minions", "everything"}
    assert {kill.moment.where for plan in plans for kill in plan.kills} == {"event", "point", "step"}
    assert {ask.verb for plan in plans for client in plan.clients for ask in client.asks} == {
        "create", "deploy", "retry", "cancel", "terminate", "remove",
    }  # fmt: skip
    assert all(not plan.faults for plan in [plan_round(7, number, REAL) for number in range(20)])


def test_worlds_that_agree_violate_nothing() -> None:
    assert steady(GOOD) == []
    gone = replace(
        GOOD, environments=[], servers=[], machines=[], keys={}, records={}, notes=frozenset(), processes=frozenset()
    )
    assert empty(gone) == []


PLANTED: list[tuple[dict[str, Any], str]] = [
    ({"machines": [*GOOD.machines, ("i-3", "tax-api-1")]}, "machine without server"),
    ({"machines": GOOD.machines[:1]}, "server without machine"),
    ({"machines": [*GOOD.machines, ("i-3", "cart-web-1")]}, "server made twice"),
    ({"doubles": ["cart-web-1"]}, "server made twice"),
    ({"keys": {**GOOD.keys, "tax-api-1": ""}}, "key without server"),
    ({"keys": {**GOOD.keys, "cart-web-1": "i-0"}}, "key of another machine"),
    ({"records": {**GOOD.records, "tax-api-1": RECORD}}, "record without server"),
    ({"notes": frozenset({*(GOOD.notes or ()), "tax-api-1"})}, "note without server"),
    ({"processes": frozenset({"cart-web-1"})}, "server without process"),
    ({"operations": [GOOD.operations[0] | {"state": "running"}]}, "operation not ended"),  # type: ignore[operator]
    ({"operations": [GOOD.operations[0] | {"state": "failed"}]}, "operation failed"),  # type: ignore[operator]
    ({"environments": [GOOD.environments[0] | {"status": "deploying"}]}, "stuck"),  # type: ignore[operator]
    ({"servers": [SERVER | {"status": "booting"}, API]}, "stuck"),
    ({"events": [*GOOD.events, *GOOD.events]}, "event written twice"),
    ({"runs": [*GOOD.runs, Run("cart-web-1", "1", OPERATION, "done")]}, "highstate ran twice for one jid"),
    ({"runs": [*GOOD.runs, Run("cart-web-1", "2", OPERATION, "done")]}, "highstate repeated"),
    ({"runs": [Run("cart-web-1", "1", OPERATION, "running")]}, "highstate still runs"),
    ({"starts": [*GOOD.starts, GOOD.starts[0]]}, "app restarted needlessly"),
    ({"complaints": ["operation X met a surprise"]}, "Brinepool stumbled"),
    ({"apps": {"i-1": "feature/cart A", "i-2": "main B"}}, "app runs another branch"),
    ({"records": {**GOOD.records, "cart-web-1": RECORD | {"branch": "feature/cart"}}}, "record is wrong"),
    ({"records": {**GOOD.records, "cart-web-1": RECORD | {"siblings": {"api": []}}}}, "wiring is wrong"),
]


@pytest.mark.parametrize(("planted", "what"), PLANTED, ids=[f"{what}-{n}" for n, (_, what) in enumerate(PLANTED)])
def test_what_is_planted_is_found(planted: dict[str, Any], what: str) -> None:
    assert what in {violation.what for violation in steady(replace(GOOD, **planted))}


def test_a_job_that_goes_on_long_after_it_was_cancelled_is_found() -> None:
    cancelled = GOOD.operations[0] | {"state": "cancelled", "ended_at": "2026-11-25 10:00:00.000000"}  # type: ignore[operator]
    ended = 1795600800.0  # the same moment
    for seconds, found in ((1.0, set()), (60.0, {"cancelled job went on"})):
        runs = [Run("cart-web-1", "1", OPERATION, "done", ended + seconds)]
        assert {each.what for each in steady(replace(GOOD, operations=[cancelled], runs=runs))} == found


def test_a_job_that_died_with_its_minion_may_run_again() -> None:
    runs = [Run("cart-web-1", "1", OPERATION, "lost"), Run("cart-web-1", "1", OPERATION, "done")]
    assert steady(replace(GOOD, runs=runs)) == []


def test_only_a_failure_that_the_round_caused_is_excused() -> None:
    failed = GOOD.operations[0] | {"state": "failed", "failure": {"code": "create-failed", "title": "No."}}  # type: ignore[operator]
    seen = replace(GOOD, operations=[failed])
    assert steady(seen) == [Violation("operation failed", f"create {OPERATION}: create-failed: No.")]
    assert steady(replace(seen, excused=frozenset({"create-failed"}))) == []


def test_what_is_left_after_everything_was_terminated_is_found() -> None:
    found = {violation.what for violation in empty(replace(GOOD, servers=[]))}
    assert found == {
        "environment not ended", "machine without server", "key without server", "record without server",
        "note without server", "process without server",
    }  # fmt: skip
