"""One suite for every chat adapter, over a whole Brinepool on the fake Salt: people say things, and read the answers.

Each leg has one Brinepool for all its tests, so every test makes environments of its own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

import pytest

from orchestrator.bootstrap import Brinepool
from orchestrator.chat.base import ChatAdapter, Undeliverable
from orchestrator.chat.replies import Reply, Tone
from orchestrator.commands import World, environments
from orchestrator.commands.views import CreateEnvironment
from orchestrator.domain.conversation import Audit, Outcome
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import NotFound
from orchestrator.domain.lifecycle import EnvironmentStatus
from tests import programs
from tests.chat.leg import LOUNGE, SHOP, Leg, Shown
from tests.chat.legs import LEGS, PEERS, missing
from tests.fakes.saltapi import FakeSaltApi
from tests.peers.synapse import synapse  # noqa: F401  (a fixture)

SECONDS = 30.0
TEMPLATE = programs.roomy_shop()
ROOMED = TEMPLATE.replace("name: shop", "name: kiosk").replace(
    "description: Storefront", "description: Kiosk\nrooms: [shop-dev]"
)
ACCESS = """\
unknown: nothing
people:
  ada: {{role: developer, identities: {{{service}: ["{ada}"]}}}}
  bob: {{role: developer, identities: {{{service}: ["{bob}"]}}}}
"""
_numbers = count(1)


@dataclass
class Stage:
    """A leg, and the Brinepool behind its adapter."""

    leg: Leg
    brinepool: Brinepool

    @property
    def room(self) -> str:
        """Where people talk here: a room, or each alone."""
        return SHOP if self.leg.rooms else ""

    def read(self, person: str = "ada", room: str | None = None) -> list[Shown]:
        """What this person sees of the bot, where people talk."""
        where = self.room if room is None else room
        return self.leg.shown(where) if where else self.leg.shown_directly(person)

    def say(self, person: str, text: str) -> None:
        self.leg.say(person, text, self.room)

    def see(self, *words: str, person: str = "ada", room: str | None = None) -> Shown:
        """Wait for a message with all these words. → it"""
        self.wait(lambda: any(all(word in shown.text for word in words) for shown in self.read(person, room)), words)
        return next(shown for shown in self.read(person, room) if all(word in shown.text for word in words))

    def wait(self, condition: Callable[[], bool], what: object) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"not seen: {what}; seen: {[shown.text for shown in self.read()]}"
            time.sleep(0.05)

    def status(self, name: str) -> EnvironmentStatus | None:
        """The status of an environment; None when there is none (any more)."""
        try:
            return environments.show(self.brinepool.world, name).status
        except NotFound:
            return None

    def ready(self, name: str) -> None:
        self.say("ada", f"create shop as {name}")
        self.see(f"{name} is ready")

    def audit(self) -> list[Audit]:
        with self.brinepool.world.store.transaction() as ledger:
            return ledger.chat.audits(None, 1000)

    def await_audit(self, condition: Callable[[Audit], bool]) -> Audit:
        self.wait(lambda: any(condition(line) for line in self.audit()), "a line of the audit")
        return next(line for line in self.audit() if condition(line))


@pytest.fixture(scope="module")
def salt() -> Iterator[FakeSaltApi]:
    with FakeSaltApi() as api:
        for template in ("shop", "kiosk"):
            api.salt.branches.update({(template, role): names for (_, role), names in programs.BRANCHES.items()})
        yield api


@pytest.fixture(scope="module", params=LEGS)
def stage(
    request: pytest.FixtureRequest, salt: FakeSaltApi, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    if why := missing(request.param):
        pytest.skip(why)
    peer = request.getfixturevalue(PEERS[request.param]) if request.param in PEERS else None
    folder = tmp_path_factory.mktemp(request.param)
    site = programs.make_site(folder / "site")
    (site / "templates" / "shop.yaml").write_text(TEMPLATE)
    (site / "templates" / "kiosk.yaml").write_text(ROOMED)
    made: list[Leg] = []

    def adapters(world: World) -> list[ChatAdapter]:
        leg = LEGS[request.param](world, folder, peer)
        made.append(leg)
        people = {person: leg.user(person) for person in ("ada", "bob")}
        (site / "access.yaml").write_text(ACCESS.format(service=leg.adapter.service, **people))
        return [leg.adapter]

    with ExitStack() as ending:
        settings = programs.settings_for(folder)
        ending.callback(lambda: [leg.close() for leg in made])
        running = ending.enter_context(programs.whole_brinepool(settings, salt.connect(), adapters=adapters))
        (leg,) = made
        whole = Stage(leg, running)
        whole.wait(lambda: leg.adapter.problem() is None, "the service")
        yield whole


@pytest.fixture
def name() -> str:
    """The name of an environment that only this test has."""
    return f"env{next(_numbers)}"


def test_create_watch_ready_deploy_terminate(stage: Stage, name: str) -> None:
    stage.say("ada", f"create shop feature/cart as {name}")
    stage.see(f"ada is creating {name}") if stage.leg.adapter.abilities.edits is False else None
    ready = stage.see(f"{name} is ready", f"{name}-web-2")
    assert "feature/cart" in ready.text
    stage.say("ada", f"deploy shop-web/main to {name}")
    stage.see(f"{name} runs shop-web/main")
    stage.say("ada", f"terminate {name}")
    stage.see(f"{name} is gone")
    assert stage.status(name) is None


def test_a_card_is_changed_in_place_while_its_operation_runs(stage: Stage, name: str) -> None:
    if not stage.leg.adapter.abilities.edits:
        return _test_that_the_outcome_is_said_once(stage, name)
    before = {shown.id for shown in stage.read()}
    stage.ready(name)
    told = [shown for shown in stage.read() if shown.id not in before and not shown.thread and name in shown.text]
    cards = [shown for shown in told if f"{name}-web-1" in shown.text]
    assert len(cards) == 1
    assert not any("is creating" in shown.text for shown in told)
    return None


def _test_that_the_outcome_is_said_once(stage: Stage, name: str) -> None:
    stage.ready(name)
    assert len([shown for shown in stage.read() if f"{name} is ready" in shown.text]) == 1


def test_whoever_asked_is_notified_when_it_has_ended_and_not_before(stage: Stage, name: str) -> None:
    if not stage.leg.adapter.abilities.mentions:
        stage.ready(name)
        assert all(not shown.mentions for shown in stage.read())
        return
    stage.ready(name)

    def mentioned() -> list[Shown]:
        return [shown for shown in stage.read() if name in shown.text and "ada" in shown.mentions]

    stage.wait(lambda: bool(mentioned()), "the mention")
    assert all(f"{name} is ready" in shown.text for shown in mentioned())


def test_a_misspelt_branch_is_told_before_anything_is_built_and_mended_with_one_pick(stage: Stage, name: str) -> None:
    stage.say("ada", f"create shop feature/crat as {name}")
    stage.see("there is no branch “feature/crat”".replace("there", "here"))
    assert stage.status(name) is None
    stage.leg.pick("ada", "feature/cart", stage.room)
    stage.see(f"{name} is ready")


def test_a_misspelt_command_is_answered_with_commands_to_pick_from(stage: Stage, name: str) -> None:
    stage.say("ada", f"crate shop as {name}")
    stage.see(f"create shop as {name}")
    stage.leg.pick("ada", f"create shop as {name}", stage.room)
    stage.see(f"{name} is ready")


def test_somebody_else_s_environment_goes_only_after_a_yes(stage: Stage, name: str) -> None:
    stage.ready(name)
    stage.say("bob", f"terminate {name}")
    stage.see(f"{name} belongs to ada", person="bob")
    stage.say("bob", "no")
    stage.see("Nothing was done", person="bob")
    assert stage.status(name) is EnvironmentStatus.READY
    stage.say("bob", f"terminate {name}")
    asked = (Outcome.ASKED, f"terminate {name}")
    stage.wait(lambda: [(line.outcome, line.text) for line in stage.audit()].count(asked) == 2, "the question")
    stage.say("bob", "yes")
    stage.wait(lambda: stage.status(name) is None, "its end")


def test_somebody_unknown_changes_nothing_and_is_told_so_alone(stage: Stage, name: str) -> None:
    before = len(stage.read())
    stage.say("eve", f"create shop as {name}")
    if not stage.leg.rooms:  # the console's people are those of the HTTP door, which lets nobody else in
        stage.see("does not know", person="eve")
        assert stage.status(name) is None
        return
    line = stage.await_audit(lambda line: line.text.endswith(name))
    assert (line.outcome, line.code) == (Outcome.REFUSED, "person-unknown")
    assert stage.leg.user("eve") in line.account
    stage.see("does not know this account", person="eve", room="")
    assert not any("does not know this account" in shown.text for shown in stage.read()[before:])
    assert stage.status(name) is None


def test_a_template_is_not_spoken_of_outside_its_rooms(stage: Stage, name: str) -> None:
    if not stage.leg.rooms:  # the console is the command line's, and no room
        stage.say("ada", f"create kiosk as {name}")
        stage.see(f"{name} is ready")
        return
    stage.leg.say("ada", f"create kiosk as {name}", LOUNGE)
    stage.see("work in #shop-dev only", room=LOUNGE)
    stage.leg.say("ada", f"create kiosk as {name}", "")
    stage.see("work in #shop-dev only", room="")
    assert stage.status(name) is None
    stage.leg.say("ada", f"create kiosk as {name}", SHOP)
    stage.see(f"{name} is ready")


def test_the_room_of_a_template_is_told_of_what_was_asked_for_elsewhere(stage: Stage, name: str) -> None:
    if not stage.leg.rooms:
        return
    request = CreateEnvironment(template="kiosk", name=name)
    environments.create(stage.brinepool.world, Actor("bob", "cli"), request)
    stage.see(f"bob is creating {name}")
    stage.see(f"{name} is ready", "Asked for by bob")


def test_what_is_not_said_to_the_bot_is_not_answered(stage: Stage, name: str) -> None:
    if not stage.leg.rooms:
        return
    stage.leg.overhear("ada", f"create shop as {name}")
    stage.say("ada", f"create shop as {name}-x")
    stage.see(f"{name}-x is ready")
    assert stage.status(name) is None


def test_a_message_that_was_changed_afterwards_is_not_carried_out(stage: Stage, name: str) -> None:
    stage.say("ada", "list templates")
    stage.see("Storefront")
    if not stage.leg.edit_last("ada", f"create shop as {name}", stage.room):
        return
    line = stage.await_audit(lambda line: line.text.endswith(name))
    assert (line.outcome, line.code) == (Outcome.IGNORED, "edited")
    assert stage.status(name) is None


def test_another_bot_in_the_room_is_not_listened_to(stage: Stage, name: str) -> None:
    if not stage.leg.say_as_bot(f"create shop as {name}", stage.room):
        return
    stage.say("ada", "whoami")
    stage.await_audit(lambda line: line.text == "whoami" and line.outcome is Outcome.ANSWERED)
    assert all(line.code == "said-by-a-bot" for line in stage.audit() if line.text.endswith(f" {name}"))
    assert stage.status(name) is None


def test_a_message_that_is_delivered_twice_is_carried_out_once(stage: Stage, name: str) -> None:
    stage.ready(name)
    accepted = len([line for line in stage.audit() if line.outcome is Outcome.ACCEPTED])
    if not stage.leg.repeat_last():
        return
    stage.say("ada", f"show {name}")
    stage.see(f"{name} is ready", "template")
    assert len([line for line in stage.audit() if line.outcome is Outcome.ACCEPTED]) == accepted


def test_what_is_posted_nowhere_says_so(stage: Stage) -> None:
    if stage.leg.adapter.service == "console":
        with pytest.raises(Undeliverable):
            stage.leg.adapter.post("", Reply(title="lost"))
        return
    assert stage.leg.adapter.room("no-such-room") is None
    if stage.leg.adapter.service in ("slack", "matrix"):
        with pytest.raises(Undeliverable):
            stage.leg.adapter.post("!nowhere:example.org", Reply(title="lost"))


def test_what_comes_from_outside_is_only_text(stage: Stage) -> None:
    """A branch, a log line or a name may look like markup, a mention or a command of the service."""
    home = stage.leg.adapter.room(SHOP) if stage.leg.rooms else stage.leg.adapter.direct(stage.leg.user("ada"))
    assert home is not None
    hostile = "<b>&lt; <!channel> <@U1> @here `x` *y* [a](http://x) \x00\x1b[31m\r\nQUIT :bye"
    stage.leg.adapter.post(home, Reply(title=f"Odd {hostile}", tone=Tone.BAD, lines=(hostile,), code=hostile))
    shown = stage.see("Odd")
    assert "QUIT" in shown.text
    assert not shown.mentions
    assert "\x1b" not in shown.text


def test_notices_wait_while_the_service_is_away_and_come_in_order(stage: Stage, name: str) -> None:
    """The last one: not every service is quick to come back."""
    if not stage.leg.rooms or not stage.leg.go_down():
        return
    names = [f"{name}-a", f"{name}-b"]
    world, actor = stage.brinepool.world, Actor("bob", "cli")
    for each in names:
        request = CreateEnvironment(template="kiosk", name=each)
        programs.ended(world, environments.create(world, actor, request))
    stage.leg.come_back()
    stage.see(f"{names[1]} is ready")
    told = [shown.text for shown in stage.read() if name in shown.text]
    order = ["creating", "ready", "creating", "ready"]
    assert [word for text in told for word in ("creating", "ready") if f" {word}" in text.splitlines()[0]] == order
