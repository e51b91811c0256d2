"""The plugin in Errbot's own test bot, with a stand-in for Brinepool that checks what it is sent.

They run where Errbot is installed: `pytest integrations/err-brinepool/tests`.
"""

# ruff: noqa: D102, D103, S101, S105

import hashlib
import hmac
import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from errbot import core_plugins

pytest_plugins = ["errbot.backends.test"]
extra_plugin_dir = str(Path(__file__).resolve().parents[1])
loglevel = logging.INFO

SECRET = "a secret that both sides know"


def signed(body, at=None, secret=SECRET):
    stamp = str(int(time.time() if at is None else at))
    return f"t={stamp},v1={hmac.new(secret.encode(), f'{stamp}.'.encode() + body, hashlib.sha256).hexdigest()}"


class Brinepool:
    """Answers with `status` and `answer`, and keeps what it was told."""

    def __init__(self):
        self.told = []
        self.status = 200
        self.answer = {"message": "01M8", "text": "There is no environment.", "reply": {"private": False}, "thread": ""}
        self.raw = None
        stand_in = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stamp = self.headers["Brinepool-Signature"].partition(",")[0][2:]
                assert self.headers["Brinepool-Signature"] == signed(body, stamp)
                assert abs(time.time() - int(stamp)) < 60
                assert self.path == "/api/v1/chat/errbot"
                stand_in.told.append(json.loads(body))
                found = stand_in.raw if stand_in.raw is not None else json.dumps(stand_in.answer).encode()
                self.send_response(stand_in.status)
                self.send_header("Content-Length", str(len(found) if stand_in.status != 204 else 0))
                self.end_headers()
                if stand_in.status != 204:
                    self.wfile.write(found)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def brinepool(monkeypatch):
    stand_in = Brinepool()
    monkeypatch.setenv("BRINE_URL", stand_in.url)
    monkeypatch.setenv("BRINE_CHAT_SECRET", SECRET)
    yield stand_in
    stand_in.close()


@pytest.fixture
def bot(brinepool, testbot):  # in this order: the plugin reads its environment when the bot starts
    return testbot


def plugin(bot):
    return bot.bot.plugin_manager.get_plugin_obj_by_name("Brinepool")


def update(**more):
    return json.dumps(
        {"delivery": f"d-{time.monotonic_ns()}", "kind": "post", "room": "testroom", "direct": "", "message": "01M8",
         "thread": "", "text": "cart-test is ready", "reply": {}, **more}
    ).encode()  # fmt: skip


def deliver(body, header=None):
    headers = {"Brinepool-Signature": signed(body) if header is None else header}
    return core_plugins.flask_app.test_client().post("/brinepool/updates", data=body, headers=headers).status_code


def test_a_command_is_handed_over_and_the_answer_said(bot, brinepool):
    bot.push_message("!brine create shop feature/cart")
    assert bot.pop_message() == "There is no environment."
    (told,) = brinepool.told
    assert len(told.pop("delivery")) == 36
    assert told == {
        "user": "gbin@localhost",
        "name": "gbin@localhost",
        "room": {"direct": True},
        "text": "create shop feature/cart",
        "bot": False,
    }


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("!brine", "help"),
        ("brine: list environments", "list environments"),
        ("Brine, list", "list"),
        ("!brine 2", "2"),
        ("!brine \x0304list\x0f \x02env\x02", "list env"),
    ],
)
def test_what_people_may_type(bot, brinepool, typed, text):
    bot.push_message(typed)
    bot.pop_message()
    assert brinepool.told[0]["text"] == text


def test_text_is_said_as_it_is_and_not_as_markdown(bot, brinepool):
    brinepool.answer["text"] = "a_b *c* <b>d</b> `e` [f](g) &lt;\n1. h\n- i\n# j\n~~~\n: k\n==="
    bot.push_message("!brine show cart-test")
    assert bot.pop_message().split() == brinepool.answer["text"].split()


def test_what_is_to_be_typed_is_said_as_it_is_typed_here(bot, brinepool):
    brinepool.answer["text"] = "? Which?\n1) main\nHelp (type: help create)"
    brinepool.answer["reply"] = {"options": [{}]}
    bot.push_message("!brine create shop")
    assert bot.pop_message().splitlines() == [
        "? Which?",
        "1) main",
        "Help (type: !brine help create)",
        "Answer with “!brine 1” or another number.",
    ]


def test_nothing_is_said_when_there_is_nothing_or_it_follows(bot, brinepool):
    for brinepool.status in (202, 204):
        bot.push_message("!brine list")
    bot.push_message("!echo done")
    assert bot.pop_message() == "done"


@pytest.mark.parametrize(
    ("status", "raw", "said"),
    [
        (409, b'{"detail": "This delivery was received before."}', "This delivery was received before."),
        (502, b"<html>", "What answers instead of Brinepool is something else. Tell whoever runs this bot."),
        (200, b"[]", "What answers instead of Brinepool is something else. Tell whoever runs this bot."),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(bot, brinepool, status, raw, said):
    brinepool.status, brinepool.raw = status, raw
    bot.push_message("!brine list")
    assert bot.pop_message() == said


def test_that_brinepool_is_away_is_said_in_a_sentence(bot, brinepool):
    plugin(bot).config["URL"] = "http://127.0.0.1:9"
    bot.push_message("!brine list")
    assert "cannot be reached" in bot.pop_message()


def test_an_update_is_said_in_its_room(bot):
    assert deliver(update()) == 204
    assert bot.pop_message() == "cart-test is ready"


def test_a_plugin_that_comes_after_the_first_request_is_reached_as_well(bot):
    bot.push_message("!plugin deactivate Brinepool")
    bot.pop_message()
    assert deliver(update()) == 503
    bot.push_message("!plugin activate Brinepool")
    assert "activated" in bot.pop_message()
    assert deliver(update()) == 204


def test_an_update_for_one_person_is_said_to_them(bot):
    assert deliver(update(room="direct:gbin@localhost", direct="gbin@localhost")) == 204
    assert bot.pop_message() == "cart-test is ready"


@pytest.mark.parametrize(
    ("body", "header", "status"),
    [
        (update(), "", 401),
        (update(), "t=1,v1=" + "0" * 64, 401),
        (update(), "t=1,v1=é", 401),
        (update(), "t=x,v1=", 401),
        (update(delivery="stale"), signed(update(delivery="stale"), 1_000_000), 401),
        (update(delivery="old"), signed(update(delivery="old"), time.time() - 200), 503),  # from before the bot started
        (update(room="elsewhere"), None, 404),
        (b"[]", None, 422),
        (b"{", None, 422),
        (update(text=7), None, 422),
        (update(reply=None), None, 422),
        (update(reply={"private": True}), None, 422),  # it is for one person, and this is a room
        (b"x" * 300_000, None, 413),
    ],
)
def test_an_update_that_is_not_taken(bot, body, header, status):
    assert deliver(body, header) == status
    bot.push_message("!echo done")
    assert bot.pop_message() == "done"


@pytest.mark.parametrize("secret", ["another secret, long enough", ""])
def test_an_update_that_somebody_else_signed_is_not_taken(bot, secret):
    body = update()
    assert deliver(body, signed(body, secret=secret)) == 401
    assert deliver(update(), signed(body)) == 401


def test_an_update_that_was_recorded_and_sent_again_is_not_taken(bot):
    body = update()
    assert [deliver(body), deliver(body)] == [204, 409]


def test_long_text_is_broken_between_lines(bot, monkeypatch):
    monkeypatch.setattr(type(plugin(bot)), "_limit", lambda self: 60)
    deliver(update(text="\n".join(["x" * 25] * 4 + ["word " * 30])))
    said = [bot.pop_message() for _ in range(5)]
    assert said[0].split() == ["x" * 25] * 2
    assert said[1].split() == ["x" * 25] * 2
    assert all(len(part) <= 60 for part in said)


def test_without_a_secret_it_is_not_activated(bot, monkeypatch):
    bot.push_message("!plugin deactivate Brinepool")
    bot.pop_message()
    monkeypatch.setenv("BRINE_CHAT_SECRET", "short")
    bot.push_message("!plugin activate Brinepool")
    assert "BRINE_CHAT_SECRET_FILE" in bot.pop_message()
    assert deliver(update()) == 503


@pytest.mark.parametrize(
    ("settings", "said"), [("{'SECERT': 'x'}", "There is no setting SECERT"), ("{'URL': 'ftp://x'}", "URL is where")]
)
def test_settings_that_make_no_sense_are_told(bot, settings, said):
    bot.push_message(f"!plugin config Brinepool {settings}")
    assert said in bot.pop_message()
