"""The operations, end to end over the fake Salt: real commands, engine and database."""

import pytest

from orchestrator.commands import World, environments, operations, servers
from orchestrator.commands.views import CreateServer, Deploy, Extend, Terminate
from orchestrator.domain.errors import BadInput, Conflict, NotFound, Unavailable
from tests import postgres
from tests.fakes import misbehaviour as bad
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, BOB, ended, shop


def create(world: World, **asked: object):
    accepted = environments.create(world, ALICE, shop(**asked))
    return ended(world, accepted)


@postgres.BOTH
def test_an_environment_is_created_wired_and_ready(world: World, fake: FakeSaltApi) -> None:
    assert create(world).state == "succeeded"
    shown = environments.show(world, "cart-test")
    assert shown.status == "ready"
    assert [server.name for server in shown.servers] == ["cart-test-api-1", "cart-test-web-1", "cart-test-web-2"]
    api = shown.servers[0]
    for web in ("cart-test-web-1", "cart-test-web-2"):
        assert fake.salt.records[web].siblings == {"api": [f"{api.address}:8000"]}


@postgres.BOTH
def test_progress_is_told_once_in_order_and_can_be_resumed(world: World) -> None:
    accepted = environments.create(world, ALICE, shop())
    told = [news for news in operations.follow(world, accepted.operation.id) if news]
    assert [news.seq for news in told] == sorted({news.seq for news in told})
    phases = [news.phase for news in told if news.server == "cart-test-web-1" and news.state is None]
    assert phases == ["booting", "booting", "booting", "configuring", "ready"]
    assert told[-1].server is None
    assert told[-1].phase == "succeeded"
    middle = told[len(told) // 2].seq
    resumed = [news for news in operations.follow(world, accepted.operation.id, middle) if news]
    assert resumed == [news for news in told if news.seq > middle]


@postgres.BOTH
def test_terminate_leaves_nothing(world: World, fake: FakeSaltApi) -> None:
    create(world)
    assert ended(world, environments.terminate(world, BOB, "cart-test", Terminate())).state == "succeeded"
    assert fake.salt.machines == {}
    assert fake.salt.records == {}
    with pytest.raises(NotFound, match="was terminated"):
        environments.show(world, "cart-test")
    assert create(world).state == "succeeded"  # the name is free again


@postgres.BOTH
def test_terminate_works_while_it_is_being_created(world: World, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.NeverComesUp())
    creating = environments.create(world, ALICE, shop())
    assert ended(world, environments.terminate(world, BOB, "cart-test", Terminate())).state == "succeeded"
    assert operations.show(world, creating.operation.id).state == "cancelled"
    assert fake.salt.machines == {}


@postgres.BOTH
def test_a_failed_create_keeps_the_healthy_servers_and_retry_completes_it(world: World, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.CreateFails("cart-test-web-2"))
    failed = create(world)
    assert failed.state == "failed"
    assert failed.failure is not None
    assert failed.failure.servers == ["cart-test-web-2"]
    shown = environments.show(world, "cart-test")
    assert {server.name: server.status for server in shown.servers} == {
        "cart-test-api-1": "ready",
        "cart-test-web-1": "ready",
        "cart-test-web-2": "failed",
    }
    fake.salt.behave()
    assert ended(world, environments.retry(world, ALICE, "cart-test")).state == "succeeded"
    assert environments.show(world, "cart-test").status == "ready"


def test_a_misspelt_branch_is_refused_before_anything_is_built(world: World, fake: FakeSaltApi) -> None:
    with pytest.raises(BadInput) as refused:
        environments.create(world, ALICE, shop(branches={"web": "feature/crat"}))
    lines = refused.value.extra["failure"].lines
    assert len(lines) == 3
    assert "feature/crat" in lines[0]
    assert "https://git.example.org/shop/web.git" in lines[0]
    assert "feature/cart" in lines[1]
    assert environments.list_all(world) == []
    assert fake.salt.machines == {}


def test_a_branch_goes_where_it_exists_and_the_others_are_told(world: World) -> None:
    accepted = environments.create(world, ALICE, shop(branch="feature/tax"))
    assert accepted.notes == ["api runs feature/tax.", "web has no branch feature/tax and runs main."]
    ended(world, accepted)
    assert environments.show(world, "cart-test").branches == {"api": "feature/tax", "web": "main"}


def test_a_branch_that_is_nowhere_is_refused(world: World) -> None:
    with pytest.raises(BadInput, match="no branch “nowhere”"):
        environments.create(world, ALICE, shop(branch="nowhere"))


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("feature/cart", {"cart-test-api-1": "feature/cart", "cart-test-web-1": "feature/cart"}),
        ("web/feature/cart", {"cart-test-api-1": "main", "cart-test-web-1": "feature/cart"}),
        ("shop-api/feature/tax", {"cart-test-api-1": "feature/tax", "cart-test-web-1": "main"}),
        ("feature/tax", {"cart-test-api-1": "feature/tax", "cart-test-web-1": "main"}),
    ],
)
def test_deploy_to_an_environment(world: World, what: str, after: dict[str, str]) -> None:
    create(world, counts={"web": 1})
    assert ended(world, environments.deploy(world, BOB, "cart-test", Deploy(what=what))).state == "succeeded"
    assert {server.name: server.branch for server in servers.list_all(world, "cart-test")} == after


def test_deploy_to_one_server_touches_only_that_one(world: World) -> None:
    create(world)
    deployed = servers.deploy(world, BOB, "cart-test-web-2", Deploy(what="shop-web/feature/cart"))
    assert ended(world, deployed).state == "succeeded"
    assert [server.branch for server in servers.list_all(world)] == ["main", "main", "feature/cart"]


def test_a_failed_highstate_is_told_as_its_root_cause(world: World, fake: FakeSaltApi) -> None:
    create(world)
    fake.salt.misbehave(bad.FailsDuringHighstate("cart-test-web-1"))
    failed = ended(world, environments.deploy(world, BOB, "cart-test", Deploy(what="web/feature/cart")))
    assert failed.state == "failed"
    assert failed.failure is not None
    assert failed.failure.servers == ["cart-test-web-1"]
    assert environments.show(world, "cart-test").status == "failed"
    fake.salt.behave()
    again = ended(world, environments.deploy(world, BOB, "cart-test", Deploy(what="web/main")))
    assert again.state == "succeeded"
    assert environments.show(world, "cart-test").status == "ready"


@postgres.BOTH
def test_two_at_once_get_one_winner_and_a_sentence(world: World, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.NeverComesUp())
    environments.create(world, ALICE, shop())
    with pytest.raises(
        Conflict,
        match=r"alice is creating cart-test since \ds; wait for it, or cancel it with `brine env cancel cart-test`",
    ):
        environments.retry(world, BOB, "cart-test")
    ended(world, environments.terminate(world, ALICE, "cart-test", Terminate()))


@postgres.BOTH
def test_the_same_key_gives_the_same_operation(world: World) -> None:
    first = environments.create(world, ALICE, shop(name=None), key="k1")
    second = environments.create(world, ALICE, shop(name=None), key="k1")
    assert first.operation.id == second.operation.id
    with pytest.raises(BadInput, match="another request"):
        environments.create(world, ALICE, shop(name="other"), key="k1")
    ended(world, first)
    assert len(environments.list_all(world)) == 1


def test_a_lone_web_server_needs_an_environment_whose_api_it_uses(world: World, fake: FakeSaltApi) -> None:
    with pytest.raises(BadInput, match="--use"):
        servers.create(world, ALICE, CreateServer(template="shop", role="web"))
    create(world)
    alone = servers.create(world, ALICE, CreateServer(template="shop", role="web", name="lone", use="cart-test"))
    assert ended(world, alone).state == "succeeded"
    api = servers.show(world, "cart-test-api-1").address
    assert fake.salt.records["lone-web-1"].siblings == {"api": [f"{api}:8000"]}
    with pytest.raises(Conflict, match="lone uses cart-test"):
        environments.terminate(world, ALICE, "cart-test", Terminate())
    ended(world, environments.terminate(world, ALICE, "cart-test", Terminate(confirmed=True)))
    assert "cart-test" in (environments.show(world, "lone").degraded or "")


@postgres.BOTH
def test_terminating_one_server_rewires_those_that_needed_it(world: World, fake: FakeSaltApi) -> None:
    create(world, counts={"api": 2, "web": 1})
    with pytest.raises(Conflict, match="cart-test-web-1 needs cart-test-api-1"):
        servers.terminate(world, ALICE, "cart-test-api-1", Terminate())
    going = servers.terminate(world, ALICE, "cart-test-api-1", Terminate(confirmed=True))
    assert ended(world, going).state == "succeeded"
    left = servers.show(world, "cart-test-api-2").address
    assert fake.salt.records["cart-test-web-1"].siblings == {"api": [f"{left}:8000"]}
    assert environments.show(world, "cart-test").status == "ready"


def test_terminating_the_last_server_ends_the_environment(world: World) -> None:
    only = servers.create(world, ALICE, CreateServer(template="shop", role="api", name="lone"))
    assert ended(world, only).state == "succeeded"
    assert ended(world, servers.terminate(world, ALICE, "lone-api-1", Terminate())).state == "succeeded"
    assert environments.list_all(world) == []


def test_a_failed_delete_is_never_called_gone(world: World, fake: FakeSaltApi) -> None:
    create(world)
    fake.salt.misbehave(bad.DestroyFails("cart-test-web-1"))
    failed = ended(world, environments.terminate(world, ALICE, "cart-test", Terminate()))
    assert failed.state == "failed"
    shown = environments.show(world, "cart-test")
    assert shown.status == "terminating"
    assert [server.name for server in shown.servers] == ["cart-test-web-1"]
    fake.salt.behave()
    assert ended(world, environments.terminate(world, ALICE, "cart-test", Terminate())).state == "succeeded"


def test_extending_is_capped_by_the_template(world: World) -> None:
    create(world)
    before = environments.show(world, "cart-test").expires_at
    after = environments.extend(world, BOB, "cart-test", Extend(by="1d12h")).expires_at
    assert (after - before).total_seconds() == 36 * 3600
    with pytest.raises(BadInput, match="3d in all"):
        environments.extend(world, BOB, "cart-test", Extend(by="1d"))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"counts": {"web": 9}}, "1 to 4 web servers, not 9"),
        ({"counts": {"db": 1}}, "no role “db”; its roles are api, web"),
        ({"branches": {"db": "main"}}, "no role “db”"),
        ({"name": "Nope!"}, "cannot be a name"),
        ({"name": "x" * 41}, "at most 40"),
        ({"name": "cart-web-1"}, "reads like server 1"),
        ({"ttl": "9d"}, "at most 3d"),
        ({"ttl": "-1d"}, "not a duration"),
        ({"branches": {"web": "--upload-pack=x"}}, "cannot be a branch's name"),
        ({"use": "nobody"}, "no environment “nobody”"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(world: World, asked: dict[str, object], says: str) -> None:
    with pytest.raises((BadInput, NotFound)) as refused:
        environments.create(world, ALICE, shop(**({"name": "cart-test"} | asked)))
    assert says in refused.value.message
    assert environments.list_all(world) == []


def test_names_and_limits(world: World) -> None:
    create(world)
    with pytest.raises(Conflict, match="“cart-test” already"):
        environments.create(world, BOB, shop())
    for name in ("two", "three"):
        create(world, name=name)
    with pytest.raises(Conflict, match="terminate one first"):
        environments.create(world, ALICE, shop(name="four"))


@postgres.BOTH
def test_everything_is_written_down(world: World) -> None:
    create(world)
    environments.extend(world, BOB, "cart-test", Extend())
    written = environments.events(world, "cart-test", limit=500)
    assert written[0].kind == "operation.requested"
    assert (written[0].actor, written[0].door) == ("alice", "api")
    extended = next(event for event in written if event.kind == "environment.extended")
    assert extended.actor == "bob"
    kinds = [event.kind for event in written]
    assert kinds.index("environment.provisioning") < kinds.index("environment.configuring")
    assert kinds.index("environment.configuring") < kinds.index("environment.ready")


def test_the_same_key_terminates_the_last_server_once(world: World) -> None:
    ended(world, servers.create(world, ALICE, CreateServer(template="shop", role="api", name="lone")))
    first = servers.terminate(world, ALICE, "lone-api-1", Terminate(), key="k")
    ended(world, first)
    assert servers.terminate(world, ALICE, "lone-api-1", Terminate(), key="k").operation.id == first.operation.id


def test_a_deploy_to_what_is_half_gone_says_so_and_does_not_blame_the_branch(world: World, fake: FakeSaltApi) -> None:
    create(world)
    fake.salt.misbehave(bad.DestroyFails("cart-test-api-1"))
    assert ended(world, environments.terminate(world, ALICE, "cart-test", Terminate())).state == "failed"
    with pytest.raises(Conflict) as refused:
        environments.deploy(world, BOB, "cart-test", Deploy(what="web/feature/cart"))
    assert refused.value.code == "environment-terminating"


def test_a_deploy_to_a_server_whose_siblings_are_gone_is_refused(world: World) -> None:
    create(world, counts={"web": 1})
    ended(world, servers.terminate(world, ALICE, "cart-test-api-1", Terminate(confirmed=True)))
    assert "cart-test-web-1 needed it" in (environments.show(world, "cart-test").degraded or "")
    with pytest.raises(Conflict, match="has none any more"):
        environments.deploy(world, ALICE, "cart-test", Deploy(what="web/feature/cart"))


def test_one_server_whose_record_is_refused_does_not_fail_the_others(world: World, fake: FakeSaltApi) -> None:
    create(world)
    del fake.salt.machines["cart-test-web-1"]
    failed = ended(world, environments.deploy(world, BOB, "cart-test", Deploy(what="feature/cart")))
    assert failed.state == "failed"
    statuses = {server.name: server.status for server in servers.list_all(world)}
    assert statuses == {"cart-test-api-1": "ready", "cart-test-web-1": "failed", "cart-test-web-2": "ready"}
    assert ended(world, environments.retry(world, ALICE, "cart-test")).state == "succeeded"


def test_the_log_of_a_server_that_does_not_answer(world: World, fake: FakeSaltApi) -> None:
    create(world)
    assert servers.logs(world, "cart-test-api-1").server == "cart-test-api-1"
    del fake.salt.machines["cart-test-api-1"]
    with pytest.raises(Unavailable, match="did not hand out its log"):
        servers.logs(world, "cart-test-api-1")


def test_what_an_earlier_bearer_of_the_name_left_behind_is_not_used(world: World, fake: FakeSaltApi) -> None:
    create(world)
    left = dict(fake.salt.machines), dict(fake.salt.records)
    ended(world, environments.terminate(world, ALICE, "cart-test", Terminate()))
    fake.salt.machines.update(left[0])  # as if the cloud had not really removed them
    fake.salt.records.update(left[1])
    assert create(world).state == "succeeded"
    assert fake.salt.machines.keys() == left[0].keys()
    assert not [name for name, machine in left[0].items() if fake.salt.machines[name] is machine]
