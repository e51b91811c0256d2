"""A month of an imaginary team through the whole program: real commands, engine, database and chat, one clock that the
test moves, and a Salt that does everything at once.

50 people, 400 environments, two nights without Brinepool, the end of summer time, a chat that is down for a day. What
is expected is worked out here from what people did; of what the program says of itself only its warnings are believed,
and those are looked for in the chat. (test_domain_reaping_month.py is a month of the planner alone.)
"""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from orchestrator.chat.base import Abilities
from orchestrator.chat.console import Console
from orchestrator.chat.replies import Reply
from orchestrator.commands import environments, reaper
from orchestrator.commands.views import CreateEnvironment, Deploy, HoldEnvironment, ProtectEnvironment, Terminate
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import BadInput
from orchestrator.domain.reaping import Warned
from orchestrator.engine import schedule
from tests import programs
from tests.fakes.chat import LOUNGE, MemoryChat
from tests.fakes.instant import InstantSalt, Travelling
from tests.unit.reaper_stage import OLGA, D, H, M, Stage, all_runs, settings_for, staged

# Two minutes of computing, which a machine with much else to do takes long for.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PEOPLE, ENVIRONMENTS = 50, 400
BEGIN, END = datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC)  # the clocks change on 25 October
DOWN = (datetime(2026, 10, 13, 18, 30, tzinfo=UTC), datetime(2026, 10, 15, 7, tzinfo=UTC))  # two nights
MUTE = (datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 10, 21, tzinfo=UTC))
BRANCH_GOES = datetime(2026, 10, 28, 9, 30, tzinfo=UTC)
LOOK = 2 * H
LONGEST, STEP, HELD, FAILED, WARN, LAST = 4 * D, D, 6 * H, 18 * H, 8 * H, 2 * H
TEAM = """\
name: team
ttl: {default: 1d, max: 4d, extend: 1d, warn: [8h, 2h], failed: 18h, hold: 6h}
limits: {per_person: 100, total: 400}
roles:
  app:
    app: team-app
    repository: https://git.example.org/team/app.git
    profile: small
    run: ./serve
    port: 8000
"""
WISHES = ["extend"] * 3 + ["morning", "deploy", "hold"] * 2 + ["protect", "open"] * 3 + ["terminate"]
SETTINGS = {
    "nightly_at": "02:30", "reap_every": "2h", "branches_every": "12h", "sweep_every": "12h", "retention": "365d",
}  # fmt: skip


class Listening(MemoryChat):
    """A chat that also remembers when, by the test's clock, each warning was posted."""

    def __init__(self, clock: Travelling) -> None:
        super().__init__()
        self.warned: set[tuple[str, str, datetime]] = set()  # room, environment, moment
        self._clock = clock

    def post(self, room: str, reply: Reply, thread: str = "") -> str:
        message = super().post(room, reply, thread)
        note(self.warned, room, reply, self._clock)
        return message


class Terminal(Console):
    """The console, which remembers the same and is read at once."""

    abilities = Abilities(mentions=False, interval_s=0.0)
    heard: "set[tuple[str, str, datetime]]"
    clock: Travelling

    def post(self, room: str, reply: Reply, thread: str = "") -> str:
        message = super().post(room, reply, thread)
        note(self.heard, room, reply, self.clock)
        return message


def note(heard: set[tuple[str, str, datetime]], room: str, reply: Reply, clock: Travelling) -> None:
    for words in (" ends in ", " is due to end"):
        name, found, _ = reply.title.partition(words)
        if found:
            heard.add((room, name, clock.now()))


@dataclass
class Life:
    """What people did with one environment."""

    name: str
    owner: str
    created: datetime
    expires: datetime
    branch: str
    touched: datetime
    failed: bool = False
    extended: datetime | None = None
    keepers: list[tuple[datetime, datetime | None]] = field(default_factory=list)  # since, until
    warned: Sequence[Warned] = ()  # as it stood right before the last look
    ended: datetime | None = None
    action: dict[str, Any] | None = None  # the reaper's, when it was that

    def due(self, cause: str) -> datetime:
        """When that cause makes it due."""
        match cause:
            case "expired":
                return self.expires
            case "failed":
                assert self.failed
                return self.touched + FAILED
            case "branch-gone":
                assert self.branch == "feature/cart"
                assert not self.extended or self.extended < noticed()
                return noticed() + WARN
        raise AssertionError(f"nothing should end because of {cause}")

    def kept_until(self, due: datetime) -> datetime | None:
        """From when on nothing keeps it any more that is due then; None: it is kept without end."""
        for _, until in self.keepers:
            if until is None:
                return None
            due = max(due, until)
        return due

    def is_kept(self, now: datetime) -> bool:
        return any(until is None or until > now for _, until in self.keepers)

    def is_held(self, now: datetime) -> bool:
        """For debugging; nobody protects anything for so short a time."""
        return any(until is not None and now < until <= since + HELD for since, until in self.keepers)

    @property
    def room(self) -> str:
        """Where its owner is told: the last ten people have no account."""
        number = int(self.owner.removeprefix("person-"))
        return f"D-U{number}" if number < PEOPLE - 10 else self.owner


def looks() -> list[datetime]:
    """When Brinepool looks: every two hours, and at half past two in Berlin, while it is there."""
    hours = [BEGIN + LOOK * number for number in range(1, (END - BEGIN) // LOOK + 1)]
    nights = [BEGIN + D * day + (M * 30 if day < 21 else M * 90) for day in range(31)]
    after = [] if DOWN[1] in hours else [DOWN[1]]
    return sorted(each for each in hours + nights + after if not DOWN[0] <= each < DOWN[1])


LOOKS = looks()


def first_look(moment: datetime) -> datetime:
    return next((each for each in LOOKS if each >= moment), END + LOOK)


def noticed() -> datetime:
    """When the branch was missed for the second time."""
    return [each for each in LOOKS if each > BRANCH_GOES and each.hour % 12 == 0 and each.minute == 0][1]


class Month:
    """The team. What people do is random, and the same each time."""

    def __init__(self, folder: Path) -> None:
        self.random = Random(4)  # noqa: S311
        self.clock = Travelling(BEGIN)
        self.chat = Listening(self.clock)
        self.salt = InstantSalt({("team", "app"): ("main", "feature/cart")}, states=("build",))
        self.settings = settings_for(folder, **SETTINGS)
        self.lives: dict[str, Life] = {}
        self.did: Counter[str] = Counter()
        self.stage: Stage
        births = sorted(BEGIN + M * self.random.randrange(28 * D // M) for _ in range(ENVIRONMENTS))
        self._to_come = [(when, number) for number, when in enumerate(births)]

    @contextmanager
    def up(self) -> Iterator[None]:
        """Brinepool, until it is stopped."""

        def adapters(world: Any) -> list[Any]:
            terminal = Terminal(world.store, world.hub)
            terminal.heard, terminal.clock = self.chat.warned, self.clock
            return [self.chat, terminal]

        with staged(self.settings, self.salt, self.clock, self.chat, adapters) as self.stage:
            yield

    def run(self) -> "Month":
        before, after = [each for each in LOOKS if each < DOWN[0]], [each for each in LOOKS if each >= DOWN[1]]
        with self.up():
            for now in before:
                self._look(now)
        self.clock.go(after[0])
        self._remember()  # nothing, but what was there is looked at while nobody else is
        with self.up():
            self._looked()
            for now in after[1:]:
                self._look(now)
            self.runs = all_runs(self.stage.world)
            self.left = set(self.stage.alive())
        return self

    def _look(self, now: datetime) -> None:
        while self._to_come and self._to_come[0][0] <= now:
            birth, number = self._to_come.pop(0)
            self._create(number, self.clock.go(max(birth, self.clock.now())))
        self.clock.go(now)
        self.chat.down = MUTE[0] <= now < MUTE[1]
        self.stage.settle()
        if now > BRANCH_GOES:
            self.salt.branches_of["team", "app"] = ("main",)
        self._people(now)
        self._remember()
        self.stage.check()
        self._looked()

    def _remember(self) -> None:
        with self.stage.world.store.transaction() as ledger:
            warnings = ledger.reaper.warnings()
            for each in ledger.environments():
                self.lives[each.name].warned = warnings.get(each.id, ())

    def _looked(self) -> None:
        """Write down what the runs of this moment ended."""
        now = self.clock.now()
        for run in self.stage.begun(now):
            for action in (run.result or {}).get("plan", []):
                if action["kind"] == "reap":
                    life = self.lives[action["environment"]]
                    assert life.ended is None, f"{life.name} ended twice"
                    life.ended, life.action = now, {**action, "at": datetime.fromisoformat(action["at"])}

    # People

    def _people(self, now: datetime) -> None:
        if now == noticed() + 2 * LOOK:  # they were warned, and the branches are not looked at again before the end
            self._save(now)
        for life in [each for each in self.lives.values() if each.ended is None]:
            held = life.is_held(now)
            if self.random.random() < (0.2 if held else 0.024):
                wish = "release" if held else self.random.choice(WISHES)
                if getattr(self, f"_{wish}")(life, now):
                    self.did[wish] += 1

    def _save(self, now: datetime) -> None:
        """Of those whose branch is gone, every fourth gets another one, and every fourth is extended."""
        theirs = [life for life in self.lives.values() if life.branch == "feature/cart" and life.ended is None]
        doomed = [life for life in theirs if life.expires > noticed() + WARN]
        self.did["saved"] += sum(self._deploy(life, now) for life in doomed[::4])
        self.did["saved so"] += sum(self._extend(life, now) for life in doomed[1::4])

    def _create(self, number: int, now: datetime) -> None:
        owner = f"person-{int(self.random.random() ** 2 * PEOPLE)}"
        ttl = self.random.choice([4 * H, D, 2 * D, 3 * D])
        branch = self.random.choice(["main"] + ["feature/cart"] * 3) if now < BRANCH_GOES else "main"
        life = Life(f"env-{number}", owner, now, now + ttl, branch, now, failed=self.random.random() < 0.15)
        if life.failed:
            self.salt.sick.add(f"{life.name}-app-1")
        ask = CreateEnvironment(template="team", name=life.name, branches={"app": branch}, ttl=f"{ttl // H}h")
        environments.create(self.stage.world, Actor(owner, "cli"), ask)
        self.stage.settle()
        self.lives[life.name] = life
        if number % 40 == 7:
            self._protected(life, now, None)

    def _extend(self, life: Life, now: datetime) -> bool:
        """By the template's step, in the chat, unless that is too long."""
        later = max(life.expires, now) + STEP
        return self._extended(life, now, f"extend {life.name}", later)

    def _morning(self, life: Life, now: datetime) -> bool:
        tomorrow = (now + 2 * H).date() if now < datetime(2026, 10, 25, 1, tzinfo=UTC) else (now + H).date()
        hour = 7 if tomorrow < datetime(2026, 10, 24, tzinfo=UTC).date() else 8
        later = datetime(tomorrow.year, tomorrow.month, tomorrow.day, hour, tzinfo=UTC) + D
        return self._extended(life, now, f"extend {life.name} until tomorrow 09:00", later)

    def _extended(self, life: Life, now: datetime, words: str, later: datetime) -> bool:
        number = int(life.owner.removeprefix("person-"))
        if self.chat.down or number >= PEOPLE - 10:
            return False
        self.chat.directly(f"U{number}", words)
        allowed = life.expires < later <= life.created + LONGEST
        if allowed:
            life.expires, life.extended, life.touched = later, now, now
        shown = environments.show(self.stage.world, life.name).expires_at
        assert shown == life.expires, f"{words} at {now} gave {shown} and not {life.expires}"
        return allowed

    def _deploy(self, life: Life, now: datetime) -> bool:
        self.salt.sick.discard(f"{life.name}-app-1")
        environments.deploy(self.stage.world, Actor("person-1", "api"), life.name, Deploy(what="main"))
        self.stage.settle()
        life.failed, life.touched, life.branch = False, now, "main"
        return True

    def _hold(self, life: Life, now: datetime) -> bool:
        if any(until is not None and until > now for _, until in life.keepers):
            return False
        if now >= life.created + LONGEST + HELD:  # long enough, even if somebody else keeps it
            with pytest.raises(BadInput, match="as long as its template allows"):
                reaper.hold(self.stage.world, Actor(life.owner, "cli"), life.name, HoldEnvironment())
            return False
        reaper.hold(self.stage.world, Actor(life.owner, "cli"), life.name, HoldEnvironment())
        life.keepers.append((now, min(now, life.created + LONGEST) + HELD))
        return True

    def _release(self, life: Life, now: datetime) -> bool:
        reaper.release(self.stage.world, Actor(life.owner, "cli"), life.name)
        life.keepers = [(since, now if until and until > now else until) for since, until in life.keepers]
        return True

    def _protect(self, life: Life, now: datetime) -> bool:
        if life.is_kept(now):
            return False
        self._protected(life, now, self.random.choice([9 * H, D, 2 * D]))
        return True

    def _open(self, life: Life, now: datetime) -> bool:
        """What was protected without end is not any more; half of them stay."""
        endless = next((each for each in life.keepers if each[1] is None), None)
        if endless is None or int(life.name.removeprefix("env-")) % 80 == 7:
            return False
        reaper.unprotect(self.stage.world, OLGA, life.name)
        life.keepers[life.keepers.index(endless)] = (endless[0], now)
        return True

    def _terminate(self, life: Life, now: datetime) -> bool:
        if life.is_kept(now):
            return False
        environments.terminate(self.stage.world, Actor(life.owner, "cli"), life.name, Terminate())
        self.stage.settle()
        life.ended = now
        return True

    def _protected(self, life: Life, now: datetime, span: timedelta | None) -> None:
        ask = ProtectEnvironment.model_validate({"for": f"{span // H}h"} if span else {})
        reaper.protect(self.stage.world, OLGA, life.name, ask)
        life.keepers.append((now, now + span if span else None))


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    folder = tmp_path_factory.mktemp("month")
    site = programs.make_site(folder / "site")
    (site / "templates" / "shop.yaml").unlink()
    (site / "templates" / "team.yaml").write_text(TEAM)
    people = [f"  person-{n}: {{role: developer, timezone: Europe/Berlin, identities: {{memory: U{n}}}}}"
              if n < PEOPLE - 10 else f"  person-{n}: {{role: developer}}" for n in range(PEOPLE)]  # fmt: skip
    (site / "access.yaml").write_text("\n".join(["people:", "  olga: {role: ops}", *people, ""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "TICK_S", 86_400)  # only the test looks
        patch.setattr("orchestrator.engine.notices.POLL_S", 0.05)
        patch.setattr("orchestrator.chat.courier.LONGEST_PAUSE_S", 0.1)
        gc.freeze()  # the modules of the whole test run are not looked through again and again
        try:
            return Month(folder).run()
        finally:
            gc.unfreeze()


def reaped(month: Month) -> list[tuple[Life, dict[str, Any], datetime]]:
    return [(life, life.action, life.ended) for life in month.lives.values() if life.action and life.ended]


def sent(life: Life, action: dict[str, Any]) -> list[Warned]:
    """The warnings about what it ended for."""
    return [each for each in life.warned if (each.cause, each.due_at) == (action["cause"], action["at"])]


def told(life: Life, action: dict[str, Any]) -> list[Warned]:
    """Those of them that have arrived."""
    return [each for each in sent(life, action) if each.delivered_at]


def hard_maximum(life: Life) -> datetime:
    return max(life.created + LONGEST, life.expires)


def much_happened(month: Month) -> None:
    causes = Counter(action["cause"] for _, action, _ in reaped(month))
    assert len(month.lives) == ENVIRONMENTS
    assert causes["expired"] > 200, causes
    assert causes["failed"] > 10, causes
    assert causes["branch-gone"] > 1, causes
    assert all(month.did[wish] > 1 for wish in {*WISHES, "release", "saved", "saved so"}), month.did


def everything_ends_for_a_cause_that_is_true_and_at_its_time(month: Month) -> None:
    for life, action, when in reaped(month):
        due = life.kept_until(life.due(action["cause"]))
        assert due is not None
        assert action["at"] == due
        assert due <= when


def nothing_goes_that_is_kept(month: Month) -> None:
    for life, _, when in reaped(month):
        assert not life.is_kept(when), f"{life.name} went at {when}"


def everything_ends_within_one_look_of_what_policy_says(month: Month) -> None:
    for life, action, when in reaped(month):
        warned = told(life, action) or sent(life, action)  # one that never arrived counts from the hard maximum on
        since = min(each.delivered_at or each.at for each in warned)
        due = action["at"] if since <= action["at"] - LAST / 2 else since + LAST
        if not told(life, action):
            due = max(due, hard_maximum(life))
        assert when <= first_look(due), f"{life.name} was due at {due} and went at {when}"


def every_end_has_a_warning_before_it_that_its_owner_got(month: Month) -> None:
    unheard = []
    for life, action, when in reaped(month):
        arrived = [each.delivered_at for each in told(life, action) if each.delivered_at]
        if not arrived:
            unheard.append((life, when))
            continue
        assert min(arrived) <= when - min(LAST / 2, (action["at"] - life.created) / 2), life
        assert all((life.room, life.name, each) in month.chat.warned for each in arrived), life
    assert all(MUTE[0] <= when < MUTE[1] and hard_maximum(life) <= when for life, when in unheard)
    assert len(unheard) < 5


def warnings_that_waited_for_the_chat_kept_what_they_were_about(month: Month) -> None:
    late = [life for life, action, when in reaped(month)
            if any(each.at < MUTE[1] <= (each.delivered_at or each.at) for each in told(life, action))]  # fmt: skip
    assert len(late) > 3
    assert all(life.ended and life.ended >= MUTE[1] + LAST / 2 for life in late)


def what_is_left_is_not_due_or_is_kept(month: Month) -> None:
    left = [life for life in month.lives.values() if life.ended is None]
    assert {life.name for life in left} == month.left
    for life in left:
        due = life.kept_until(life.expires)
        assert due is None or due > END - LOOK - LAST, life
    assert sum(life.kept_until(life.expires) is None for life in left) >= 3
    assert set(month.salt.machines) == {f"{life.name}-app-1" for life in left}


def each_is_removed_once(month: Month) -> None:
    removed = Counter(server for server, _ in month.salt.destroyed)
    assert set(removed.values()) == {1}
    assert len(removed) == ENVIRONMENTS - len(month.left)


def each_night_has_one_run_also_when_two_were_missed_and_when_half_past_two_comes_twice(month: Month) -> None:
    nights = [run.due_at for run in month.runs if run.job == "nightly" and run.result != {}]
    expected = [BEGIN + D * day + (M * 30 if day < 21 else M * 90) for day in range(31)]
    expected.remove(datetime(2026, 10, 14, 0, 30, tzinfo=UTC))  # the first of two that were missed
    assert nights == expected
    assert datetime(2026, 10, 25, 0, 30, tzinfo=UTC) in nights
    assert datetime(2026, 10, 25, 1, 30, tzinfo=UTC) not in nights
    assert all(run.ended_at == run.started_at for run in month.runs if run.result != {})


def each_end_is_in_one_nightly_report(month: Month) -> None:
    reports = month.stage.reports(LOUNGE.id)
    went = Counter(row[0] for report in reports for table in report.tables if table.columns[0] == "went"
                   for row in table.rows)  # fmt: skip
    last = max(run.started_at for run in month.runs if run.job == "nightly")
    assert went == Counter(life.name for life, _, when in reaped(month) if when <= last)
    first = min(life.created for life in month.lives.values())  # before, there was nothing to report
    assert len(reports) == sum(run.due_at > first for run in month.runs if run.job == "nightly" and run.result != {})


CHECKS = (
    much_happened,
    everything_ends_for_a_cause_that_is_true_and_at_its_time,
    nothing_goes_that_is_kept,
    everything_ends_within_one_look_of_what_policy_says,
    every_end_has_a_warning_before_it_that_its_owner_got,
    warnings_that_waited_for_the_chat_kept_what_they_were_about,
    what_is_left_is_not_due_or_is_kept,
    each_is_removed_once,
    each_night_has_one_run_also_when_two_were_missed_and_when_half_past_two_comes_twice,
    each_end_is_in_one_nightly_report,
)


def test_a_month_of_a_team(month: Month) -> None:
    """One test, so that the month is lived once, however many workers there are."""
    for check in CHECKS:
        check(month)
