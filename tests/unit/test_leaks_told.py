"""Leaks and degraded servers as people see them: over HTTP, on the command line, and in chats."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from orchestrator.chat import cards
from orchestrator.chat.plain import text
from orchestrator.chat.replies import Reply
from orchestrator.cli import reap
from orchestrator.commands import environments, reaper, servers, tokens
from orchestrator.engine import schedule as scheduler
from orchestrator.ports import Machine, SaltRefused
from tests import programs
from tests.fakes.chat import MemoryChat
from tests.fakes.instant import InstantSalt, Travelling
from tests.unit.doors import Brine, becoming, command_line, served
from tests.unit.reaper_stage import NOON, OLGA, M, Stage, make_site, settings_for, staged

LEFT = Machine("old-api-1", "127.9.9.9", "running", key="accepted", record=True)
LEFT_IS = "the machine, key and record of a server that Brinepool does not have"


@pytest.fixture
def salt() -> InstantSalt:
    return InstantSalt(programs.BRANCHES)


@pytest.fixture
def stage(tmp_path: Path, salt: InstantSalt, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(scheduler, "TICK_S", 86_400)
    make_site(tmp_path / "site")
    with staged(settings_for(tmp_path), salt, Travelling(NOON), MemoryChat()) as running:
        running.clock.forward(5 * M)
        yield running


@pytest.fixture
def url(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with served(stage.world) as found:
        monkeypatch.setenv("BRINE_URL", found)
        yield found


@pytest.fixture
def become(stage: Stage, url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return becoming(stage.world, monkeypatch)


@pytest.fixture
def brine(become: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> Brine:
    """The command line, as olga, who is ops."""
    return command_line(capsys)


def created(stage: Stage) -> None:
    """Two environments, made a minute before."""
    stage.create("calm")
    stage.create("cart", roles=["api", "web"], counts={"web": 1})
    stage.clock.forward(M)


def leaks(brine: Brine, *options: str) -> list[dict[str, object]]:
    code, out, err = brine("leaks", *options, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)["leaks"]


def test_a_look_changes_nothing_and_says_what_will_be_done(stage: Stage, salt: InstantSalt, brine: Brine) -> None:
    assert brine("leaks") == (0, "Nothing is left over, and every server is whole.\n", "")
    salt.machines["old-api-1"] = LEFT
    for _ in range(3):
        (seen,) = leaks(brine)
        assert (seen["kind"], seen["server"], seen["reason"]) == ("remove", "old-api-1", LEFT_IS)
        assert (seen["times"], seen["due"]) == (0, False)
        assert seen["what"] == "removed at the second sweep from now, if that is still so"
        stage.clock.forward(M)
    assert leaks(brine, "--fix")[0]["times"] == 1
    (seen,) = leaks(brine)
    assert (seen["times"], seen["due"], seen["what"]) == (1, True, "removed at the next sweep")
    assert seen["seen_since"] == "2026-11-02T12:08:00Z"
    assert salt.destroyed == []
    head, row = brine("leaks")[1].splitlines()
    assert head.split("  ")[0] == "SERVER"
    assert row.startswith(f"old-api-1  {LEFT_IS}  2026-11-02 ")
    assert row.endswith("  1       removed at the next sweep")


def test_fix_says_what_it_did_and_what_comes_next(stage: Stage, salt: InstantSalt, brine: Brine) -> None:
    created(stage)
    salt.machines["old-api-1"] = LEFT
    salt.machines["wild-api-1"] = replace(LEFT, server="wild-api-1", record=False)
    salt.silent.add("cart-web-1")
    code, out, err = brine("leaks", "--fix")
    assert (code, err) == (0, "")
    told = {line.split()[0]: line for line in out.splitlines() if line}
    assert told["old-api-1"].endswith("seen for the first time; removed at the next sweep, if that is still so")
    assert told["cart-web-1"].endswith(
        "seen for the first time; marked as degraded at the next sweep, if that is still so"
    )
    assert told["wild-api-1"].endswith("left alone")
    assert out.endswith("\n\n2 seen for the first time, 1 left alone.\n")
    assert "old-api-1" in salt.machines
    code, out, err = brine("leaks", "--fix")
    told = {line.split()[0]: line for line in out.splitlines() if line}
    assert (code, err) == (0, "")
    assert told["old-api-1"].endswith("  removed")
    assert told["cart-web-1"].endswith("  marked as degraded; heal it with: brine env retry cart")
    assert out.endswith("\n\n1 leak removed, 1 server degraded, 1 left alone.\n")
    assert sorted(salt.machines) == ["calm-api-1", "cart-api-1", "cart-web-1", "wild-api-1"]
    (row,) = (line for line in brine("schedule")[1].splitlines() if line.startswith("sweep"))
    assert row.endswith("1 leak removed, 1 server degraded, 1 left alone")
    (heal,) = (each for each in leaks(brine) if each["server"] == "cart-web-1")
    assert (heal["kind"], heal["what"]) == ("heal", "marked as degraded; heal it with: brine env retry cart")
    assert leaks(brine, "--fix")[0]["what"] == "still degraded; heal it with: brine env retry cart"
    salt.silent.clear()
    del salt.machines["wild-api-1"]
    assert brine("leaks", "--fix")[1].endswith("\n\n1 server back.\n")
    assert brine("leaks", "--fix") == (0, "Nothing is left over, and every server is whole.\n", "")
    assert [job.last.result for job in reaper.jobs(stage.world) if job.job == "sweep" and job.last] == ["nothing to do"]


def test_what_cannot_be_removed_is_said_and_is_1(
    salt: InstantSalt, brine: Brine, monkeypatch: pytest.MonkeyPatch
) -> None:
    salt.machines |= {"old-api-1": LEFT, "old-api-2": replace(LEFT, server="old-api-2")}
    brine("leaks", "--fix")
    destroy, sentence = salt.destroy, "The server old-api-1 could not be removed; try again."

    def refuse(server: str, operation: str, seconds: float) -> bool:
        if server == "old-api-1":
            raise SaltRefused("destroy-failed", sentence)
        return destroy(server, operation, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(salt, "destroy", refuse)
        code, out, _ = brine("leaks", "--fix")
    assert code == 1
    assert f"could not be removed, the next sweep tries again: {sentence}" in out
    assert out.endswith("\n\n1 leak removed, 1 leak could not be removed.\n")
    assert brine("leaks", "--fix")[1].endswith("\n\n1 leak removed.\n")


def test_salt_that_is_down_is_one_sentence_and_3(stage: Stage, salt: InstantSalt, brine: Brine) -> None:
    salt.down = True
    for arguments in (("leaks",), ("leaks", "--fix")):
        assert brine(*arguments) == (3, "", "salt-api does not answer.\n")
    code, out, _ = brine("leaks", "--fix", "--json")
    assert (code, json.loads(out)) == (
        3, {"error": {"code": "sweep-failed", "message": "salt-api does not answer."}},
    )  # fmt: skip
    (row,) = (line for line in brine("schedule")[1].splitlines() if line.startswith("sweep"))
    assert row.endswith("salt-api does not answer")


def test_a_runner_that_refuses_is_told_as_it_says(
    salt: InstantSalt, brine: Brine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> list[Machine]:
        raise SaltRefused("inventory-failed", "The cloud could not be asked for its servers; try again.")

    monkeypatch.setattr(salt, "inventory", refuse)
    for arguments in (("leaks",), ("leaks", "--fix")):
        assert brine(*arguments) == (3, "", "The cloud could not be asked for its servers; try again.\n")


def test_everybody_may_look_and_only_ops_may_sweep(
    stage: Stage, url: str, salt: InstantSalt, brine: Brine, become: Callable[[str], None]
) -> None:
    become("ada")
    assert brine("leaks")[0] == 0
    code, out, err = brine("leaks", "--fix")
    assert (code, out) == (3, "")
    assert err == "ada is a developer here and may not start a sweep; that takes the role ops, which ops give.\n"
    assert stage.runs("sweep") == []
    tokens.ensure(stage.world, "ada-" + "t" * 40, "ada", "test")
    answer = requests.post(f"{url}/api/v1/leaks", headers={"Authorization": f"Bearer ada-{'t' * 40}"}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (403, "role-too-low")


def test_a_sweep_under_way_is_joined(
    stage: Stage, url: str, salt: InstantSalt, brine: Brine, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(reap, "PATIENCE_S", 0)
    object.__setattr__(stage.world, "start_run", lambda each: started.append(each.id))  # it never gets going
    for _ in range(2):
        assert brine("leaks", "--fix") == (
            3, "", "The run has not ended in time; it goes on. Look at it with: brine schedule\n",
        )  # fmt: skip
    assert started == ["sweep/2026-11-02T12:05:00Z"]


def test_a_sweep_that_stumbles_says_so(stage: Stage, brine: Brine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.engine.sweep.compare", lambda *_: 1 / 0)
    assert brine("leaks", "--fix") == (3, "", "Brinepool itself stumbled; ops find why in its log.\n")


# What is degraded, wherever it is shown


def test_what_is_degraded_is_shown_with_since_when_and_how_to_heal_it(
    stage: Stage, salt: InstantSalt, brine: Brine
) -> None:
    created(stage)
    assert "DEGRADED" not in brine("env", "list")[1]
    salt.silent.add("cart-web-1")
    brine("leaks", "--fix")
    stage.clock.forward(M)
    brine("leaks", "--fix")
    since = NOON.replace(minute=6).astimezone().strftime("%Y-%m-%d %H:%M:%S")

    head, *rows = brine("env", "list")[1].splitlines()
    assert head.endswith("DEGRADED SINCE")
    cart, calm = sorted(rows, key=lambda row: not row.startswith("cart"))
    assert cart.split()[:4] == ["cart", "shop", "degraded", "1/2"]
    assert cart.endswith(since)
    assert "degraded" not in calm
    shown = brine("env", "show", "cart")[1]
    assert "degraded      cart-web-1: its minion does not answer, since 2026-11-02 12:06 UTC.\n" in shown
    assert "heal it with  brine env retry cart\n" in shown
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("cart-")] == ["ready", "degraded"]
    shown = brine("server", "show", "cart-web-1")[1]
    assert "status        degraded\n" in shown
    assert f"degraded      its minion does not answer, since {since}\n" in shown
    assert "heal it with  brine env retry cart\n" in shown
    assert "degraded" not in brine("server", "show", "cart-api-1")[1]

    assert brine("env", "retry", "cart")[0] == 0
    assert "degraded" not in brine("env", "show", "cart")[1] + brine("env", "list")[1]


def test_cards_of_what_is_degraded(stage: Stage, salt: InstantSalt, brine: Brine) -> None:
    created(stage)
    salt.silent.add("cart-web-1")
    for _ in range(2):
        brine("leaks", "--fix")
    view, server = environments.show(stage.world, "cart"), servers.show(stage.world, "cart-web-1")
    card = cards.environment(view)
    assert card.title == "cart is degraded"
    assert card.lines == ("cart-web-1: its minion does not answer, since 2026-11-02 12:06 UTC.",)
    assert card.buttons[0].command == "retry cart"
    assert [row[1] for row in card.tables[0].rows] == ["ready", "degraded"]
    listed = cards.environments([view], 0).tables[0]
    assert (listed.columns[-1], listed.rows[0][-1]) == ("degraded since", "2026-11-02 12:06 UTC")
    one = cards.server(server)
    assert (one.title, one.lines) == (
        "cart-web-1 is degraded", ("its minion does not answer, since 2026-11-02 12:06 UTC",),
    )  # fmt: skip
    assert one.buttons[-1].command == "retry cart"
    scheduled = text(
        cards.schedule(reaper.jobs(stage.world), zone=stage.world.access.current().access.zone_of(OLGA.person))
    )
    assert "1 server degraded" in scheduled


def told_of_cart(stage: Stage) -> list[Reply]:
    found = [each.now for each in stage.chat.shown() if each.now.title.startswith("cart")]
    return [reply for reply in found if "ready, after" not in reply.title]


def created_and_told(stage: Stage) -> None:
    created(stage)
    stage.until(lambda: any(each.now.title.startswith("cart is ready") for each in stage.chat.shown()))


def test_its_room_is_told_once_of_all_that_died_with_a_button_that_heals(
    stage: Stage, salt: InstantSalt, brine: Brine
) -> None:
    created_and_told(stage)
    salt.silent |= {"cart-api-1", "cart-web-1"}
    for _ in range(3):
        brine("leaks", "--fix")
    stage.until(lambda: told_of_cart(stage))
    (reply,) = told_of_cart(stage)
    assert reply.title == "cart is degraded"
    since = "its minion does not answer, since 2026-11-02 12:06 UTC"
    assert reply.lines == (f"cart-api-1: {since}; cart-web-1: {since}.",)
    assert [(button.label, button.command) for button in reply.buttons] == [("Make it anew", "retry cart")]
    stage.chat.say("UA", reply.buttons[0].command)
    stage.until(lambda: environments.show(stage.world, "cart").degraded is None)
    assert [reply.title for reply in told_of_cart(stage)].count("cart is degraded") == 1


def test_what_is_told_late_is_told_as_it_is_by_then(stage: Stage, salt: InstantSalt, brine: Brine) -> None:
    created_and_told(stage)
    stage.chat.down = True
    salt.silent.add("cart-web-1")
    for _ in range(2):
        brine("leaks", "--fix")
    salt.silent.clear()
    brine("leaks", "--fix")
    stage.chat.down = False
    stage.until(lambda: told_of_cart(stage))
    (reply,) = told_of_cart(stage)
    assert reply.title == "cart had lost a server for a while; it is ready now."
