"""Two or more people at the same moment: one winner, and for the others a sentence that says who does what."""

import re
import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from orchestrator.commands import World, environments, operations
from orchestrator.commands.views import Accepted, Deploy, Terminate
from orchestrator.domain.errors import BadInput, BrinepoolError, Conflict
from tests import postgres
from tests.fakes import misbehaviour as bad
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, BOB, ended, shop

ROUNDS = 20
Ask = Callable[[], Accepted]


def at_once(*asks: Ask) -> tuple[list[Accepted], list[BrinepoolError]]:
    """All of them, each in a thread of its own, released together. → who was accepted, and who was refused."""
    gate, won, lost = threading.Barrier(len(asks)), list[Accepted](), list[BrinepoolError]()

    def run(ask: Ask) -> None:
        gate.wait(10)
        try:
            won.append(ask())
        except BrinepoolError as error:
            lost.append(error)

    threads = [threading.Thread(target=run, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(won) + len(lost) == len(asks)
    return won, lost


def one_winner(*asks: Ask) -> tuple[Accepted, Sequence[BrinepoolError]]:
    won, lost = at_once(*asks)
    assert len(won) == 1, [each.operation for each in won]
    return won[0], lost


def deploys(world: World) -> Sequence[Ask]:
    return [
        lambda: environments.deploy(world, ALICE, "cart-test", Deploy(what="web/feature/cart")),
        lambda: environments.deploy(world, BOB, "cart-test", Deploy(what="web/main")),
    ]


def test_two_deploys_at_once_have_one_winner(world: World) -> None:
    ended(world, environments.create(world, ALICE, shop(counts={"web": 1})))
    for _ in range(ROUNDS):
        winner, (error,) = one_winner(*deploys(world))
        other = winner.operation.actor
        what = "web/feature/cart" if other == "alice" else "web/main"
        assert isinstance(error, Conflict)
        assert error.code == "environment-busy"
        assert re.fullmatch(
            rf"{other} is deploying {what} to cart-test since \ds; "
            r"wait for it, or cancel it with `brine env cancel cart-test`\.", error.message,
        ), error.message  # fmt: skip
        assert ended(world, winner).state == "succeeded"
        assert environments.show(world, "cart-test").branches["web"] == what.removeprefix("web/")


def test_two_creates_of_one_name_at_once_have_one_winner(world: World) -> None:
    for number in range(ROUNDS):
        name = f"cart-{number}"
        winner, (error,) = one_winner(
            *[partial(environments.create, world, who, shop(name, counts={"web": 1})) for who in (ALICE, BOB)],
        )
        assert error.code == "name-taken"
        assert f"{winner.operation.actor} is creating {name} since " in error.message
        assert ended(world, winner).state == "succeeded"
        ended(world, environments.terminate(world, ALICE, name, Terminate()))


def test_a_retry_and_a_deploy_at_once_have_one_winner(world: World, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.FailsDuringHighstate("cart-test-web-1"))
    ended(world, environments.create(world, ALICE, shop(counts={"web": 1})))
    for _ in range(5):
        winner, lost = one_winner(*deploys(world), lambda: environments.retry(world, BOB, "cart-test"))
        assert {error.code for error in lost} == {"environment-busy"}
        assert ended(world, winner).state == "failed"


@postgres.BOTH
def test_whoever_comes_with_a_terminate_it_ends_once(world: World) -> None:
    for number in range(ROUNDS):
        ended(world, environments.create(world, ALICE, shop(counts={"web": 1})))
        won, lost = at_once(
            *deploys(world)[number % 2 :],
            lambda: environments.terminate(world, ALICE, "cart-test", Terminate()),
            lambda: environments.terminate(world, BOB, "cart-test", Terminate()),
        )
        ends = [each for each in won if each.operation.kind == "terminate"]
        assert len({each.operation.id for each in ends}) == 1, "the second one joins the first"
        assert ended(world, ends[0]).state == "succeeded"
        assert {error.code for error in lost} <= {"environment-busy", "environment-terminating", "environment-ended"}
        for each in won:
            assert operations.show(world, each.operation.id).state in ("cancelled", "succeeded")


def test_the_same_key_at_once_is_one_operation_and_another_body_is_refused(world: World) -> None:
    for number in range(ROUNDS):
        name, key = f"cart-{number}", f"key-{number}"
        won, lost = at_once(*[partial(environments.create, world, ALICE, shop(name, counts={"web": 1}), key)] * 3)
        assert lost == []
        assert len({each.operation.id for each in won}) == 1
        with pytest.raises(BadInput) as refused:
            environments.create(world, ALICE, shop(name, counts={"web": 2}), key)
        assert refused.value.code == "key-reused"
        ended(world, won[0])
        ended(world, environments.terminate(world, ALICE, name, Terminate()))


@postgres.BOTH
def test_the_same_key_at_once_with_two_bodies_has_one_winner(world: World) -> None:
    for number in range(ROUNDS):
        winner, (error,) = one_winner(
            *[partial(environments.create, world, ALICE, shop(name), f"key-{number}") for name in ("one", "two")],
        )
        assert error.code == "key-reused"
        ended(world, environments.terminate(world, ALICE, winner.environment.name, Terminate()))
