"""Nothing answers without a token, except what is meant to."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from orchestrator.commands import operations
from orchestrator.web.app import create_app
from tests.unit.doors import TOKEN, make_world

OPEN = {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/swagger", "/docs/swagger/<path:filename>"}


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return create_app(make_world(tmp_path)).test_client()


def test_every_route_but_the_listed_ones_is_closed(client: FlaskClient) -> None:
    rules = [rule for rule in client.application.url_map.iter_rules() if rule.rule not in OPEN]
    closed = []
    for rule in rules:
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            path = rule.rule.replace("<name>", "cart").replace("<id>", "1").replace("<path:filename>", "x")
            answer = client.open(path, method=method, json={})
            closed.append((answer.status_code, rule.rule))
    assert len(closed) >= 20
    assert [rule for status, rule in closed if status != 401] == []


@pytest.mark.parametrize("path", sorted(OPEN - {"/docs/swagger/<path:filename>"}))
def test_what_is_open_answers_without_a_token(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code in (200, 302)


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/healthz/../api/v1/servers", "/docs/x", "/metrics"])
def test_a_path_that_is_not_there_does_not_say_so_without_a_token(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize(
    "sent", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ä"]
)
def test_every_wrong_token_gets_the_same_answer(client: FlaskClient, sent: str) -> None:
    answer = client.get("/api/v1/servers", headers={"Authorization": sent})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.data == client.get("/api/v1/servers").data


def test_the_person_and_the_door_are_written_down(client: FlaskClient) -> None:
    for agent, name in (("brine/1", "one"), ("curl/8", "two")):
        headers = {"Authorization": f"bearer {TOKEN}", "User-Agent": agent}
        answer = client.post("/api/v1/environments", json={"template": "shop", "name": name}, headers=headers)
        assert answer.status_code == 202
    world = client.application.extensions["brinepool"][0]
    made = {each.environment: (each.actor, each.door) for each in operations.list_all(world)}
    assert made == {"one": ("ada", "cli"), "two": ("ada", "api")}
