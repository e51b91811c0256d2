"""Slack for the contract suite: the adapter with the fake Slack, over HTTP as well as over Socket Mode."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from flask import Flask
from ruamel.yaml import YAML
from waitress import wasyncore
from waitress.server import create_server

from orchestrator.chat.slack import Patience, Slack
from tests.chat.leg import LOUNGE, PEOPLE, SHOP, Leg, Shown
from tests.fakes.slack import SIGNING_SECRET, FakeSlack
from tests.fakes.slack_rules import readable
from tests.fakes.slack_server import APP_TOKEN, BOT_TOKEN, Posted

USERS = {"ada": "U0ADA", "bob": "U0BOB", "eve": "U0EVE"}
ROOMS = {SHOP: "C0SHOP", LOUNGE: "C0LOUNGE"}
IMPATIENT = Patience(first=0.1, longest=0.4, check=0.5, ping=0.5)
TEMPLATES = {"shop": "Storefront: one API and the web servers in front of it", "solo": ""}


MANIFEST = Path(__file__).parents[2] / "integrations" / "slack" / "manifest.yaml"


def no_templates() -> Mapping[str, str]:
    return {}


def scopes() -> set[str]:
    """What the manifest that people paste asks for."""
    return set(YAML(typ="safe").load(MANIFEST)["oauth_config"]["scopes"]["bot"])


class WebDoor:
    """The adapter's paths on a port of their own, served as Brinepool serves them."""

    def __init__(self, slack: Slack, threads: int = 16) -> None:
        app = Flask("door")
        blueprint = slack.blueprint()
        assert blueprint is not None
        app.register_blueprint(blueprint)
        self._sockets: dict[int, Any] = {}
        self._server = create_server(app, map=self._sockets, host="127.0.0.1", port=0, threads=threads)
        self.url = f"http://127.0.0.1:{self._server.effective_port}/chat/slack/events"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web-door")
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            wasyncore.loop(timeout=0.05, use_poll=True, map=self._sockets, count=1)
        self._server.task_dispatcher.shutdown(timeout=5)
        wasyncore.close_all(self._sockets)

    def close(self) -> None:
        self._ending.set()
        self._thread.join()


class SlackLeg(Leg):
    """`mode`: how Slack reaches us."""

    def __init__(self, mode: Literal["http", "socket"] = "http", **options: Any) -> None:
        self.mode = mode
        self.slack = FakeSlack()
        self.slack.__enter__()
        for person in PEOPLE:
            self.slack.add_user(USERS[person], person, f"{person}@example.org")
            self.slack.direct(USERS[person])
        self.slack.scopes = scopes()
        self.slack.add_user("U0ROBOT", "robot", "", is_bot=True)
        for name, room in ROOMS.items():
            self.slack.add_room(room, name)
        token = {"signing_secret": SIGNING_SECRET} if mode == "http" else {"app_token": APP_TOKEN}
        options = {"templates": lambda: TEMPLATES, "url": self.slack.api, "patience": IMPATIENT, **options}
        self.adapter: Slack = Slack(BOT_TOKEN, **token, **options)
        self._door = WebDoor(self.adapter) if mode == "http" else None
        if self._door:
            self.slack.call_at(self._door.url)

    def user(self, person: str) -> str:
        return USERS[person]

    def say(self, person: str, text: str, room: str = SHOP) -> None:
        self.slack.say(USERS[person], self._id(person, room), text)

    def overhear(self, person: str, text: str, room: str = SHOP) -> None:
        self.slack.say(USERS[person], ROOMS[room], text, mention=False)

    def shown(self, room: str = SHOP) -> list[Shown]:
        return [_shown(post) for post in self.slack.in_room(ROOMS[room])]

    def shown_directly(self, person: str) -> list[Shown]:
        user = USERS[person]
        ours = self.slack.in_room(self.slack.direct(user)) + [post for post in self.slack.posts if post.only == user]
        return [_shown(post) for post in sorted(ours, key=self.slack.posts.index)]

    def pick(self, person: str, label: str, room: str = SHOP) -> None:
        where = self._id(person, room)
        seen = [post for post in self.slack.posts if post.room == where and post.only in ("", USERS[person])]
        post = next(post for post in reversed(seen) if post.button(label))
        self.slack.click(USERS[person], post, label)

    def say_as_bot(self, text: str, room: str = SHOP) -> bool:
        self.slack.say("U0ROBOT", ROOMS[room], text, bot=True)
        return True

    def edit_last(self, person: str, text: str, room: str = SHOP) -> bool:
        where = self._id(person, room)
        theirs = [post for post in self.slack.posts if post.user == USERS[person] and post.room == where]
        self.slack.edit(theirs[-1].ts, text)
        return True

    def repeat_last(self) -> bool:
        self.slack.repeat()
        return True

    def go_down(self) -> bool:
        self.slack.vanish()
        return True

    def come_back(self) -> None:
        self.slack.listen()

    def close(self) -> None:
        self.adapter.stop()
        if self._door:
            self._door.close()
        self.slack.__exit__()

    def _id(self, person: str, room: str) -> str:
        return ROOMS[room] if room else self.slack.direct(USERS[person])


def _shown(post: Posted) -> Shown:
    people = {user: person for person, user in USERS.items()}
    notified = tuple(people[user] for user in post.notified if user in people)
    return Shown(post.ts, readable(post.blocks) or post.text, post.thread, post.edits, notified)
