"""Requests in the name of a chat service that are refused before anybody knows what they say: each is in the audit."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from orchestrator.bootstrap import Brinepool
from orchestrator.chat.desk import REFUSALS_PER_HOUR
from orchestrator.chat.slack import Slack
from orchestrator.chat.webhook import BotConfig, Webhook
from orchestrator.domain import signature
from orchestrator.domain.conversation import Audit, Outcome
from orchestrator.web.app import create_app
from tests import programs
from tests.fakes.saltapi import FakeSaltApi

SECRET = "a secret that both sides know"
BODY = {"delivery": "delivery-1", "user": "U1", "room": {"id": "C1"}, "text": "help"}


@pytest.fixture
def brinepool(fake: FakeSaltApi, tmp_path: Path) -> Iterator[Brinepool]:
    seen: set[tuple[str, str]] = set()

    def first_time(service: str, delivery: str) -> bool:
        known = (service, delivery) in seen
        seen.add((service, delivery))
        return not known

    bot = Webhook(BotConfig(name="beacon", secret=SecretStr(SECRET)), first_time)
    slack = Slack("xoxb-1", signing_secret="s" * 20, url="http://127.0.0.1:9/api/")
    settings = programs.settings_for(tmp_path)
    with programs.whole_brinepool(settings, fake.connect(), adapters=lambda _: [bot, slack]) as running:
        yield running


@pytest.fixture
def client(brinepool: Brinepool) -> FlaskClient:
    return create_app(brinepool.world, brinepool.chats).test_client()


def newest(brinepool: Brinepool) -> Audit:
    with brinepool.world.store.transaction() as ledger:
        return ledger.chat.audits(None, 1)[0]


def signed(body: bytes, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    return {signature.HEADER: signature.sign(secret, body, at if at is not None else time.time())}


def post(client: FlaskClient, body: bytes, headers: dict[str, str], path: str = "/api/v1/chat/beacon") -> int:
    return client.post(path, data=body, headers=headers, content_type="application/json").status_code


GOOD = json.dumps(BODY).encode()


@pytest.mark.parametrize(
    ("body", "headers_for", "status", "code"),
    [
        (GOOD, lambda _: {}, 401, "signature-missing"),
        (GOOD, lambda body: signed(body, secret="another secret, and a wrong one"), 401, "signature-wrong"),
        (GOOD, lambda body: signed(body, at=time.time() - 600), 401, "signature-stale"),
        (GOOD + b" ", lambda _: signed(GOOD), 401, "signature-wrong"),
        (b"{}", signed, 422, "message-invalid"),
        (b"\x00\xff", signed, 422, "message-invalid"),
        (b"x" * 70_000, signed, 413, "too-large"),
    ],
    ids=["unsigned", "forged", "stale", "tampered", "empty", "garbage", "huge"],
)
def test_a_bad_request_is_refused_and_written_down(
    brinepool: Brinepool,
    client: FlaskClient,
    body: bytes,
    headers_for: Callable[[bytes], dict[str, str]],
    status: int,
    code: str,
) -> None:
    assert post(client, body, headers_for(body)) == status  # signed now: a signature is good for five minutes
    line = newest(brinepool)
    assert (line.outcome, line.code, line.door, line.account) == (Outcome.REFUSED, code, "chat:beacon", "beacon:?")
    assert line.reason


def test_a_replayed_request_is_refused_and_written_down(brinepool: Brinepool, client: FlaskClient) -> None:
    headers = signed(GOOD)
    assert post(client, GOOD, headers) == 200
    assert post(client, GOOD, headers) == 409
    assert newest(brinepool).code == "delivery-repeated"


def test_an_unsigned_request_in_slack_s_name_is_written_down(brinepool: Brinepool, client: FlaskClient) -> None:
    assert post(client, b"{}", {}, "/chat/slack/events") == 401
    assert (newest(brinepool).code, newest(brinepool).account) == ("signature-wrong", "slack:?")


def test_an_unknown_bot_learns_nothing_and_is_written_down(brinepool: Brinepool, client: FlaskClient) -> None:
    assert post(client, GOOD, signed(GOOD), "/api/v1/chat/nobody") == 404
    assert newest(brinepool).code == "bot-unknown"


def test_garbage_all_day_does_not_fill_the_audit(brinepool: Brinepool, client: FlaskClient) -> None:
    for _ in range(REFUSALS_PER_HOUR + 5):
        post(client, GOOD, {})
    with brinepool.world.store.transaction() as ledger:
        assert len(ledger.chat.audits(None, 1000)) == REFUSALS_PER_HOUR
