"""A whole Brinepool whose time a test moves, and what tests of the reaper look at."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

import sqlalchemy as sa
from dbos import DBOS

from orchestrator.bootstrap import Adapters, Brinepool
from orchestrator.chat.base import ChatAdapter
from orchestrator.chat.console import Console
from orchestrator.chat.replies import Reply
from orchestrator.commands import World, environments, reaper
from orchestrator.commands.views import EnvironmentView
from orchestrator.db.tables import job_runs
from orchestrator.domain.environment import Actor, Kind, Operation
from orchestrator.domain.people import SCHEDULER
from orchestrator.domain.reaping import Warned
from orchestrator.engine import notices
from orchestrator.engine.runtime import current
from orchestrator.engine.schedule import run_due
from orchestrator.ports import JobRun, Salt
from orchestrator.settings import Settings
from tests import programs
from tests.fakes.chat import MemoryChat
from tests.fakes.instant import Travelling

H, M, D = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)  # a Monday
OLGA = Actor("olga", "cli")
PATIENCE_S = 30.0
ACCESS = """\
unknown: nothing
people:
  ada: {role: developer, timezone: Europe/Berlin, identities: {memory: UA}}
  bob: {role: developer}
  olga: {role: ops, identities: {memory: UO}}
"""
TTL = "ttl: {default: 1d, max: 3d, extend: 1d, warn: [4h, 30m], failed: 12h, hold: 4h}"
SHOP = (
    programs.SHOP.replace("ttl: {default: 1d, max: 3d, extend: 1d}", TTL)
    .replace("description: Storefront", "description: Storefront\nnotify: shop-dev")
    .replace("configure: 20s", "configure: 1h")
)
assert "notify" in SHOP
assert TTL in SHOP


def make_site(folder: Path) -> Path:
    """A site in which ada has an account in the chat, and bob has none; `shop` tells the room shop-dev."""
    site = programs.make_site(folder)
    (site / "access.yaml").write_text(ACCESS)
    (site / "templates" / "shop.yaml").write_text(SHOP)
    return site


def settings_for(folder: Path, **more: object) -> Settings:
    """A check every five minutes, and a nightly run that none of them coincides with, so that its plan is whole."""
    chosen = {"timezone": "Europe/Berlin", "nightly_at": "03:07", "ops_room": "memory:lounge"}
    return programs.settings_for(folder, **{**chosen, **more})


@dataclass
class Stage:
    """A Brinepool, its clock and its chat. Whoever moves the clock calls `check`, as the scheduler would."""

    brinepool: Brinepool
    clock: Travelling
    chat: MemoryChat
    seen: list[int]  # up to which event notices were made

    @property
    def world(self) -> World:
        return self.brinepool.world

    def create(self, name: str = "cart", person: str = "ada", **asked: object) -> EnvironmentView:
        """A new environment of one server, unless asked for otherwise, that is ready or failed."""
        ask = programs.shop(name, **({"roles": ["api"]} | asked))
        accepted = environments.create(self.world, Actor(person, "cli"), ask)
        programs.ended(self.world, accepted)
        return environments.show(self.world, name)

    def alive(self) -> list[str]:
        return sorted(each.name for each in environments.list_all(self.world))

    def later(self, span: timedelta) -> dict[str, str]:
        """So much later, look once. → as `check`."""
        self.clock.forward(span)
        return self.check()

    def night(self) -> dict[str, str]:
        """The next nightly run, after the last check before it. → as `check`."""
        (job,) = (each for each in reaper.jobs(self.world) if each.job == "nightly")
        if (eve := job.next_at - 2 * M) > self.clock.now():
            self.clock.go(eve)
            self.check()
        self.clock.go(job.next_at)
        return self.check()

    def check(self) -> dict[str, str]:
        """What is due is done, and has ended. → what was done with which environment (`{"cart": "warn"}`).

        A dry run just before says the same. When a check and the nightly run are due together, one of them does it all
        and the other one finds nothing left to do.
        """
        now, before = self.clock.now(), self.plan()
        run_due(now)
        self.settle()
        plans = [actions(run) for run in self.begun(now)]
        assert before in plans, f"at {now} this was to be done: {before}, and this was done: {plans}"
        plans.remove(before)
        assert not [each for plan in plans for each in plan if each["kind"] != "keep"]
        return {each["environment"]: each["kind"] for each in before}

    def plan(self) -> list[dict[str, Any]]:
        """What a dry run says."""
        found = [each.model_dump(mode="json", exclude={"sentence"}) for each in reaper.plan(self.world).actions]
        return [{**each, "at": datetime.fromisoformat(each["at"])} for each in found]

    def why(self, name: str) -> str:
        """The reason of what the next run does with it."""
        return next(each["reason"] for each in self.plan() if each["environment"] == name)

    def settle(self) -> None:
        """Wait until nothing is at work; what a service that is down has not taken yet stays as it is."""
        if not self.chat.down:
            current().at_work.wait_until_idle(PATIENCE_S)  # which costs nothing, other than looking at rows
        until(self.world, lambda: not self._at_work(), says=self._at_work)

    def _at_work(self) -> list[str]:
        """What has not ended yet."""
        with self.world.store.transaction() as ledger:
            found = [run.id for run in ledger.reaper.open_runs()]
            found += [operation.id for operation in ledger.operations(active=True)]
            found += ["events"] if self.seen[-1] < ledger.newest_seq() else []
        if found or self.chat.down:
            return found
        return [f"{each.workflow_id} {each.status}" for each in DBOS.list_workflows(queues_only=True, load_input=False)]

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
        """Wait until something is so."""
        until(self.world, condition, seconds)

    def runs(self, *jobs: str) -> list[JobRun]:
        """The runs of these jobs, or of all, oldest first, without the mark that says since when a job is known."""
        return [run for run in all_runs(self.world) if run.result != {} and (not jobs or run.job in jobs)]

    def begun(self, moment: datetime) -> list[JobRun]:
        """The runs that warn and end, of those that began at that moment."""
        mine = (job_runs.c.started_at == moment) & job_runs.c.job.in_(["reap", "nightly"])
        return [run for run in all_runs(self.world, mine) if run.result != {}]

    def reapings(self, name: str | None = None) -> list[Operation]:
        """What the reaper began to terminate, oldest first."""
        with self.world.store.transaction() as ledger:
            found = [each for each in ledger.operations(limit=10_000) if each.kind is Kind.TERMINATE]
        mine = [each for each in found if each.actor.person == SCHEDULER]
        return [each for each in reversed(mine) if name in (None, each.request["asked"]["environment"])]

    def warnings(self) -> list[Warned]:
        """Those of the environments that are there."""
        with self.world.store.transaction() as ledger:
            return [each for those in ledger.reaper.warnings().values() for each in those]

    def titles(self, room: str = "C1", about: str = "") -> list[str]:
        """What the messages in a room begin with, oldest first."""
        return [message.now.title for message in self.chat.shown(room) if about in message.now.title]

    def reports(self, room: str = "C1") -> list[Reply]:
        """The nightly reports in a room."""
        return [message.now for message in self.chat.shown(room) if message.now.title.startswith("Last night")]


def actions(run: JobRun) -> list[dict[str, Any]]:
    """What a run has done."""
    plan = (run.result or {}).get("plan", [])
    return [{**each, "at": datetime.fromisoformat(each["at"])} for each in plan]


def until(
    world: World, condition: Callable[[], object], seconds: float = PATIENCE_S, says: Callable[[], object] = lambda: ""
) -> None:
    """Wait until something is so; whatever is written is a reason to look."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not within {seconds} s: {says()}"
        world.hub.wait(world.hub.count, 0.02)


def all_runs(world: World, *which: sa.ColumnElement[bool]) -> list[JobRun]:
    """Every run that is written down, or those of which all that is true, in the order of their due moments."""
    with world.store.engine.connect() as connection:  # type: ignore[attr-defined]
        rows = connection.execute(sa.select(job_runs).where(*which).order_by(job_runs.c.due_at)).all()
    return [JobRun(**row._mapping) for row in rows]


@contextmanager
def staged(
    settings: Settings, salt: Salt, clock: Travelling, chat: MemoryChat, adapters: Adapters | None = None
) -> Iterator[Stage]:
    """A Brinepool that has looked once, so that every job is known of. `adapters`: else the chat and the console."""

    def both(world: World) -> Sequence[ChatAdapter]:
        return [chat, Console(world.store, world.hub)]

    seen, dispatch = [0], notices.dispatch

    def dispatched(after: int) -> int:
        seen.append(dispatch(after))
        return seen[-1]

    with (
        mock.patch.object(notices, "dispatch", dispatched),
        programs.whole_brinepool(settings, salt, clock, adapters or both) as running,
    ):
        stage = Stage(running, clock, chat, seen)
        run_due(clock.now())
        stage.settle()
        yield stage
