"""Every error is a problem document: a status, a stable code, one sentence, and nothing private."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from orchestrator.domain.errors import BadInput, BrinepoolError, Conflict, NotAllowed, NotFound, Unavailable
from orchestrator.web.api import environments
from orchestrator.web.app import create_app
from tests.unit.doors import TOKEN, make_world


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    made = create_app(make_world(tmp_path)).test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return made


def problem(answer: TestResponse) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json"
    document = json.loads(answer.data)
    assert document["status"] == answer.status_code
    assert {"type", "title", "detail", "code"} <= set(document)
    assert "Traceback" not in answer.text
    return document


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadInput, 422), (NotFound, 404), (Conflict, 409), (NotAllowed, 403), (Unavailable, 503)],
)
def test_the_class_of_an_error_decides_the_status(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, error: type[BrinepoolError], status: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error("some-code", "A sentence.", detail="secret detail", status=200, nearest=["a"])

    monkeypatch.setattr(environments.commands, "show", refuse)
    answer = client.get("/api/v1/environments/cart")
    document = problem(answer)
    assert (answer.status_code, document["code"], document["detail"]) == (status, "some-code", "A sentence.")
    assert document["nearest"] == ["a"]
    assert "secret detail" not in answer.text


def test_our_own_mistake_is_an_id_for_the_person_and_a_trace_for_the_log(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret of the inside")

    monkeypatch.setattr(environments.commands, "show", stumble)
    with caplog.at_level(logging.ERROR):
        document = problem(client.get("/api/v1/environments/cart"))
    assert (document["status"], document["code"]) == (500, "internal-error")
    assert "secret of the inside" not in json.dumps(document)
    assert document["reference"] in document["detail"]
    assert document["reference"] in caplog.text
    assert "ZeroDivisionError: secret of the inside" in caplog.text


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "The field “template” is missing."),
        ({"tmplate": "shop"}, "There is no field “tmplate”; the fields are listed at /docs."),
        ({"template": "shop", "counts": {"web": "many"}}, "The field “counts.web” is wrong: input should be a valid"),
        ({"template": ""}, "The field “template” is wrong: string should have at least 1 character"),
        ([], "Send a JSON object in the body"),
    ],
)
def test_a_wrong_field_is_named_in_one_sentence(client: FlaskClient, body: object, sentence: str) -> None:
    document = problem(client.post("/api/v1/environments", json=body))
    assert (document["status"], document["code"]) == (422, "input-invalid")
    assert document["detail"].startswith(sentence)


def test_what_is_no_json_is_said_so(client: FlaskClient) -> None:
    document = problem(client.post("/api/v1/environments", data="template=shop"))
    assert document["detail"] == "Send a JSON object in the body, with Content-Type: application/json."


def test_every_wrong_field_is_listed(client: FlaskClient) -> None:
    document = problem(client.post("/api/v1/environments", json={"tmplate": "shop"}))
    assert [wrong["field"] for wrong in document["errors"]] == ["tmplate", "template"]


def test_a_wrong_query_and_a_wrong_header_are_named_too(client: FlaskClient) -> None:
    assert "“lines”" in problem(client.get("/api/v1/servers/cart-web-1/logs?lines=x"))["detail"]
    empty = client.post("/api/v1/environments", json={"template": "shop"}, headers={"Idempotency-Key": "k" * 201})
    assert "“Idempotency-Key”" in problem(empty)["detail"]


def test_an_unknown_path_or_method_is_said_so(client: FlaskClient) -> None:
    assert problem(client.get("/api/v2"))["code"] == "no-such-path"
    answer = client.put("/api/v1/environments")
    assert problem(answer)["code"] == "method-not-allowed"
    assert "POST" in answer.headers["Allow"]


def test_a_huge_body_is_refused(client: FlaskClient) -> None:
    answer = client.post("/api/v1/environments", json={"template": "x" * 100_000})
    assert problem(answer)["code"] == "too-large"


def test_a_missing_branch_carries_its_failure(client: FlaskClient) -> None:
    document = problem(
        client.post("/api/v1/environments", json={"template": "shop", "branches": {"web": "feature/crat"}})
    )
    assert (document["status"], document["code"]) == (422, "branch-missing")
    assert "feature/crat" in document["failure"]["title"]
    assert "feature/cart" in document["failure"]["explanation"]
