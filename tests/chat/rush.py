"""A rush: 50 commands at once in Slack while 20 operations run on the fake Salt."""

from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bootstrap import Brinepool
from orchestrator.commands import operations
from tests import programs
from tests.chat.slack_leg import USERS, SlackLeg
from tests.fakes.salt import Durations
from tests.fakes.saltapi import FakeSaltApi
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_rules import readable

OPERATIONS = 20
COMMANDS = 50
LOUNGES = 10
SECONDS = 180.0
TEMPLATE = programs.roomy_shop(boot="2m", configure="2m")
ACCESS = """\
people:
  ada: {{role: developer, identities: {{slack: [{ada}]}}}}
  bob: {{role: developer, identities: {{slack: [{bob}]}}}}
"""


@dataclass(frozen=True)
class Rush:
    """What was seen. `acknowledged_s`: for each command, seconds until Slack had its acknowledgement. `violations`: of
    Slack's rules, rate limits among them, as the fake saw them. `cards`: what each live card showed, oldest first."""

    acknowledged_s: list[float]
    violations: list[str]
    cards: list[list[str]]
    running: int


@contextmanager
def scene(folder: Path) -> Iterator[tuple[Brinepool, SlackLeg]]:
    """A Brinepool over a slow fake Salt, and Slack in front of it over HTTP."""
    site = programs.make_site(folder / "site")
    (site / "templates" / "shop.yaml").write_text(TEMPLATE)
    (site / "access.yaml").write_text(ACCESS.format(ada=USERS["ada"], bob=USERS["bob"]))
    with ExitStack() as ending:
        api = ending.enter_context(FakeSaltApi())
        api.salt.branches.update(programs.BRANCHES)
        api.salt.durations = Durations(create=1.0, boot=1.0, state=1.0)
        leg = SlackLeg("http")
        ending.callback(leg.close)
        settings = programs.settings_for(folder, building_at_once=3 * OPERATIONS)
        running = ending.enter_context(
            programs.whole_brinepool(settings, api.connect(), adapters=lambda _: [leg.adapter])
        )
        yield running, leg


def rush(folder: Path) -> Rush:
    """Carry it out: each of the 20 teams has a room with the card of its create, and lists are asked for in others."""
    with scene(folder) as (running, leg):
        slack = leg.slack
        teams = [f"C0TEAM{number}" for number in range(OPERATIONS)]
        lounges = [f"C0LOUNGE{number}" for number in range(LOUNGES)]
        for room in (*teams, *lounges):
            slack.add_room(room, room.lower())
        for number, room in enumerate(teams):
            slack.slash(USERS["ada"], room, f"create shop as env{number}")
        slack.wait(lambda: _at_work(running) == OPERATIONS, SECONDS)
        said = [slack.slash_soon(USERS["bob"], lounges[number % LOUNGES], "jobs") for number in range(COMMANDS)]
        wait(said, SECONDS)
        at_work = _at_work(running)
        slack.wait(lambda: all(_outcome(slack, room) for room in teams), SECONDS)
        slack.wait(lambda: sum(len(slack.in_room(room)) for room in lounges) == COMMANDS, SECONDS)
        return Rush(
            [delivery.result().seconds for delivery in said],
            list(slack.violations),
            [[readable(blocks) for blocks in slack.in_room(room)[0].history] for room in teams],
            at_work,
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _at_work(running: Brinepool) -> int:
    return len(operations.list_all(running.world, active=True, limit=1000))


def _outcome(slack: FakeSlack, room: str) -> bool:
    """Whether the card of the room shows how it ended."""
    cards = slack.in_room(room)
    return bool(cards) and "is ready" in readable(cards[0].blocks)
