"""Cancelling: in every state, promptly, by name in the records, and with nothing that goes on behind our back."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from orchestrator.commands import World, cancelling, environments, operations, servers
from orchestrator.commands.views import Accepted, Deploy, Terminate
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import Conflict, NotAllowed, NotFound, Unavailable
from orchestrator.engine import configure, create, slots
from orchestrator.ports import Ledger, Superseded
from tests import postgres
from tests.fakes import misbehaviour as bad
from tests.fakes.salt import wait_until
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, BOB, ended, shop

VIC = Actor("vic", "cli")


def slow_states(fake: FakeSaltApi, seconds: float) -> None:
    fake.salt.durations = replace(fake.salt.durations, state=seconds)


def under_way(world: World, fake: FakeSaltApi, begin: Callable[[], Accepted]) -> Accepted:
    """What was begun, once a highstate of it runs."""
    before = len(fake.salt.executed)
    accepted = begin()
    wait_until(lambda: any(name == "brinepool.highstate" for _, name, _ in list(fake.salt.executed)[before:]), 10)
    return accepted


def has_events(world: World, accepted: Accepted, number: int) -> bool:
    return len(environments.events(world, accepted.environment.name, limit=500)) >= number


def has_address(world: World) -> bool:
    with world.store.transaction() as ledger:
        found = ledger.server("cart-test-web-2")
    return found is not None and found.address is not None


def idle(fake: FakeSaltApi) -> bool:
    return not any(machine.applying for machine in fake.salt.machines.values())


def test_cancelling_a_create_terminates_it_and_says_who_did(world: World, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.NeverComesUp())
    creating = environments.create(world, ALICE, shop())
    wait_until(lambda: fake.salt.machines)
    began = time.monotonic()
    going = cancelling.cancel(world, BOB, "cart-test")
    cancelled = operations.show(world, creating.operation.id)
    assert time.monotonic() - began < 5
    assert (cancelled.state, going.operation.kind) == ("cancelled", "terminate")
    assert cancelled.ended_at is not None
    assert cancelled.failure is not None
    assert cancelled.failure.title == "bob cancelled the creation of cart-test."
    assert ended(world, going).state == "succeeded"
    assert fake.salt.machines == {}
    assert fake.salt.records == {}
    event = next(e for e in environments.events(world, "cart-test", limit=500) if e.kind == "operation.cancelled")
    assert (event.actor, event.door, event.operation) == ("bob", "cli", creating.operation.id)


@postgres.BOTH
def test_cancelling_a_deploy_in_a_highstate_leaves_it_failed_and_ends_the_highstate(
    world: World, fake: FakeSaltApi
) -> None:
    ended(world, environments.create(world, ALICE, shop(counts={"web": 1})))
    slow_states(fake, 1.0)
    what = Deploy(what="web/feature/cart")
    deploying = under_way(world, fake, lambda: environments.deploy(world, ALICE, "cart-test", what))
    began = time.monotonic()
    cancelled = cancelling.cancel(world, BOB, "cart-test")
    assert (cancelled.operation.id, cancelled.operation.state) == (deploying.operation.id, "cancelled")
    wait_until(lambda: idle(fake), 5)
    assert time.monotonic() - began < 5, "the highstate has ended as well"
    shown = environments.show(world, "cart-test")
    assert shown.status == "failed"
    assert shown.failure is not None
    assert shown.failure.title == "bob cancelled the deploy of web/feature/cart to cart-test."
    assert {server.name: server.status for server in shown.servers} == {
        "cart-test-api-1": "ready", "cart-test-web-1": "failed",
    }  # fmt: skip
    slow_states(fake, 0.005)
    assert ended(world, environments.deploy(world, BOB, "cart-test", what)).state == "succeeded"
    assert environments.show(world, "cart-test").status == "ready"


def test_a_highstate_is_ended_though_salt_is_away_when_it_is_cancelled(
    world: World, fake: FakeSaltApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(world, environments.create(world, ALICE, shop(counts={"web": 1})))
    slow_states(fake, 5.0)
    tried, kill = list[str](), world.salt.kill

    def at_the_third_time(server: str, jid: str) -> None:
        tried.append(jid)
        if len(tried) < 3:
            raise Unavailable("salt-unreachable", "Nothing listens.")
        kill(server, jid)

    monkeypatch.setattr(world.salt, "kill", at_the_third_time)
    under_way(world, fake, lambda: environments.deploy(world, ALICE, "cart-test", Deploy(what="web/feature/cart")))
    cancelling.cancel(world, BOB, "cart-test")
    wait_until(lambda: idle(fake), 10)
    assert len(set(tried)) == 1


def test_a_highstate_is_ended_though_nobody_knows_whether_it_was_begun(
    world: World, fake: FakeSaltApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(world, environments.create(world, ALICE, shop(counts={"web": 1})))
    slow_states(fake, 5.0)
    submit = world.salt.submit

    def unanswered(server: str, jid: str, function: str) -> None:
        submit(server, jid, function)
        raise Unavailable("salt-unanswered", "salt-api does not answer in time.")

    monkeypatch.setattr(world.salt, "submit", unanswered)
    under_way(world, fake, lambda: environments.deploy(world, ALICE, "cart-test", Deploy(what="web/feature/cart")))
    cancelling.cancel(world, BOB, "cart-test")
    wait_until(lambda: idle(fake), 10)


def test_the_next_deploy_waits_for_the_end_of_the_highstate_that_was_cancelled(world: World, fake: FakeSaltApi) -> None:
    ended(world, environments.create(world, ALICE, shop(counts={"web": 1})))
    slow_states(fake, 0.8)
    what = Deploy(what="web/feature/cart")
    under_way(world, fake, lambda: environments.deploy(world, ALICE, "cart-test", what))
    cancelling.cancel(world, ALICE, "cart-test")
    again = environments.deploy(world, ALICE, "cart-test", what)  # at once: the first highstate still runs
    assert ended(world, again).state == "succeeded"
    assert environments.show(world, "cart-test").status == "ready"


def test_cancelling_a_retry_leaves_it_failed(world: World, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.CreateFails("cart-test-web-2"))
    ended(world, environments.create(world, ALICE, shop()))
    fake.salt.behave()
    fake.salt.misbehave(bad.NeverComesUp("cart-test-web-2"))
    retrying = environments.retry(world, ALICE, "cart-test")
    wait_until(lambda: "cart-test-web-2" in fake.salt.machines)
    cancelling.cancel_operation(world, BOB, retrying.operation.id)
    shown = environments.show(world, "cart-test")
    assert (shown.status, shown.servers_ready) == ("failed", 2)
    assert shown.failure is not None
    assert shown.failure.title == "bob cancelled the retry of cart-test."
    fake.salt.behave()
    fake.salt.start_minion("cart-test-web-2")
    assert ended(world, environments.retry(world, ALICE, "cart-test")).state == "succeeded"


@postgres.BOTH
def test_a_step_of_a_cancelled_retry_that_ends_late_does_not_touch_the_next_one(
    world: World, fake: FakeSaltApi
) -> None:
    fake.salt.misbehave(bad.CreateFails("cart-test-web-2"))
    ended(world, environments.create(world, ALICE, shop()))
    fake.salt.behave()
    fake.salt.misbehave(bad.NeverComesUp("cart-test-web-2"))
    first = environments.retry(world, ALICE, "cart-test").operation.id
    wait_until(lambda: has_address(world))
    cancelling.cancel_operation(world, BOB, first)
    second = environments.retry(world, ALICE, "cart-test").operation.id  # its turn would never come, if they did
    late: list[Callable[[Ledger], object]] = [
        lambda ledger: create._created(ledger, first, "cart-test-web-2", {"address": "127.1.1.1", "port": 1}),
        lambda ledger: configure._again(ledger, first, "cart-test-web-2"),
        lambda ledger: slots.line_up(ledger, first, ["cart-test-web-2"]),
    ]
    for step in late:
        with pytest.raises(Superseded), world.store.transaction() as ledger:
            step(ledger)
    fake.salt.behave()
    fake.salt.start_minion("cart-test-web-2")
    wait_until(lambda: operations.show(world, second).state == "succeeded", 10)


def test_what_cannot_be_cancelled_is_one_sentence(world: World, fake: FakeSaltApi) -> None:
    with pytest.raises(NotFound, match="no environment “cart-test”"):
        cancelling.cancel(world, ALICE, "cart-test")
    with pytest.raises(NotFound, match="no operation"):
        cancelling.cancel_operation(world, ALICE, "nope")
    created = environments.create(world, ALICE, shop(counts={"web": 1}))
    ended(world, created)
    with pytest.raises(Conflict, match=r"Nothing is being done to cart-test \(it is ready\)") as nothing:
        cancelling.cancel(world, ALICE, "cart-test")
    assert nothing.value.code == "nothing-to-cancel"
    with pytest.raises(Conflict, match="has ended: it has succeeded") as over:
        cancelling.cancel_operation(world, ALICE, created.operation.id)
    assert over.value.code == "nothing-to-cancel"
    with pytest.raises(NotAllowed):
        cancelling.cancel(world, VIC, "cart-test")
    fake.salt.misbehave(bad.AnswersSlowly(1.0))
    going = environments.terminate(world, ALICE, "cart-test", Terminate())
    with pytest.raises(Conflict, match=r"alice is terminating cart-test since \ds, and what is being taken") as late:
        cancelling.cancel(world, BOB, "cart-test")
    assert late.value.code == "not-cancellable"
    fake.salt.behave()
    ended(world, going)


def test_a_cancel_in_any_moment_ends_everything(world: World, fake: FakeSaltApi) -> None:
    """Wherever it hits: one operation is cancelled, the environment goes, and nothing is left."""
    for number in range(8):
        name = f"cart-{number}"
        creating = environments.create(world, ALICE, shop(name, counts={"web": 1}))
        wait_until(partial(has_events, world, creating, number * 3))
        try:
            ended(world, cancelling.cancel(world, BOB, name))
            assert operations.show(world, creating.operation.id).state == "cancelled"
        except Conflict:  # it was ready already
            ended(world, environments.terminate(world, BOB, name, Terminate()))
        assert fake.salt.machines == {}
    assert servers.list_all(world) == []
