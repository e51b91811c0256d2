"""The main path of chat on the embedded stack, from the console and from Slack: create, watch, deploy, terminate.

Salt, its minions and the apps are real; Slack is the fake that enforces Slack's rules, over Socket Mode, which needs no
address of ours.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from orchestrator.embedded import stack as embedded
from tests.chat.leg import LOUNGE, SHOP, Shown
from tests.chat.slack_leg import SlackLeg
from tests.embedded import RunningStack, wait_for
from tests.fakes.slack_rules import readable
from tests.fakes.slack_server import APP_TOKEN, BOT_TOKEN

from .test_brinepool import answer, brine, of_role, page, traces

NO_BRANCH = "There is no branch “feature/crat”"
ADDRESS = re.compile(r"http://127\.[\d.]+:\d+")


@pytest.fixture
def console(stack: RunningStack) -> Iterator[Callable[..., str]]:
    """`brine chat` with one line, as a person's shell would run it → what it printed; it ends with code `ends`."""

    def say(line: str, ends: int = 0) -> str:
        done = brine(stack, "chat", line)
        assert (done.returncode, done.stderr) == (ends, ""), done.stdout + done.stderr
        return done.stdout

    yield say
    brine(stack, "env", "terminate", "talk", "--yes")


def test_the_whole_path_from_the_console(stack: RunningStack, console: Callable[..., str]) -> None:
    told = console("create shop feature/crat as talk", ends=2)
    assert NO_BRANCH in told
    assert "1  feature/cart" in told
    assert answer(stack, "env", "list")["environments"] == []
    assert not any(traces(stack, "talk").values())

    told = console("create shop feature/cart as talk")
    assert "api has no branch feature/cart and runs main." in told
    for phase in ("booting", r"configuring: \S+ \(\d+/\d+\)", "ready"):
        assert len(re.findall(rf"^ *[\d.]+ s  talk-web-[12]  {phase}$", told, re.MULTILINE)) >= 2, told
    assert "✔ talk is ready" in told
    assert len(set(ADDRESS.findall(told))) == 3

    assert "branches    api=main web=feature/cart" in console("show talk")
    webs = of_role(answer(stack, "env", "show", "talk"), "web")
    assert all("Add to cart" in page(web) for web in webs)
    assert "✔ talk runs shop-web/main" in console("deploy shop-web/main to talk")
    assert not any("Add to cart" in page(web) for web in webs)
    assert re.search("^✔ talk expires in (2d|1d 23h)", console("extend talk by 1d"))
    assert "✔ talk is gone" in console("terminate talk")
    assert not any(traces(stack, "talk").values()), traces(stack, "talk")


@dataclass(frozen=True)
class Slack:
    """A stack that listens to Slack, and the people there."""

    stack: RunningStack
    leg: SlackLeg

    def say(self, text: str, room: str = SHOP) -> None:
        self.leg.say("ada", text, room)

    def see(self, *words: str, room: str = SHOP) -> Shown:
        """Wait for a message with all these words. → it"""

        def found() -> Shown | None:
            told = self.leg.shown(room) if room else self.leg.shown_directly("ada")
            return next((one for one in told if all(word in one.text for word in words)), None)

        seen = wait_for(found)
        assert seen is not None
        return seen


@pytest.fixture
def slack(start_stack: Callable[..., RunningStack]) -> Iterator[Slack]:
    """A stack of its own, which has Slack in its settings; ada's account there is linked with a code."""
    leg = SlackLeg("socket")
    try:
        stack = start_stack(slack_bot_token=BOT_TOKEN, slack_app_token=APP_TOKEN, slack_url=leg.slack.api)
        told = Slack(stack, leg)
        code = re.search(r"link (\S+)", brine(stack, "chat", "link").stdout)
        assert code is not None
        told.say(f"link {code[1]}", room="")
        told.see("This account is admin's", room="")
        yield told
        embedded.down(stack.settings, stack.said.append)
    finally:
        leg.close()


def test_the_whole_path_from_slack(slack: Slack) -> None:
    leg = slack.leg
    slack.say("create shop feature/crat as talk")
    slack.see(NO_BRANCH)
    assert slack.stack.status().sandboxes == ()
    leg.pick("ada", "feature/cart")
    ready = slack.see("talk is ready", "feature/cart", "talk-web-2")
    assert len(set(ADDRESS.findall(ready.text))) == 3
    card = next(post for post in leg.slack.posts if post.ts == ready.id)
    shown = [readable(blocks) for blocks in card.history]
    assert "admin is creating talk" in shown[0]
    assert any("configuring" in text for text in shown)
    wait_for(lambda: any("ada" in one.mentions for one in leg.shown() if one.thread == ready.id))

    slack.say("show talk", LOUNGE)
    slack.see("work in #shop-dev only", room=LOUNGE)
    slack.say("deploy shop-web/main to talk")
    slack.see("talk runs shop-web/main")
    (web, other) = of_role(answer(slack.stack, "env", "show", "talk"), "web")
    assert "Add to cart" not in page(web) + page(other)
    leg.pick("ada", "Terminate")
    slack.see("talk is gone")
    assert not any(traces(slack.stack, "talk").values()), traces(slack.stack, "talk")
    assert (leg.slack.violations, leg.slack.shown_errors) == ([], [])
