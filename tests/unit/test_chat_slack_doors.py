"""What Slack's requests must be like, and what becomes of the words in them."""

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from ruamel.yaml import YAML

from orchestrator.chat.slack.adapter import MAX_BODY, Slack
from orchestrator.chat.slack.api import SlackApi
from orchestrator.chat.slack.form import CREATE
from orchestrator.chat.slack.work import Backlog
from orchestrator.domain.errors import BadInput, Unavailable
from tests.chat.desks import EchoDesk
from tests.chat.slack_leg import MANIFEST, SlackLeg
from tests.fakes.slack import SIGNING_SECRET, signed
from tests.fakes.slack_server import BOT_TOKEN

PATH = "/chat/slack/events"
SLASH = {
    "command": "/brine", "text": "list", "user_id": "U0ADA", "channel_id": "C0SHOP", "trigger_id": "t1",
    "team_id": "T0HOME", "response_url": "http://127.0.0.1:9/",
}  # fmt: skip
BODY = urlencode(SLASH)


@pytest.fixture
def leg() -> Iterator[SlackLeg]:
    leg = SlackLeg("http", threads=1)  # so that what came first is heard first
    try:
        yield leg
    finally:
        leg.close()


@pytest.fixture
def desk(leg: SlackLeg) -> EchoDesk:
    desk = EchoDesk()
    leg.adapter.start(desk)
    assert leg.slack.wait(lambda: leg.adapter.problem() is None)
    return desk


@pytest.fixture
def door(leg: SlackLeg) -> FlaskClient:
    app = Flask("door")
    blueprint = leg.adapter.blueprint()
    assert blueprint is not None
    app.register_blueprint(blueprint)
    return app.test_client()


def send(door: FlaskClient, body: str = BODY, kind: str = "application/x-www-form-urlencoded", **headers: str) -> int:
    return door.post(PATH, data=body, headers=headers or signed(body), content_type=kind).status_code


def test_a_signed_request_is_taken(door: FlaskClient, desk: EchoDesk) -> None:
    assert send(door) == 200
    assert desk.wait_for(1)
    assert desk.received[0].message == "t1"


FORGED: dict[str, Callable[[], dict[str, str]]] = {
    "unsigned": lambda: {"X-None": "1"},
    "no signature": lambda: {"X-Slack-Request-Timestamp": str(int(time.time()))},
    "no time": lambda: {"X-Slack-Signature": signed(BODY)["X-Slack-Signature"]},
    "another secret": lambda: signed(BODY, secret="another secret"),
    "another body": lambda: signed(BODY + "&text=terminate"),
    "10 minutes old": lambda: signed(BODY, at=time.time() - 600),
    "10 minutes early": lambda: signed(BODY, at=time.time() + 600),
    "another time": lambda: {**signed(BODY), "X-Slack-Request-Timestamp": str(int(time.time()) - 1)},
    "no number": lambda: {**signed(BODY), "X-Slack-Request-Timestamp": "soon"},
    "a long number": lambda: {**signed(BODY), "X-Slack-Request-Timestamp": "9" * 5000},
    "not ASCII": lambda: {**signed(BODY), "X-Slack-Signature": "v0=\xe9"},
    "empty": lambda: {**signed(BODY), "X-Slack-Signature": ""},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_a_request_that_slack_did_not_sign_leaves_no_trace(
    door: FlaskClient,
    desk: EchoDesk,
    leg: SlackLeg,
    forged: Callable[[], dict[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    assert send(door, **forged()) == 401
    assert send(door, BODY + "&ssl_check=1", **forged()) == 401  # which bolt would answer before it verifies
    assert send(door, BODY + "&text=yes") == 200  # the next one is the first that is heard
    assert desk.wait_for(1)
    assert [one.text for one in desk.received] == ["yes"]
    assert caplog.messages == []


def test_a_request_that_is_sent_again_has_the_same_id(door: FlaskClient, desk: EchoDesk) -> None:
    headers = signed(BODY)
    assert send(door, **headers) == send(door, **headers) == 200
    assert desk.wait_for(2)
    assert len({one.message for one in desk.received}) == 1  # the desk ignores the second, and writes it down


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("{", "application/json"),
        ("[]", "application/json"),
        ("5", "application/json"),
        ("[" * 30_000, "application/json"),
        ("payload=%7B", "application/x-www-form-urlencoded"),
        ("payload=5", "application/x-www-form-urlencoded"),
        ('{"event": ', "text/plain"),
    ],
)
def test_what_makes_no_sense_is_refused(door: FlaskClient, desk: EchoDesk, body: str, kind: str) -> None:
    assert send(door, body, kind) == 400
    assert send(door, body, kind, **signed("x")) in (400, 401)
    assert desk.received == []


def test_what_is_too_large_is_not_even_read(door: FlaskClient, desk: EchoDesk) -> None:
    assert send(door, "text=" + "x" * MAX_BODY) == 413
    assert send(door, f"{BODY}&text={'x' * (MAX_BODY - 300)}") == 200
    assert desk.wait_for(1)


def test_only_post_is_answered_and_only_while_running(door: FlaskClient, leg: SlackLeg) -> None:
    assert door.get(PATH).status_code == 405
    assert send(door) == 503
    leg.adapter.start(EchoDesk())
    leg.adapter.stop()
    assert send(door) == 503


def test_slack_may_check_the_address(door: FlaskClient, desk: EchoDesk) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"})
    answer = door.post(PATH, data=body, headers=signed(body), content_type="application/json")
    assert answer.get_json() == {"challenge": "3eZbrw1a"}


def test_another_workspace_is_refused(door: FlaskClient, desk: EchoDesk) -> None:
    body = {key: value for key, value in SLASH.items() if key != "response_url"}
    assert send(door, urlencode({**body, "team_id": "T0OTHER"})) == 200
    assert send(door, urlencode({**SLASH, "trigger_id": "t2"})) == 200
    assert desk.wait_for(1)
    assert [one.message for one in desk.received] == ["t2"]


def test_with_socket_mode_alone_nothing_is_open() -> None:
    assert Slack(BOT_TOKEN, app_token="xapp-1").blueprint() is None


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ({"bot_token": "xapp-1", "app_token": "xoxb-1"}, "begins with xoxb-"),
        ({"bot_token": "xoxb-1", "app_token": "xoxb-1"}, "begins with xapp-"),
        ({"bot_token": "xoxb-1"}, "app token .* or the signing secret"),
        ({"bot_token": ""}, "begins with xoxb-"),
    ],
)
def test_tokens_that_cannot_be_right_are_refused(tokens: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Slack(**tokens)


def test_tokens_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "SLACK_SIGNING_SECRET",
        "SLACK_CLIENT_ID",
        "SLACK_CLIENT_SECRET",
    ):
        monkeypatch.setenv(name, "of somebody else")
    leg = SlackLeg("http")
    try:
        leg.adapter.start(desk := EchoDesk())
        leg.say("ada", "list")
        assert desk.wait_for(1)
    finally:
        leg.close()
    with pytest.raises(BadInput):
        Slack("", signing_secret=SIGNING_SECRET)


def test_talk_in_a_room_is_not_meant_for_us(door: FlaskClient, desk: EchoDesk) -> None:
    """Also when the app was made to be told of it."""
    for kind, where in (("message", "channel"), ("message", "mpim"), ("message", ""), ("reaction_added", "im")):
        event = {"type": kind, "channel_type": where, "text": "list", "user": "U0ADA", "channel": "C0SHOP", "ts": "1.1"}
        body = json.dumps({"type": "event_callback", "team_id": "T0HOME", "event": event})
        assert send(door, body, "application/json") == 200
    assert send(door) == 200
    assert desk.wait_for(1)
    assert [one.message for one in desk.received] == ["t1"]


def test_nobody_is_vouched_for_before_we_know_where_we_are(leg: SlackLeg) -> None:
    api = SlackApi(BOT_TOKEN, leg.slack.api)
    assert api.account("U0ADA").email == "ada@example.org"
    assert api.me.team == "T0HOME"


def test_the_manifests_are_for_this_app() -> None:
    socket, http = (YAML(typ="safe").load(MANIFEST.with_name(name)) for name in ("manifest.yaml", "manifest-http.yaml"))
    assert socket["features"]["slash_commands"][0]["command"] == "/brine"
    assert socket["features"]["shortcuts"][0]["callback_id"] == CREATE
    assert (socket["settings"]["socket_mode_enabled"], http["settings"]["socket_mode_enabled"]) == (True, False)
    urls = [
        http["features"]["slash_commands"][0].pop("url"),
        http["settings"]["event_subscriptions"].pop("request_url"),
        http["settings"]["interactivity"].pop("request_url"),
    ]
    assert urls == [f"https://brinepool.example.org{PATH}"] * 3
    assert http | {"settings": None} == socket | {"settings": None}
    assert http["settings"] | {"socket_mode_enabled": True} == socket["settings"]


# --- TLS


def test_certificates_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after another library turned that off for this process, as pepper does."""
    monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_unverified_context)
    api = SlackApi(BOT_TOKEN)
    assert api.tls.verify_mode is ssl.CERT_REQUIRED
    assert api.tls.check_hostname
    assert api.client("xapp-1", "https://slack.com/api/").ssl is api.tls
    with _self_signed(tmp_path) as port, pytest.raises(Unavailable) as refused:
        SlackApi(BOT_TOKEN, f"https://localhost:{port}/api/").introduce()
    assert "CERTIFICATE_VERIFY_FAILED" in refused.value.detail


class _self_signed:  # noqa: N801
    """An HTTPS server whose certificate nobody vouches for."""

    def __init__(self, folder: Path) -> None:
        key, certificate = _certificate()
        (folder / "both.pem").write_bytes(key + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "both.pem")
        self._server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._server.server_address[1])

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _certificate() -> tuple[bytes, bytes]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


# --- the backlog


def test_a_backlog_takes_so_much_and_no_more() -> None:
    backlog, free, done = Backlog("test", threads=1, waiting=2), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        free.wait(10)
        done.release()

    assert [backlog.take(work) for _ in range(4)] == [True, True, True, False]
    free.set()
    assert all(done.acquire(timeout=10) for _ in range(3))
    backlog.stop()
    backlog.stop()
    assert not backlog.take(work)
