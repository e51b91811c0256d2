"""Events are hints: whatever becomes of them, and of salt-api's answers, every operation ends as it would have.

The adapter's own part, call by call, is in test_saltapi_failures.py.
"""

from collections import Counter
from collections.abc import Sequence

import pytest

from orchestrator.commands import World, environments
from orchestrator.commands.views import Deploy, Terminate
from tests.fakes import misbehaviour as bad
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, ended, shop

EVERY_KIND = [
    [bad.DropsEvents()],
    [bad.DropsEvents("salt/job/*/ret/*")],
    [bad.DropsEvents("salt/run/*")],
    [bad.DropsEvents("salt/minion/*")],
    [bad.RepeatsEvents()],
    [bad.DropsStream(times=12)],
    [bad.HangsStream()],
    [bad.ExpiresTokens(after=2)],
    [bad.AnswersNonsense(times=3)],
    [bad.MasterDown(times=5)],
    [bad.RepeatsEvents(), bad.DropsStream(times=6), bad.ExpiresTokens(after=3), bad.DropsEvents("*ret*", times=4)],
]


def highstates(fake: FakeSaltApi) -> Counter[str]:
    """How many highstates each server began."""
    return Counter(server for server, function, _ in fake.salt.executed if function == "brinepool.highstate")


@pytest.mark.parametrize("wrong", EVERY_KIND, ids=lambda wrong: "+".join(type(one).__name__ for one in wrong))
def test_every_operation_ends_as_it_would_have(
    world: World, fake: FakeSaltApi, wrong: Sequence[bad.Misbehaviour]
) -> None:
    world.salt.providers()  # known for some minutes; who asks for something is told at once that Salt is away
    fake.salt.misbehave(*wrong)
    assert ended(world, environments.create(world, ALICE, shop(counts={"web": 1}))).state == "succeeded"
    what = Deploy(what="web/feature/cart")
    assert ended(world, environments.deploy(world, ALICE, "cart-test", what)).state == "succeeded"
    assert highstates(fake) == {"cart-test-api-1": 1, "cart-test-web-1": 2}, "none was doubled"
    assert ended(world, environments.terminate(world, ALICE, "cart-test", Terminate())).state == "succeeded"
    assert fake.salt.machines == {}
    assert fake.salt.records == {}


@pytest.mark.parametrize("wrong", [bad.ForgetsJobs("cart-test-web-1", times=1), bad.LosesReturns(times=1)])
def test_a_job_that_is_lost_is_submitted_once_more(world: World, fake: FakeSaltApi, wrong: bad.Misbehaviour) -> None:
    fake.salt.misbehave(wrong)
    assert ended(world, environments.create(world, ALICE, shop(counts={"web": 1}))).state == "succeeded"
    assert sorted(highstates(fake).values()) == [1, 2]


def test_a_highstate_that_is_silent_for_long_is_waited_for_and_not_doubled(world: World, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.DropsEvents())
    fake.salt.durations = fake.salt.durations.__class__(state=0.4)
    assert ended(world, environments.create(world, ALICE, shop(counts={"web": 1}))).state == "succeeded"
    assert set(highstates(fake).values()) == {1}
    assert fake.calls["local_async saltutil.find_job"] >= 1
