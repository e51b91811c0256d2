"""The JSON routes: each calls its command and renders what it gives."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from orchestrator.commands import tokens
from orchestrator.web.app import create_app
from tests.unit.doors import TOKEN, OneRepository, People, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    made.play = lambda _: None
    return made


@pytest.fixture
def client(stage: Stage) -> FlaskClient:
    made = create_app(stage.world).test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return made


def create(client: FlaskClient, name: str = "cart", key: str | None = None) -> dict:
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.post("/api/v1/environments", json={"template": "shop", "name": name}, headers=headers)
    assert answer.status_code == 202, answer.text
    return {**answer.get_json(), "location": answer.headers["Location"]}


def test_creating_answers_202_with_an_operation_to_follow(client: FlaskClient) -> None:
    accepted = create(client)
    operation = client.get(accepted["location"]).get_json()
    assert (operation["kind"], operation["environment"], operation["actor"]) == ("create", "cart", "ada")
    shown = client.get("/api/v1/environments/cart").get_json()
    assert [server["name"] for server in shown["servers"]] == ["cart-api-1", "cart-web-1", "cart-web-2"]


def test_the_same_key_is_done_once(client: FlaskClient, stage: Stage) -> None:
    first, second = create(client, "cart", key="k1"), create(client, "cart", key="k1")
    assert first["operation"]["id"] == second["operation"]["id"]
    assert [each["name"] for each in client.get("/api/v1/environments").get_json()["environments"]] == ["cart"]
    assert len(stage.started) >= 1


def test_a_single_server_is_an_environment(client: FlaskClient) -> None:
    answer = client.post("/api/v1/servers", json={"template": "shop", "role": "api", "name": "solo"})
    assert answer.status_code == 202
    assert [each["name"] for each in client.get("/api/v1/servers").get_json()["servers"]] == ["solo-api-1"]
    assert client.get("/api/v1/servers/solo-api-1").get_json()["environment"] == "solo"


def test_terminating_what_others_need_asks_first(client: FlaskClient, stage: Stage) -> None:
    create(client)
    with stage.world.store.transaction() as ledger:
        operation = stage.started[0].id
        for status in ("provisioning", "configuring", "ready"):
            ledger.move_environment(stage.started[0].environment, operation, _status(status))
    stage.to_the_end(stage.started[0])
    refused = client.delete("/api/v1/servers/cart-api-1")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "needed-by-others")
    agreed = client.delete("/api/v1/servers/cart-api-1?confirmed=true")
    assert agreed.status_code == 202
    assert agreed.get_json()["operation"]["kind"] == "terminate-server"


def test_cancelling_by_name_and_by_operation(client: FlaskClient, stage: Stage) -> None:
    operation = create(client)["operation"]["id"]
    going = client.post("/api/v1/environments/cart/cancel")
    assert (going.status_code, going.get_json()["operation"]["kind"]) == (202, "terminate")
    cancelled = client.get(f"/api/v1/operations/{operation}").get_json()
    assert (cancelled["state"], cancelled["failure"]["code"]) == ("cancelled", "cancelled")
    again = client.post(f"/api/v1/operations/{operation}/cancel")
    assert (again.status_code, again.get_json()["code"]) == (409, "nothing-to-cancel")
    late = client.post("/api/v1/environments/cart/cancel")
    assert (late.status_code, late.get_json()["code"]) == (409, "not-cancellable")


def _status(name: str):  # type: ignore[no-untyped-def]
    from orchestrator.domain.lifecycle import EnvironmentStatus

    return EnvironmentStatus(name)


def test_terminating_an_environment(client: FlaskClient) -> None:
    create(client)
    answer = client.delete("/api/v1/environments/cart")
    assert answer.status_code == 202
    assert answer.get_json()["environment"]["status"] == "terminating"
    again = client.post("/api/v1/environments/cart/deployments", json={"what": "main"})
    assert (again.status_code, again.get_json()["code"]) == (409, "environment-terminating")


def test_extending_moves_the_expiry(client: FlaskClient) -> None:
    before = create(client)["environment"]["expires_at"]
    extended = client.post("/api/v1/environments/cart/extensions", json={"by": "1d"})
    assert extended.status_code == 200
    assert extended.get_json()["expires_at"] > before
    too_long = client.post("/api/v1/environments/cart/extensions", json={"by": "300d"})
    assert (too_long.status_code, too_long.get_json()["code"]) == (422, "extension-too-long")


def test_retrying_what_did_not_fail_is_a_conflict(client: FlaskClient) -> None:
    create(client)
    assert client.post("/api/v1/environments/cart/retries").status_code == 409


def test_events_are_paged(client: FlaskClient) -> None:
    create(client)
    client.post("/api/v1/environments/cart/extensions", json={"by": "1d"})
    events = client.get("/api/v1/environments/cart/events").get_json()["events"]
    assert events[-1]["kind"] == "environment.extended"
    rest = client.get(f"/api/v1/environments/cart/events?after={events[-2]['seq']}").get_json()["events"]
    assert rest == events[-1:]


def test_templates_and_what_is_wrong_with_them(client: FlaskClient) -> None:
    answer = client.get("/api/v1/templates").get_json()
    assert "shop" in [each["name"] for each in answer["templates"]]
    assert answer["problems"] == []
    assert [role["role"] for role in client.get("/api/v1/templates/shop").get_json()["roles"]] == ["api", "web"]


def test_ready_says_what_is_missing(client: FlaskClient, stage: Stage) -> None:
    assert client.get("/readyz").status_code == 200
    salt = stage.world.salt
    assert isinstance(salt, OneRepository)
    salt.down = True
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "not-ready")
    assert "salt-api does not answer" in answer.get_json()["detail"]
    assert client.get("/healthz").status_code == 200


def test_metrics_count_what_is_there(client: FlaskClient) -> None:
    create(client)
    client.get("/api/v1/environments/cart")
    lines = client.get("/metrics").text.splitlines()
    assert 'brinepool_environments{status="requested"} 1.0' in lines
    assert 'brinepool_servers{status="requested"} 3.0' in lines
    assert 'brinepool_operations_active{kind="create",state="pending"} 1.0' in lines
    assert any(
        line.startswith("brinepool_http_request_seconds_count") and 'route="/api/v1/environments/<name>"' in line
        for line in lines
    )


def test_the_document_describes_every_route(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    described = {(method, path) for path, item in document["paths"].items() for method in item}
    for rule in client.application.url_map.iter_rules():
        if rule.rule.startswith("/api/"):
            path = rule.rule.replace("<", "{").replace(">", "}")
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                assert (method.lower(), path) in described
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["security"] == [{"token": []}], (method, path)
            assert "401" in operation["responses"], (method, path)
    body = document["components"]["schemas"]["CreateEnvironment"]
    assert body["additionalProperties"] is False


def test_answers_are_neither_cached_nor_framed(client: FlaskClient) -> None:
    headers = client.get("/api/v1/environments").headers
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


# What ends by itself, and what keeps it


@pytest.fixture
def olga(stage: Stage) -> FlaskClient:
    """The same application as ops, beside a developer and a viewer."""
    stage.world.access.access = People(ada="developer", olga="ops", vic="viewer").access  # type: ignore[attr-defined]
    return as_person(stage, "olga")


def as_person(stage: Stage, person: str) -> FlaskClient:
    token = f"{person}-" + "t" * 40
    tokens.ensure(stage.world, token, person, person)
    made = create_app(stage.world).test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


def test_holding_and_releasing(client: FlaskClient) -> None:
    create(client)
    held = client.post("/api/v1/environments/cart/hold", json={"for": "4h"})
    assert (held.status_code, held.get_json()["held_by"]) == (200, "ada")
    shown = client.get("/api/v1/environments").get_json()["environments"][0]
    assert shown["held_until"] == held.get_json()["held_until"]
    released = client.delete("/api/v1/environments/cart/hold")
    assert (released.status_code, released.get_json()["held_by"]) == (200, None)
    again = client.delete("/api/v1/environments/cart/hold")
    assert (again.status_code, again.get_json()["code"]) == (409, "not-held")


def test_protecting_is_for_ops(client: FlaskClient, olga: FlaskClient) -> None:
    create(client)
    there = "/api/v1/environments/cart/protection"
    refused = client.post(there, json={})
    assert (refused.status_code, refused.get_json()["code"]) == (403, "role-too-low")
    endless = olga.post(there, json={"why": "shown on friday"}).get_json()
    assert (endless["protected_by"], endless["protected_until"]) == ("olga", None)
    until = olga.post(there, json={"until": "2099-12-01T09:00:00+01:00"}).get_json()["protected_until"]
    assert until == "2099-12-01T08:00:00Z"
    assert client.delete(there).status_code == 403
    assert olga.delete(there).get_json()["protected_by"] is None
    assert olga.delete(there).get_json()["code"] == "not-protected"


def test_extending_until_a_moment(client: FlaskClient) -> None:
    expires = datetime.fromisoformat(create(client)["environment"]["expires_at"])
    until = (expires + timedelta(hours=5)).astimezone(timezone(timedelta(hours=3)))
    extended = client.post("/api/v1/environments/cart/extensions", json={"until": until.isoformat()})
    assert datetime.fromisoformat(extended.get_json()["expires_at"]) == until


@pytest.mark.parametrize(
    ("path", "body", "code", "sentence"),
    [
        ("", {"template": "shop", "ttl": "-1d"}, "duration-invalid", "“-1d” is not a duration"),
        ("", {"template": "shop", "ttl": "400d"}, "duration-too-long", "more than a year"),
        ("", {"template": "shop", "ttl": "60d"}, "ttl-too-long", "14d"),
        ("/cart/extensions", {"by": "-1d"}, "duration-invalid", "“-1d” is not a duration"),
        ("/cart/extensions", {"by": "60d"}, "extension-too-long", "may live 14d in all"),
        ("/cart/extensions", {"until": "2020-01-01T00:00:00Z"}, "extension-backwards", "is over already"),
        ("/cart/extensions", {"until": "2099-01-01T00:00:00Z"}, "extension-too-long", "may live 14d in all"),
        ("/cart/extensions", {"until": "2099-02-30T00:00:00Z"}, "input-invalid", "“until” is wrong"),
        ("/cart/extensions", {"until": "2099-01-01T00:00:00"}, "input-invalid", "timezone"),
        ("/cart/extensions", {"until": "2099-01-01T00:00:00[Mars/Olympus]"}, "input-invalid", "“until” is wrong"),
        ("/cart/extensions", {"until": "9999-12-31T23:59:59-12:00"}, "input-invalid", "than the calendar goes"),
        ("/cart/extensions", {"by": "1d", "until": "2099-01-01T00:00:00Z"}, "input-invalid", "not both"),
        ("/cart/hold", {"for": "-1h"}, "duration-invalid", "“-1h” is not a duration"),
        ("/cart/hold", {"for": "9d"}, "hold-too-long", "at most"),
        ("/cart/protection", {"for": "400d"}, "duration-too-long", "more than a year"),
        ("/cart/protection", {"until": "2020-01-01T00:00:00Z"}, "protection-backwards", "over already"),
        ("/cart/protection", {"until": "9999-12-31T23:59:59-12:00"}, "input-invalid", "than the calendar goes"),
        ("/cart/protection", {"for": "1d", "until": "2099-01-01T00:00:00Z"}, "input-invalid", "not both"),
        ("/cart/protection", {"why": "x" * 201}, "input-invalid", "“why” is wrong"),
    ],
)
def test_times_that_cannot_be_are_refused_with_one_sentence(
    client: FlaskClient, olga: FlaskClient, path: str, body: dict, code: str, sentence: str
) -> None:
    before = create(client)["environment"]["expires_at"]
    answer = olga.post(f"/api/v1/environments{path}", json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (422, code), answer.text
    assert sentence in answer.get_json()["detail"]
    shown = client.get("/api/v1/environments").get_json()["environments"]
    assert [(each["name"], each["expires_at"], each["protected_by"]) for each in shown] == [("cart", before, None)]


def test_a_viewer_may_look_at_the_plan_and_the_schedule_and_change_nothing(
    client: FlaskClient, olga: FlaskClient, stage: Stage
) -> None:
    create(client)
    vic = as_person(stage, "vic")
    assert vic.get("/api/v1/reaper/plan").get_json()["actions"] == []
    jobs = [job["job"] for job in vic.get("/api/v1/schedule").get_json()["jobs"]]
    assert jobs == ["reap", "branches", "sweep", "nightly"]
    for path in ("environments/cart/extensions", "environments/cart/hold", "environments/cart/protection"):
        refused = vic.post(f"/api/v1/{path}", json={})
        assert (refused.status_code, refused.get_json()["code"]) == (403, "role-too-low")
    assert vic.post("/api/v1/reaper/runs").status_code == 403


def test_a_run_is_begun_once_and_can_be_looked_at(client: FlaskClient, olga: FlaskClient) -> None:
    assert client.post("/api/v1/reaper/runs").get_json()["code"] == "role-too-low"
    begun = olga.post("/api/v1/reaper/runs")
    assert begun.status_code == 202
    run = olga.get(begun.headers["Location"]).get_json()
    assert (run["id"], run["result"], run["took_s"]) == (begun.get_json()["id"], "running", None)
    assert olga.get("/api/v1/schedule").get_json()["jobs"][0]["last"]["id"] == run["id"]
    missing = olga.get("/api/v1/reaper/runs?id=reap/2020-01-01T00:00:00Z")
    assert (missing.status_code, missing.get_json()["code"]) == (404, "run-unknown")
