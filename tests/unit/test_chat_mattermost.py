"""Mattermost's webhooks. The requests below have the shape that its documentation gives them; nothing here was recorded
from, or tried against, a real server."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.chat import webhook
from orchestrator.chat.base import Answer, Room, Undeliverable
from orchestrator.chat.mattermost import Mattermost, MattermostConfig
from orchestrator.chat.replies import Button, Reply, Tone
from orchestrator.domain.errors import Unavailable
from tests.chat.desks import EchoDesk
from tests.chat.webhook_leg import Seen

TOKEN = "xr3j5x3p4pfk7kk6ck7b4e6ghh"
ADA = "81ijckf5qiyi8xkzxbfmsf4m1h"
PATH = "/api/v1/chat/team/mattermost"

SLASH = {
    "channel_id": "jmrkf5mwr7dqmxmhd6p4ecaz5a", "channel_name": "shop-dev", "command": "/brine",
    "response_url": "http://mattermost.example.org/hooks/commands/xxx", "team_domain": "team",
    "team_id": "rdc9bgriktyx9p4kowh3dmgqyc", "text": "list environments", "token": TOKEN,
    "trigger_id": "ZWZ3OXRxOGhkcGR0ODM0:MTU0MTQ0", "user_id": ADA, "user_name": "ada",
}  # fmt: skip
OUTGOING = {
    "token": TOKEN, "team_id": "rdc9bgriktyx9p4kowh3dmgqyc", "team_domain": "team",
    "channel_id": "jmrkf5mwr7dqmxmhd6p4ecaz5a", "channel_name": "shop-dev", "timestamp": 1795000000000,
    "user_id": ADA, "user_name": "ada", "post_id": "zmsq4uj8sjgbpfj7gjqqyhzhbo", "text": "brine: list environments",
    "trigger_word": "brine", "file_ids": "",
}  # fmt: skip


class Incoming:
    """A stand-in for an incoming webhook: keeps what is posted; a channel that it does not know is 404."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        stand_in = self

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                post = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.posts.append(post)
                self.send_response(404 if post["channel"] == "nowhere" else 200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/xxx"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def wait(self) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while not self.posts:
            assert time.monotonic() < deadline, "nothing was posted"
            time.sleep(0.01)
        return self.posts[0]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Team:
    """The adapter with a desk, and a way to send it what Mattermost sends."""

    def __init__(self, **config: Any) -> None:
        self.incoming = Incoming()
        self.adapter = Mattermost(
            MattermostConfig(
                name="team", secret="a secret for the buttons", callback_url=self.incoming.url, tokens=[TOKEN],
                rooms={"shop-dev": "shop-dev"}, **config,
            ),
            Seen(),
        )  # fmt: skip
        self.desk = EchoDesk()
        self.adapter.start(self.desk)
        app = Flask("brinepool")
        app.register_blueprint(self.adapter.blueprint())
        self._client = app.test_client()

    def send(self, fields: dict[str, Any], path: str = PATH, form: bool = True) -> Any:
        body = urlencode(fields) if form else json.dumps(fields)
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        with self._client.post(path, data=body, content_type=kind) as answer:
            return answer

    def click(self, **clicked: Any) -> Any:
        sent = {"user_id": ADA, "user_name": "ada", "channel_name": "elsewhere", "trigger_id": "trigger-2", **clicked}
        return self.send(sent, f"{PATH}/click", form=False)

    def close(self) -> None:
        self.adapter.stop()
        self.incoming.close()


@pytest.fixture
def team() -> Iterator[Team]:
    team = Team(public_url="https://brinepool.example.org/")
    yield team
    team.close()


def test_a_slash_command(team: Team) -> None:
    answer = team.send(SLASH)
    assert answer.json == {"response_type": "in_channel", "text": "**You said: list environments**"}
    (incoming,) = team.desk.received
    assert (incoming.service, incoming.user, incoming.name) == ("team", ADA, "ada")
    assert (incoming.room, incoming.text) == (Room("shop-dev", "shop-dev"), "list environments")


@pytest.mark.parametrize("form", [True, False])
def test_an_outgoing_webhook(team: Team, form: bool) -> None:
    answer = team.send(OUTGOING, form=form)
    assert answer.json == {"text": "**You said: list environments**"}
    assert team.desk.received[0].message == OUTGOING["post_id"]


def test_between_two_people_everything_is_for_the_one_who_asked(team: Team) -> None:
    answer = team.send({**SLASH, "channel_name": f"{ADA}__{ADA}"})
    assert answer.json["response_type"] == "ephemeral"
    assert team.desk.received[0].room == Room(f"direct:{ADA}", direct=True)


def test_what_is_for_one_person_is_shown_to_them_alone(team: Team) -> None:
    team.desk.answer = lambda incoming: Answer(Reply(title="a code", private=True))
    assert team.send(SLASH).json == {"response_type": "ephemeral", "text": "**a code**"}
    assert team.send(OUTGOING).json == {}  # everybody would read it
    assert team.incoming.wait() == {"channel": "@ada", "text": "**a code**"}


@pytest.mark.parametrize("fields", [{}, {**SLASH, "token": ""}, {**SLASH, "token": "é" * 26}, {**SLASH, "token": 5}])
@pytest.mark.parametrize("form", [True, False])
def test_without_a_token_of_ours_nothing_is_done(team: Team, fields: dict[str, Any], form: bool) -> None:
    answer = team.send(fields, form=form)
    assert (answer.status_code, answer.json["code"]) == (401, "token-wrong")
    assert team.desk.received == []


@pytest.mark.parametrize("fields", [SLASH, OUTGOING])
def test_what_is_sent_twice_is_done_once(team: Team, fields: dict[str, Any]) -> None:
    assert team.send(fields).status_code == 200
    assert team.send(fields).status_code == 409
    assert len(team.desk.received) == 1


def test_what_is_malformed_is_refused(team: Team) -> None:
    answer = team.send({"token": TOKEN})
    assert (answer.status_code, answer.json["code"]) == (422, "message-invalid")
    assert team.send({**SLASH, "text": "x" * 70_000}).status_code == 413


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_nothing_that_is_sent_makes_it_fail(team: Team, body: bytes) -> None:
    for path in (PATH, f"{PATH}/click"):
        with team._client.post(path, data=body) as answer:
            assert answer.status_code in (401, 422)


def test_what_takes_longer_follows(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "ANSWER_S", 0.0)
    go_on = threading.Event()
    team.desk.answer = lambda incoming: Answer(Reply(title="done")) if go_on.wait(20) else None
    assert team.send(SLASH).json == {"response_type": "ephemeral", "text": "At work on it …"}
    go_on.set()
    assert team.incoming.wait() == {"channel": "shop-dev", "text": "**done**"}


def test_how_an_operation_ends_is_said_anew_with_the_name_of_who_asked(team: Team) -> None:
    team.send(SLASH)
    team.adapter.edit("shop-dev", "card", Reply(title="at work", tone=Tone.WORKING))
    team.adapter.edit("shop-dev", "card", Reply(title="ready", tone=Tone.GOOD, mention=(ADA, "somebody-unknown")))
    assert team.incoming.posts == [{"channel": "shop-dev", "text": "@ada **✔ ready**"}]


def test_who_never_wrote_cannot_be_written_to(team: Team) -> None:
    with pytest.raises(Undeliverable, match="learns who they are when they write"):
        team.adapter.post(team.adapter.direct(ADA), Reply(title="t"))
    with pytest.raises(Undeliverable):
        team.adapter.post("nowhere", Reply(title="t"))
    team.adapter.stop()
    with pytest.raises(Unavailable):
        team.adapter.post("shop-dev", Reply(title="t"))


# Buttons

QUESTION = Reply(
    title="Which?",
    options=(Button(label="main", command="create shop main", value="q1/1"),),
    buttons=(Button(label="Terminate", command="terminate cart-test", style="danger"),),
)


def test_buttons_are_drawn_and_a_click_is_the_same_as_typing(team: Team) -> None:
    team.desk.answer = lambda incoming: Answer(QUESTION if incoming.text.startswith("list") else Reply(title="done"))
    shown = team.send(SLASH).json
    assert shown["text"] == "**Which?**"
    option, button = shown["attachments"][0]["actions"]
    assert (option["name"], option["style"], button["style"]) == ("main", "default", "danger")
    assert option["integration"]["url"] == f"https://brinepool.example.org{PATH}/click"
    assert team.click(context=option["integration"]["context"]).json == {}
    assert team.click(context=button["integration"]["context"], trigger_id="trigger-3").json == {}
    assert team.desk.wait_for(3)
    clicked = {(incoming.answer, incoming.text, incoming.room.name) for incoming in team.desk.received[1:]}
    assert clicked == {("q1/1", "", "shop-dev"), ("", "terminate cart-test", "shop-dev")}  # not where the click says
    assert team.incoming.wait() == {"channel": "shop-dev", "text": "**done**"}


@pytest.mark.parametrize("change", [{"command": "terminate prod"}, {"answer": "q2/1"}, {"room": "x"}, {"seal": "é"}])
def test_a_button_that_we_did_not_make_is_refused(team: Team, change: dict[str, str]) -> None:
    team.desk.answer = lambda incoming: Answer(QUESTION)
    context = team.send(SLASH).json["attachments"][0]["actions"][1]["integration"]["context"]
    assert team.click(context={**context, **change}).status_code == 401
    assert team.click(context=context, trigger_id="").status_code == 422
    assert len(team.desk.received) == 1


def test_a_click_that_is_sent_twice_is_done_once(team: Team) -> None:
    team.desk.answer = lambda incoming: Answer(QUESTION)
    context = team.send(SLASH).json["attachments"][0]["actions"][1]["integration"]["context"]
    team.click(context=context)
    team.click(context=context)
    team.adapter.stop()
    assert len(team.desk.received) == 2


def test_without_a_public_address_the_choices_are_text() -> None:
    team = Team()
    team.desk.answer = lambda incoming: Answer(QUESTION)
    shown = team.send(SLASH).json
    team.close()
    assert shown["text"] == "**Which?**\n\n1. main\n* Terminate: `terminate cart-test`"
    assert "attachments" not in shown
