"""All that Salt returned for a job, over HTTP: for ops, and masked."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.commands import World, environments, tokens
from orchestrator.commands.views import Deploy
from orchestrator.web.app import create_app
from tests.fakes import misbehaviour as bad
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, ended, shop

CANARY = "xoxb-123456789012-canary"
DEEP = 100

As = Callable[[str], FlaskClient]


@pytest.fixture
def acting(world: World) -> As:
    """A client with the token of this person."""
    app = create_app(world)

    def client(person: str) -> FlaskClient:
        token = f"{person}-" + "t" * 40
        tokens.ensure(world, token, person, person)
        made = app.test_client()
        made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return made

    return client


@pytest.fixture
def failed(world: World, fake: FakeSaltApi) -> str:
    """The id of the job in which cart-web-1's build failed, saying more than it should."""
    changes = {"stdout": f"token={CANARY}", "env": {"DB_PASSWORD": "hunter22"}, "retcode": 1}
    fake.salt.misbehave(bad.FailsDuringHighstate("cart-web-1", state="build", comment=f"no {CANARY}", changes=changes))
    ended(world, environments.create(world, ALICE, shop("cart")))
    jid = next(server.jid for server in environments.show(world, "cart").servers if server.name == "cart-web-1")
    assert jid
    return jid


def test_ops_get_the_whole_return_masked(acting: As, failed: str) -> None:
    answer = acting("olga").get(f"/api/v1/jobs/{failed}")
    assert answer.status_code == 200
    job = answer.get_json()
    assert (job["jid"], job["retcodes"]) == (failed, {"cart-web-1": 2})
    states = {state["__id__"]: state for state in job["returns"]["cart-web-1"].values()}
    assert list(states) == ["checkout", "env", "build", "service-definition", "service", "health"]
    assert states["build"]["comment"] == "no ***"
    assert states["build"]["changes"] == {"stdout": "token=***", "env": {"DB_PASSWORD": "***"}, "retcode": 1}
    assert CANARY not in answer.text


@pytest.mark.parametrize(("person", "code"), [("ada", "role-too-low"), ("vic", "role-too-low")])
def test_others_are_told_who_may(acting: As, failed: str, person: str, code: str) -> None:
    answer = acting(person).get(f"/api/v1/jobs/{failed}")
    assert (answer.status_code, answer.get_json()["code"]) == (403, code)
    assert "that takes the role ops" in answer.get_json()["detail"]


@pytest.mark.parametrize("jid", ["1", "2026112509300012345x", "../jobs", "20261125093000123456_", "9" * 64])
def test_what_can_be_no_job_id_is_refused_before_salt_is_asked(acting: As, fake: FakeSaltApi, jid: str) -> None:
    asked = fake.calls["runner jobs.lookup_jid"]
    answer = acting("olga").get(f"/api/v1/jobs/{jid}")
    assert answer.status_code == (404 if "/" in jid else 422)
    assert answer.get_json()["code"] == ("no-such-path" if "/" in jid else "jid-invalid")
    assert fake.calls["runner jobs.lookup_jid"] == asked


def test_a_job_that_expired_is_a_sentence(acting: As, fake: FakeSaltApi, failed: str) -> None:
    fake.salt.jobs.clear()
    answer = acting("olga").get(f"/api/v1/jobs/{failed}")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "job-unknown")
    assert "24 hours" in answer.get_json()["detail"]


def test_a_minion_that_has_not_returned_is_null(acting: As, world: World, fake: FakeSaltApi) -> None:
    ended(world, environments.create(world, ALICE, shop("cart", roles=["api"])))
    fake.salt.misbehave(bad.LosesReturns())
    jid = world.salt.new_jid()
    world.salt.submit("cart-api-1", jid, "highstate")
    job = acting("olga").get(f"/api/v1/jobs/{jid}").get_json()
    assert (job["returns"], job["retcodes"]) == ({"cart-api-1": None}, {"cart-api-1": None})


def test_what_is_nested_for_ever_is_cut(acting: As, fake: FakeSaltApi, failed: str) -> None:
    nested: Any = "the bottom"
    for _ in range(DEEP):
        nested = {"in": [nested]}
    fake.salt.jobs[failed].returns["cart-web-1"]["return"] = nested
    answer = acting("olga").get(f"/api/v1/jobs/{failed}")
    assert answer.status_code == 200
    assert "the bottom" not in answer.text
    assert "nested too deep" in answer.text


def test_a_server_tells_its_job_only_when_it_came_that_far(acting: As, world: World, fake: FakeSaltApi) -> None:
    ended(world, environments.create(world, ALICE, shop("cart", roles=["api"])))
    before = acting("ada").get("/api/v1/servers/cart-api-1").get_json()["jid"]
    assert before in fake.salt.jobs
    fake.salt.misbehave(bad.FailsDuringHighstate("cart-api-1", state="build", times=1))
    ended(world, environments.deploy(world, ALICE, "cart", Deploy(what="feature/tax")))
    del fake.salt.machines["cart-api-1"]
    fake.salt.misbehave(bad.CreateFails())
    ended(world, environments.retry(world, ALICE, "cart"))
    server = acting("ada").get("/api/v1/servers/cart-api-1").get_json()
    assert (server["status"], server["jid"]) == ("failed", None)


def test_a_deploy_that_fails_before_its_job_does_not_show_the_last_one(
    acting: As, world: World, fake: FakeSaltApi
) -> None:
    ended(world, environments.create(world, ALICE, shop("cart", roles=["api"])))
    del fake.salt.machines["cart-api-1"]  # so that its record is refused
    ended(world, environments.deploy(world, ALICE, "cart", Deploy(what="feature/tax")))
    server = acting("ada").get("/api/v1/servers/cart-api-1").get_json()
    assert (server["failure"]["code"], server["jid"]) == ("record-invalid", None)


def test_a_failure_has_its_link(acting: As, failed: str) -> None:
    failure = acting("ada").get("/api/v1/servers/cart-web-1").get_json()["failure"]
    assert isinstance(failure["link"], str)
    described = acting("ada").get("/openapi.json").get_json()["components"]["schemas"]["FailureView"]["properties"]
    assert "link" in described
