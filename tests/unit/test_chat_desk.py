"""The desk and the courier over a whole Brinepool on the fake Salt: from a line of chat to what people read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from orchestrator.bootstrap import Brinepool
from orchestrator.chat import notes
from orchestrator.chat.base import Abilities
from orchestrator.chat.replies import Reply, Tone
from orchestrator.commands import environments, people, reaper
from orchestrator.domain.conversation import Audit, Outcome
from orchestrator.domain.environment import Actor, Event
from orchestrator.domain.notices import Notice
from orchestrator.engine import schedule
from tests import programs
from tests.fakes.chat import LOUNGE, MemoryChat
from tests.fakes.instant import Travelling
from tests.fakes.misbehaviour import FailsDuringHighstate
from tests.fakes.saltapi import FakeSaltApi

ROOMED = programs.SHOP.replace("description: Storefront", "description: Storefront\nrooms: [shop-dev]")
ACCESS = """\
unknown: nothing
people:
  ada: {role: developer, timezone: Europe/Berlin, identities: {memory: UA}}
  bob: {role: developer, identities: {memory: UB}}
  vic: {role: viewer, identities: {memory: UV}}
  olga: {role: ops, identities: {memory: UO}}
  eva: {role: developer, email: eva@example.org}
"""


@dataclass
class Stage:
    """A whole Brinepool, and a chat service in memory. ada is UA there, and so on; UX is nobody."""

    brinepool: Brinepool
    chat: MemoryChat
    fake: FakeSaltApi

    def ready(self, name: str = "cart-test") -> None:
        self.chat.say("UA", f"create shop as {name}")
        self.chat.wait_for(lambda: self.chat.shown()[-1].now.title.startswith(f"{name} is ready"))

    def audit(self) -> list[Audit]:
        with self.brinepool.world.store.transaction() as ledger:
            return ledger.chat.audits(None, 100)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = programs.make_site(tmp_path / "site")
    (site / "access.yaml").write_text(ACCESS)
    return site


@pytest.fixture
def chat() -> MemoryChat:
    return MemoryChat()


@pytest.fixture
def stage(site: Path, fake: FakeSaltApi, chat: MemoryChat, tmp_path: Path) -> Iterator[Stage]:
    settings = programs.settings_for(tmp_path)
    with programs.whole_brinepool(settings, fake.connect(), adapters=lambda _: [chat]) as running:
        yield Stage(running, chat, fake)


def texts(reply: Reply) -> str:
    """Everything that can be read in a reply."""
    tables = [cell for table in reply.tables for row in table.rows for cell in row]
    facts = [f"{fact.label} {fact.value}" for fact in reply.facts]
    return "\n".join([reply.title, *reply.lines, *facts, *tables, reply.code])


# The main path


def test_create_watch_ready_deploy_terminate(stage: Stage) -> None:
    chat = stage.chat
    chat.say("UA", "create shop feature/cart as cart-test for 2d")
    card = chat.shown()[0]
    assert card.replies[0].tone is Tone.WORKING
    assert card.replies[0].title == "ada is creating cart-test"
    chat.wait_for(lambda: card.now.tone is Tone.GOOD)
    assert card.now.title.startswith("cart-test is ready")
    assert "cart-test-web-2" in texts(card.now)
    assert "http://" in texts(card.now)
    chat.wait_for(lambda: len(chat.shown()) > 1)
    assert chat.shown()[1].thread == card.id
    assert chat.shown()[1].now.mention == ("UA",)

    chat.say("UA", "deploy feature/tax to cart-test")
    deploy = chat.shown()[-1]
    chat.wait_for(lambda: deploy.now.title.startswith("cart-test runs feature/tax"))
    chat.say("UA", "terminate cart-test")
    gone = next(message for message in reversed(chat.shown()) if not message.thread)
    chat.wait_for(lambda: gone.now.title.startswith("cart-test is gone"))


def test_progress_is_shown_in_order_and_never_after_the_outcome(stage: Stage) -> None:
    stage.ready()
    card = stage.chat.shown()[0]
    working = [reply.progress for reply in card.replies if reply.progress is not None]
    assert card.replies[-1].progress is None
    assert [each.elapsed_s for each in working] == sorted(each.elapsed_s for each in working)
    assert any(step.state for progress in working for step in progress.steps)


def test_the_rest_is_estimated_from_history(stage: Stage) -> None:
    stage.ready("first")
    stage.chat.say("UA", "create shop as second")
    assert stage.chat.shown()[-1].replies[0].progress.rest_s is not None  # type: ignore[union-attr]


def test_a_failed_build_tells_its_cause_and_what_to_do(stage: Stage) -> None:
    stage.fake.salt.misbehave(FailsDuringHighstate(state="build", comment="no such wheel", changes={"stderr": "x"}))
    stage.chat.say("UA", "create shop as cart-test")
    card = stage.chat.shown()[0]
    stage.chat.wait_for(lambda: card.now.tone is Tone.BAD)
    assert "build" in texts(card.now)
    assert [button.label for button in card.now.buttons] == ["Retry", "Why", "Terminate"]
    stage.chat.say("UA", "why cart-test")
    assert "no such wheel" in texts(stage.chat.last())


# Getting it wrong


def test_a_misspelt_branch_offers_the_nearest_and_one_click_mends_it(stage: Stage) -> None:
    stage.chat.say("UA", "create shop feature/crat as cart-test")
    reply = stage.chat.last()
    assert "no branch “feature/crat”" in reply.title
    assert "feature/cart" in [option.label for option in reply.options]
    assert environments.list_all(stage.brinepool.world) == []
    stage.chat.pick("UA", "feature/cart")
    assert stage.chat.last().title == "ada is creating cart-test"


def test_a_misspelt_command_offers_whole_commands(stage: Stage) -> None:
    stage.chat.say("UA", "crate shop feature/cart as cart-test")
    reply = stage.chat.last()
    assert reply.tone is Tone.QUESTION
    assert any(option.label.startswith("create shop feature/cart") for option in reply.options)
    stage.chat.say("UA", "1")
    assert stage.chat.last().title == "ada is creating cart-test"


def test_a_missing_part_is_asked_for_and_the_answer_completes_the_command(stage: Stage) -> None:
    stage.ready()
    stage.chat.say("UA", "deploy web to cart-test")
    reply = stage.chat.last()
    assert reply.title == "Which branch for web?"
    assert [option.label for option in reply.options] == ["feature/cart", "main"]
    stage.chat.say("UA", "feature/cart")
    assert "deploying" in stage.chat.last().title


def test_what_is_said_after_the_answer_is_no_answer(stage: Stage) -> None:
    stage.chat.say("UA", "create")
    assert stage.chat.last().title == "Which template?"
    stage.chat.say("UA", "shop")
    assert "ada is creating" in stage.chat.last().title
    stage.chat.say("UA", "terminat")
    assert "I do not know the command “terminat”" in stage.chat.last().title
    assert len(environments.list_all(stage.brinepool.world)) == 1


def test_which_role_got_which_branch_is_said_for_as_long_as_the_card_is_there(stage: Stage) -> None:
    said = ("api runs feature/tax.", "web has no branch feature/tax and runs main.")
    stage.chat.say("UA", "create shop feature/tax as cart-test")
    stage.chat.wait_for(lambda: stage.chat.shown()[-1].now.title.startswith("cart-test is ready"))
    card = stage.chat.shown()[0]
    stage.chat.wait_for(lambda: card.now.title.startswith("cart-test is ready"))
    assert {reply.lines for reply in card.replies} == {said}


def test_the_help_makes_its_examples_of_what_runs(stage: Stage) -> None:
    stage.chat.say("UA", "help")
    assert "create shop main" in stage.chat.last().code
    stage.ready("plain")
    stage.chat.say("UA", "create shop feature/cart as cart-test")
    stage.chat.wait_for(lambda: stage.chat.shown()[-1].now.title.startswith("cart-test is ready"))
    stage.chat.say("UA", "help")
    assert "create shop feature/cart" in stage.chat.last().code
    assert "deploy feature/cart to cart-test" in stage.chat.last().code


def test_only_whoever_was_asked_can_answer(stage: Stage) -> None:
    stage.ready()
    stage.chat.say("UB", "terminate cart-test")
    assert stage.chat.last().title == "cart-test belongs to ada. Terminate it all the same?"
    stage.chat.pick("UA", "Terminate cart-test")
    assert "Somebody else was asked" in stage.chat.last().title
    stage.chat.say("UV", "yes")
    assert "no question" in stage.chat.last().title
    stage.chat.say("UB", "no")
    assert stage.chat.last().title == "Nothing was done."
    assert environments.show(stage.brinepool.world, "cart-test").status == "ready"


def test_an_answer_counts_once(stage: Stage) -> None:
    stage.ready()
    stage.chat.say("UB", "terminate cart-test")
    stage.chat.pick("UB", "Terminate cart-test")
    stage.chat.pick("UB", "Terminate cart-test")
    assert "answered already" in stage.chat.last("D-UB").title


def test_more_than_one_thing_asks_first(stage: Stage) -> None:
    stage.ready("one")
    stage.ready("two")
    stage.chat.say("UA", "terminate one and two")
    assert stage.chat.last().title == "Terminate 2 at once: one, two?"
    stage.chat.say("UA", "yes")
    stage.chat.wait_for(
        lambda: {m.now.title.split(",")[0] for m in stage.chat.shown()} >= {"one is gone", "two is gone"}
    )


# Who is asking, and where


def test_somebody_unknown_is_told_how_to_become_known_and_it_is_written_down(stage: Stage) -> None:
    stage.chat.say("UX", "list environments")
    assert "does not know this account" in stage.chat.last("D-UX").title
    assert stage.audit()[0].outcome is Outcome.REFUSED
    assert stage.audit()[0].code == "person-unknown"


def test_a_viewer_may_look_and_not_touch(stage: Stage) -> None:
    stage.chat.say("UV", "list templates")
    assert "shop" in texts(stage.chat.last())
    stage.chat.say("UV", "create shop")
    assert "vic is a viewer here and may not create environments" in stage.chat.last().title
    assert stage.audit()[0].code == "role-too-low"


def test_a_verified_address_identifies(stage: Stage) -> None:
    stage.chat.directly("UE", "whoami", email="Eva@example.org")
    assert stage.chat.last("D-UE").title == "You are eva"


def test_a_code_links_an_account_once(stage: Stage) -> None:
    stage.chat.say("UA", "link")
    told = " ".join(stage.chat.last("D-UA").lines)
    code = told.split("link ")[1].split()[0]
    assert all(code not in texts(message.now) for message in stage.chat.shown())
    stage.chat.directly("UX", f"link {code}")
    assert stage.chat.last("D-UX").title == "This account is ada's from now on."
    stage.chat.directly("UX", "whoami")
    assert stage.chat.last("D-UX").title == "You are ada"
    stage.chat.directly("UY", f"link {code}")
    assert "wrong, was used" in stage.chat.last("D-UY").title
    assert all(code not in line.text for line in stage.audit())


def test_codes_cannot_be_guessed(stage: Stage) -> None:
    for _ in range(people.WRONG_CODES):
        stage.chat.directly("UX", "link AAAA-BBBB")
    code = people.new_code(stage.brinepool.world, Actor("ada", "cli"))
    stage.chat.directly("UX", f"link {code}")
    assert "Too many wrong codes" in stage.chat.last("D-UX").title


def test_a_template_is_only_spoken_of_in_its_rooms(stage: Stage, site: Path) -> None:
    (site / "templates" / "shop.yaml").write_text(ROOMED)
    stage.ready()
    stage.chat.say("UA", "create shop as other", LOUNGE)
    assert "work in #shop-dev only" in stage.chat.last(LOUNGE).title
    stage.chat.directly("UA", "terminate cart-test")
    assert "work in #shop-dev only" in stage.chat.last("D-UA").title
    stage.chat.say("UB", "list environments", LOUNGE)
    assert "cart-test" not in texts(stage.chat.last(LOUNGE))
    assert "1 more may not be spoken of in this room." in stage.chat.last(LOUNGE).lines
    stage.chat.say("UB", "show cart-test", LOUNGE)
    assert "work in #shop-dev only" in stage.chat.last(LOUNGE).title


@pytest.mark.parametrize(
    ("more", "code"), [({"edited": True}, "edited"), ({"bot": True}, "said-by-a-bot")], ids=["edited", "bot"]
)
def test_what_is_ignored_is_written_down(stage: Stage, more: dict[str, bool], code: str) -> None:
    stage.chat.say("UA", "create shop as cart-test", **more)
    assert stage.chat.messages == {}
    assert (stage.audit()[0].outcome, stage.audit()[0].code) == (Outcome.IGNORED, code)


def test_a_message_that_comes_twice_is_carried_out_once(stage: Stage) -> None:
    stage.chat.say("UA", "create shop", message="same")
    stage.chat.say("UA", "create shop", message="same")
    assert len(environments.list_all(stage.brinepool.world)) == 1
    assert stage.audit()[0].code == "message-repeated"


def test_the_audit_tells_what_was_asked_and_what_it_became(stage: Stage) -> None:
    stage.chat.say("UA", "create shop as cart-test")
    line = stage.audit()[0]
    assert (line.person, line.account, line.room, line.door) == ("ada", "memory:UA", "shop-dev", "chat:memory")
    assert (line.text, line.outcome) == ("create shop as cart-test", Outcome.ACCEPTED)
    assert line.operation == environments.show(stage.brinepool.world, "cart-test").operation


def test_what_looks_like_a_secret_is_not_kept_in_the_audit(stage: Stage) -> None:
    stage.chat.say("UA", "deploy password=hunter2hunter2 to cart-test")
    assert "hunter2" not in stage.audit()[0].text


# Notices


def test_the_room_of_a_template_is_told_of_what_was_done_elsewhere(stage: Stage, site: Path) -> None:
    (site / "templates" / "shop.yaml").write_text(ROOMED)
    accepted = environments.create(stage.brinepool.world, Actor("bob", "cli"), programs.shop())
    programs.ended(stage.brinepool.world, accepted)
    stage.chat.wait_for(lambda: len(stage.chat.shown()) == 2)
    assert stage.chat.shown()[0].now.title.startswith("bob is creating cart-test from shop")
    assert stage.chat.shown()[1].now.title.startswith("cart-test is ready")
    assert "Asked for by bob." in stage.chat.shown()[1].now.lines


def test_notices_wait_for_a_service_that_is_down_and_keep_their_order(stage: Stage, site: Path) -> None:
    (site / "templates" / "shop.yaml").write_text(ROOMED)
    stage.chat.down = True
    world, actor = stage.brinepool.world, Actor("bob", "cli")
    for name in ("one", "two"):
        programs.ended(world, environments.create(world, actor, programs.shop(name)))
    assert stage.chat.messages == {}
    stage.chat.down = False
    stage.chat.wait_for(lambda: len(stage.chat.shown()) == 4)
    titles = [message.now.title for message in stage.chat.shown()]
    assert [title.split(" from ")[0].split(",")[0] for title in titles] == [
        "bob is creating one", "one is ready", "bob is creating two", "two is ready",
    ]  # fmt: skip


def test_a_service_that_limits_is_obeyed_and_nothing_is_lost(stage: Stage) -> None:
    stage.chat.limits = 3
    stage.ready()
    assert stage.chat.limits == 0


def test_who_wants_it_is_told_directly_and_who_is_muted_is_not_mentioned(stage: Stage) -> None:
    stage.chat.say("UA", "notify me directly")
    stage.ready()
    stage.chat.wait_for(lambda: bool(stage.chat.shown("D-UA")))
    assert stage.chat.last("D-UA").title.startswith("cart-test is ready")
    stage.chat.say("UA", "mute")
    stage.chat.say("UA", "deploy feature/cart to cart-test")
    card = stage.chat.shown()[-1]
    stage.chat.wait_for(lambda: card.now.tone is Tone.GOOD)
    stage.chat.say("UA", "terminate cart-test")
    stage.chat.wait_for(lambda: any(m.now.title.startswith("cart-test is gone") for m in stage.chat.shown()))
    assert not [m for m in stage.chat.shown() if m.thread == card.id]


def test_a_card_that_somebody_deleted_is_told_anew(stage: Stage) -> None:
    stage.chat.say("UA", "create shop as cart-test")
    stage.chat.messages.pop(stage.chat.shown()[0].id)
    stage.chat.wait_for(lambda: any(m.now.title.startswith("cart-test is ready") for m in stage.chat.shown()))


def test_a_service_without_edits_is_told_once_with_the_mention(site: Path, fake: FakeSaltApi, tmp_path: Path) -> None:
    chat = MemoryChat(abilities=Abilities(edits=False, buttons=False, threads=False, interval_s=0.0))
    with programs.whole_brinepool(programs.settings_for(tmp_path), fake.connect(), adapters=lambda _: [chat]):
        chat.say("UA", "create shop as cart-test")
        chat.wait_for(lambda: chat.shown()[0].now.tone is Tone.GOOD)
        assert chat.shown()[0].now.mention == ("UA",)
        assert len(chat.shown()) == 1


def test_cards_and_notices_go_on_after_a_restart(site: Path, fake: FakeSaltApi, tmp_path: Path) -> None:
    chat, settings = MemoryChat(), programs.settings_for(tmp_path)
    with programs.whole_brinepool(settings, fake.connect(), adapters=lambda _: [chat]):
        chat.say("UA", "create shop as cart-test")
        chat.down = True
    chat.down = False
    with programs.whole_brinepool(settings, fake.connect(), adapters=lambda _: [chat]):
        chat.wait_for(lambda: chat.shown()[0].now.title.startswith("cart-test is ready"))


def test_all_of_mine_is_only_what_is_mine(stage: Stage) -> None:
    stage.chat.say("UB", "extend all my environments by 1h")
    assert stage.chat.last().title == "You have no environment here."
    stage.ready("one")
    stage.chat.say("UB", "retry all my environments")
    assert "have no environment" in stage.chat.last().title
    stage.chat.say("UA", "extend all my environments by 1h")
    assert stage.chat.last().title.startswith("one expires in 1d 1h")
    stage.chat.say("UA", "retry all my environments")
    assert "nothing to retry" in stage.chat.last().title


def test_a_code_in_other_words_is_not_written_down_either(stage: Stage) -> None:
    stage.chat.directly("UX", "my code is ABCD-2345")
    assert all("ABCD" not in line.text for line in stage.audit())


# What keeps an environment, and when it ends


@pytest.fixture
def clock() -> Travelling:
    return Travelling(datetime(2026, 11, 25, 10, tzinfo=UTC))


@pytest.fixture
def still(
    site: Path, fake: FakeSaltApi, chat: MemoryChat, tmp_path: Path, clock: Travelling, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """The same on a Wednesday at ten (eleven in Berlin), in which no time goes by, and nothing runs by itself."""
    monkeypatch.setattr(schedule, "TICK_S", 86_400)
    settings = programs.settings_for(tmp_path)
    with programs.whole_brinepool(settings, fake.connect(), clock, adapters=lambda _: [chat]) as running:
        yield Stage(running, chat, fake)


def test_what_keeps_an_environment_is_shown_wherever_it_is(stage: Stage) -> None:
    chat = stage.chat
    stage.ready()
    chat.say("UB", "hold cart-test for 4h")
    assert chat.last().title.startswith("cart-test is held by bob until ")
    assert stage.audit()[0].outcome is Outcome.ACCEPTED
    chat.say("UO", "protect cart-test because we show it on friday")
    held, protected = "held by bob until ", "protected by olga, without end"
    for said in ("show cart-test", "list environments"):
        chat.say("UA", said)
        assert held in texts(chat.last())
        assert protected in texts(chat.last())
    chat.say("UA", "deploy main to cart-test")
    card = chat.shown()[-1]
    chat.wait_for(lambda: card.now.tone is Tone.GOOD)
    assert protected in texts(card.now)
    chat.say("UB", "release cart-test")
    assert chat.last().title == "cart-test is not held any more; it expires in 1d."
    chat.say("UO", "unprotect cart-test")
    assert chat.last().title == "cart-test is not protected any more; it expires in 1d."
    chat.say("UA", "list environments")
    assert "kept" not in chat.last().tables[0].columns


def test_a_moment_is_meant_where_the_person_is(still: Stage) -> None:
    still.ready()
    still.chat.say("UO", "protect cart-test until tomorrow 09:00")
    assert still.chat.last().title == "cart-test is protected by olga until 2026-11-26 09:00 UTC."
    still.chat.say("UA", "hold cart-test until 13:30")
    assert still.chat.last().title.startswith("cart-test is held by ada until 2026-11-25 12:30 UTC and protected by")


@pytest.mark.parametrize(
    ("user", "said", "sentence", "code"),
    [
        ("UV", "extend cart-test", "vic is a viewer here and may not extend environments", "role-too-low"),
        ("UV", "hold cart-test", "vic is a viewer here and may not hold environments", "role-too-low"),
        ("UA", "protect cart-test", "ada is a developer here and may not protect environments", "role-too-low"),
        ("UA", "unprotect cart-test", "ada is a developer here and may not protect environments", "role-too-low"),
        ("UX", "what ends tonight", "does not know this account", "person-unknown"),
        ("UA", "create shop for 400d", "“400d” is more than a year", "duration-too-long"),
        ("UA", "create shop for 10d", "3d", "ttl-too-long"),
        ("UA", "extend cart-test by 10d", "cart-test may live 3d in all", "extension-too-long"),
        ("UA", "extend cart-test by 1m1m1m1m1m1m1m1m1m1m1m1m1m1m1m1m1m", "That is not a duration", "not-understood"),
        ("UA", "extend cart-test by -1d", "“-1d” is not a duration", "not-understood"),
        ("UA", "hold cart-test for 9d", "can be held for debugging for", "hold-too-long"),
        ("UA", "extend cart-test until 31.2.", "There is no date", "not-understood"),
        ("UO", "protect cart-test until 9999-12-31", "further away than the calendar goes", "not-understood"),
        ("UA", "release cart-test", "cart-test is not held.", "not-held"),
        ("UO", "unprotect cart-test", "cart-test is not protected.", "not-protected"),
        ("UA", "when does nosuch end", "There is no environment “nosuch”.", "environment-unknown"),
    ],
)
def test_what_cannot_be_is_refused_with_one_sentence(
    stage: Stage, user: str, said: str, sentence: str, code: str
) -> None:
    programs.ended(
        stage.brinepool.world, environments.create(stage.brinepool.world, Actor("ada", "cli"), programs.shop())
    )
    before = environments.show(stage.brinepool.world, "cart-test").expires_at
    stage.chat.say(user, said)
    shown = [*stage.chat.shown(), *stage.chat.shown(f"D-{user}")][-1].now
    assert sentence in " ".join([shown.title, *shown.lines])
    assert stage.audit()[0].code == code
    assert environments.show(stage.brinepool.world, "cart-test").expires_at == before


def test_when_something_ends_is_told_in_the_time_of_the_person(still: Stage) -> None:
    chat, told = still.chat, "cart-test expires in 1d, at 2026-11-26 {} {}."
    still.ready()
    chat.say("UA", "when does cart-test end?")
    assert chat.last().title == told.format("11:00", "Europe/Berlin")
    assert [button.command for button in chat.last().buttons] == ["extend cart-test"]
    chat.say("UB", "when does cart-test-web-1 end")
    assert chat.last().title == told.format("10:00", "UTC")
    chat.say("UB", "what ends tomorrow")
    assert chat.last().lines == (told.format("10:00", "UTC"),)
    for said in ("what ends tonight", "which of my environments end soon"):
        chat.say("UB", said)
        assert (chat.last().title, chat.last().lines) == ("Nothing is due.", ())


def test_what_is_due_is_told_in_the_plan_s_words(still: Stage, clock: Travelling) -> None:
    still.ready()
    clock.forward(timedelta(hours=21))
    sentence = "cart-test is warned about: expires in 3h. It goes at 2026-11-26 10:00 UTC at the earliest."
    assert [action.sentence for action in reaper.plan(still.brinepool.world).actions] == [sentence]
    still.chat.say("UA", "reap plan")
    assert still.chat.last().lines == (sentence,)
    still.chat.say("UA", "when does cart-test end")
    assert still.chat.last().title == sentence
    clock.forward(timedelta(hours=4))
    still.chat.say("UO", "protect cart-test for 2h because password=hunter2hunter2")
    still.chat.say("UA", "what is due")
    assert still.chat.last().lines[0].startswith("cart-test stays: protected by olga until 2026-11-26 13:00 UTC")
    assert "hunter2" not in texts(still.chat.last())


def test_a_plan_leaves_out_what_may_not_be_spoken_of_here(stage: Stage, site: Path) -> None:
    (site / "templates" / "shop.yaml").write_text(ROOMED)
    stage.ready()
    stage.chat.say("UB", "what ends", LOUNGE)
    assert stage.chat.last(LOUNGE).title == "Nothing is due."
    assert stage.chat.last(LOUNGE).lines == ("1 more may not be spoken of in this room.",)
    for said in ("when does cart-test end", "hold cart-test"):
        stage.chat.say("UA", said, LOUNGE)
        assert "work in #shop-dev only" in stage.chat.last(LOUNGE).title


def test_the_schedule_shows_every_job(still: Stage) -> None:
    still.chat.say("UV", "schedule")
    reply = still.chat.last()
    assert reply.title == "Scheduled jobs, in the time of UTC"
    assert [row[:2] for row in reply.tables[0].rows] == [
        ("reap", "every 5m"), ("branches", "every 1h"), ("sweep", "every 5m"), ("nightly", "every day at 03:00 UTC"),
    ]  # fmt: skip
    assert {row[3] for row in reply.tables[0].rows} == {"never yet"}


def test_every_button_of_a_warning_does_what_it_says(still: Stage) -> None:
    still.chat.say("UA", "create shop as cart-test for 4h")
    still.chat.wait_for(lambda: still.chat.shown()[-1].now.title.startswith("cart-test is ready"))
    world = still.brinepool.world
    view = environments.show(world, "cart-test")
    data = {"why": "expires in 4h", "ends_at": view.expires_at.isoformat(), "extendable": True}
    event = Event(1, view.created_at, "cart-test", None, None, "environment.expiring", "scheduler", "scheduler", data)
    warning, owner = notes.of_environment(world, event, Notice.EXPIRING)
    assert owner == "ada"
    assert [button.label for button in warning.buttons] == ["Extend", "Keep until tomorrow morning", "End it now"]
    extend, keep, end = (button.command for button in warning.buttons)
    still.chat.say("UA", keep)
    morning = datetime(2026, 11, 26, 9, tzinfo=ZoneInfo("Europe/Berlin"))
    assert environments.show(world, "cart-test").expires_at == morning
    still.chat.say("UA", extend)
    assert environments.show(world, "cart-test").expires_at == morning + timedelta(days=1)
    still.chat.say("UA", end)
    still.chat.wait_for(lambda: any(m.now.title.startswith("cart-test is gone") for m in still.chat.shown()))
