"""The Slack adapter at work, for tests of it alone: a leg, and a desk that says what a test tells it to."""

import threading
from typing import Any

from orchestrator.chat.base import Answer, Incoming
from orchestrator.chat.replies import Reply
from tests.chat.desks import EchoDesk
from tests.chat.slack_leg import SlackLeg
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_server import Posted

ADA, BOB, SHOP = "U0ADA", "U0BOB", "C0SHOP"


class Stage:
    """A leg that has started, and a desk that a test tells what to say."""

    def __init__(self, mode: Any, **options: Any) -> None:
        self.leg = SlackLeg(mode, **{"threads": 1, **options})  # so that what came first is heard first
        self.slack: FakeSlack = self.leg.slack
        self.adapter = self.leg.adapter
        self.desk = EchoDesk()

    def start(self) -> "Stage":
        self.adapter.start(self.desk)
        assert self.slack.wait(self.ready)
        return self

    def ready(self) -> bool:
        return self.adapter.problem() is None

    def ours(self, count: int = 1, room: str = SHOP) -> list[Posted]:
        """What we said in a room, once it is so much."""
        assert self.slack.wait(lambda: len(self.slack.in_room(room)) >= count), self.slack.posts
        return self.slack.in_room(room)

    def whispered(self, user: str, count: int = 1) -> list[str]:
        """What only one person saw."""
        assert self.slack.wait(lambda: len([post for post in self.slack.posts if post.only == user]) >= count)
        return [post.text for post in self.slack.posts if post.only == user]

    def heard(self, count: int = 1) -> list[Incoming]:
        assert self.desk.wait_for(count), self.desk.received
        return self.desk.received

    def busy(self, free: threading.Event, seconds: float) -> None:
        """Let the desk take so long, until `free` is set, and then say nothing."""

        def answer(incoming: Incoming) -> None:
            free.wait(seconds)

        self.desk.answer = answer

    def answers(self, **reply: Any) -> None:
        self.desk.answer = lambda incoming: Answer(Reply(**reply))
