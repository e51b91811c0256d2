"""The command line against a whole Brinepool over the fake Salt: what is printed, and every exit code."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from orchestrator.cli import reap, waiting
from orchestrator.cli.session import Session
from orchestrator.commands import World, environments, operations, tokens
from orchestrator.commands.views import Deploy
from orchestrator.engine import schedule
from tests import programs
from tests.fakes import misbehaviour as bad
from tests.fakes.instant import Travelling
from tests.fakes.salt import wait_until
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, ended, shop
from tests.unit.doors import TOKEN, Brine, becoming, command_line, free_port, served

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture
def url(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    tokens.ensure(world, TOKEN, "ada", "test")
    with served(world) as found:
        monkeypatch.setenv("BRINE_URL", found)
        monkeypatch.setenv("BRINE_TOKEN", TOKEN)
        yield found


@pytest.fixture
def brine(capsys: pytest.CaptureFixture[str]) -> Brine:
    return command_line(capsys)


def test_create_waits_and_shows_addresses(url: str, brine: Brine) -> None:
    code, out, err = brine("env", "create", "shop", "cart", "--branch", "web=feature/cart", "--count", "web=3")
    assert (code, err) == (0, "")
    assert not CONTROL.search(out)
    lines = out.splitlines()
    assert lines[0].startswith("cart: create, operation ")
    assert any(re.search(r" s  cart-web-3  configuring: .+ \(\d/\d\)$", line) for line in lines)
    summary = next(number for number, line in enumerate(lines) if re.match(r"cart is ready after [\d.]+ s;", line))
    table = lines[summary + 1 :]
    assert table[0].split() == ["SERVER", "STATUS", "BRANCH", "COMMIT", "URL", "APP", "OWNER", "AGE"]
    assert [row.split()[:3] for row in table[1:]] == [
        ["cart-api-1", "ready", "main"], *(["cart-web-" + n, "ready", "feature/cart"] for n in "123"),
    ]  # fmt: skip
    assert all("http://127." in row for row in table[1:])


def test_lists_and_show_in_words_and_as_json(url: str, world: World, brine: Brine) -> None:
    assert "brine env create TEMPLATE" in brine("env", "list")[1]
    ended(world, environments.create(world, ALICE, shop("cart")))
    assert "cart" in brine("env", "list")[1]
    assert [each["name"] for each in json.loads(brine("env", "list", "--json")[1])["environments"]] == ["cart"]
    assert json.loads(brine("env", "list", "--owner", "bob", "--json")[1]) == {"environments": []}
    shown = brine("env", "show", "cart")[1]
    assert "alice" in shown
    assert "cart-web-2" in shown
    assert json.loads(brine("env", "show", "cart", "--json")[1])["servers_ready"] == 3
    servers = json.loads(brine("server", "list", "--env", "cart", "--json")[1])["servers"]
    assert [each["name"] for each in servers] == ["cart-api-1", "cart-web-1", "cart-web-2"]
    assert "shop-web" in brine("server", "show", "cart-web-1")[1]
    assert "environment.ready" in brine("env", "events", "cart")[1]
    assert "API_URL from api" in brine("template", "show", "shop")[1]
    assert "Storefront" in brine("template", "list")[1]


def test_deploy_extend_and_terminate(url: str, world: World, brine: Brine) -> None:
    ended(world, environments.create(world, ALICE, shop("cart")))
    assert brine("server", "deploy", "cart-web-1", "feature/cart")[0] == 0
    assert brine("env", "deploy", "cart", "shop-api/feature/tax")[0] == 0
    assert environments.show(world, "cart").branches == {"api": "feature/tax", "web": "feature/cart, main"}
    code, out, _ = brine("env", "extend", "cart", "--by", "1d")
    assert (code, out) == (0, "cart expires in 2d.\n")
    code, out, _ = brine("server", "terminate", "cart-web-2", "--yes")
    assert code == 0
    assert "cart is ready" in out
    code, out, err = brine("env", "terminate", "cart", "--yes")
    assert (code, err) == (0, "")
    assert re.search(r"^cart is gone, after [\d.]+ s\.$", out, re.MULTILINE)


def test_cancel_says_what_became_of_it(url: str, world: World, fake: FakeSaltApi, brine: Brine) -> None:
    ended(world, environments.create(world, ALICE, shop("cart")))
    assert brine("env", "cancel", "cart") == (
        2, "", "Nothing is being done to cart (it is ready), so there is nothing to cancel.\n",
    )  # fmt: skip
    fake.salt.durations = replace(fake.salt.durations, state=1.0)
    environments.deploy(world, ALICE, "cart", Deploy(what="web/feature/cart"))
    wait_until(lambda: environments.show(world, "cart").status == "deploying", 10)
    code, out, err = brine("env", "cancel", "cart")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "ada cancelled the deploy of web/feature/cart to cart."
    assert out.splitlines()[-1] == "cart is failed."
    fake.salt.misbehave(bad.NeverComesUp())
    environments.create(world, ALICE, shop("brief"))
    code, out, err = brine("env", "cancel", "brief")
    assert (code, err) == (0, "")
    assert "brief is gone, after" in out


def test_json_is_all_that_is_printed(url: str, brine: Brine) -> None:
    code, out, err = brine("env", "create", "shop", "cart", "--json")
    outcome = json.loads(out)
    assert (code, err, outcome["operation"]["state"], outcome["environment"]["status"]) == (
        0, "", "succeeded", "ready",
    )  # fmt: skip
    outcome = json.loads(brine("env", "terminate", "cart", "--yes", "--json")[1])
    assert (outcome["operation"]["state"], outcome["environment"]) == ("succeeded", None)


def test_without_waiting_it_says_how_to_watch(url: str, world: World, brine: Brine) -> None:
    code, out, _ = brine("env", "create", "shop", "cart", "--no-wait")
    operation = operations.list_all(world)[0].id
    assert code == 0
    assert out.splitlines() == [
        f"cart: create, operation {operation}",
        "Watch it with: brine env show cart --follow",
    ]
    code, out, _ = brine("env", "show", "cart", "--follow")
    assert code == 0
    assert "cart is ready" in out


def test_a_failed_operation_is_1_and_told_in_three_lines(url: str, fake: FakeSaltApi, brine: Brine) -> None:
    fake.salt.misbehave(bad.FailsDuringHighstate("cart-web-1", state="build", comment="no such wheel: flask"))
    code, out, err = brine("env", "create", "shop", "cart")
    assert code == 1
    assert 1 <= len(err.splitlines()) <= 3
    assert "cart-web-1" in err
    assert "no such wheel: flask" in err
    assert re.search(r"cart-api-1 +ready", out)
    code, out, err = brine("env", "retry", "cart", "--json")
    assert (code, err, json.loads(out)["operation"]["state"]) == (1, "", "failed")
    fake.salt.behave()
    assert brine("env", "retry", "cart")[0] == 0


def test_what_fails_on_several_servers_for_one_reason_is_told_once(url: str, fake: FakeSaltApi, brine: Brine) -> None:
    for name in ("cart-api-1", "cart-web-1"):
        fake.salt.misbehave(
            bad.FailsDuringHighstate(name, state="health", comment=f"Not healthy: http://{name}: it answered 503.")
        )
    code, _, err = brine("env", "create", "shop", "cart")
    assert code == 1
    assert len(err.splitlines()) <= 3
    assert err.startswith("cart-api-1 and cart-web-1: the app starts, but answers 503")


def test_a_missing_branch_is_2_and_exactly_its_three_lines(url: str, world: World, brine: Brine) -> None:
    code, out, err = brine("env", "create", "shop", "--branch", "web=feature/crat")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "web: there is no branch “feature/crat” in https://git.example.org/shop/web.git.",
        "The nearest branch is feature/cart.",
        "Ask again with a branch that exists, or push this one first.",
    ]
    assert environments.list_all(world) == []
    code, out, err = brine("env", "create", "shop", "--branch", "web=feature/crat", "--json")
    assert (code, err, json.loads(out)["error"]["code"]) == (2, "", "branch-missing")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("env", "creat"), "(Did you mean one of: 'create', 'retry'?)"),
        (("enf", "list"), "Did you mean 'env'?"),
        (("env", "create", "shop", "--brnch", "x"), "Did you mean '--branch'?"),
        (("env", "create"), "Missing argument 'TEMPLATE'"),
        (("env", "create", "shop", "--count", "web=many"), "“web=many” is not a number of servers"),
        (("env", "create", "shop", "-b", "a", "-b", "b"), "Give one --branch for all roles"),
        (("server", "logs", "x", "--lines", "0"), "0 is not in the range"),
        (("template", "lint", "/does/not/exist.yaml"), "does not exist"),
        (("env", "terminate", "cart"), "Nobody can be asked here; add --yes to terminate cart."),
        (("reap",), "Say either --dry-run, to see what would be done, or --now, to do it."),
        (("reap", "--dry-run", "--now"), "Say either --dry-run, to see what would be done, or --now, to do it."),
        (("env", "extend", "cart", "--by", "1d", "--until", "friday"), "Say --by or --until, not both."),
        (("env", "hold", "cart", "--for", "1h", "--release"), "Say --for or --release, not both."),
        (("env", "protect", "cart", "--for", "1h", "--off"), "Say --for or --off, not both."),
    ],
)
def test_wrong_usage_is_2(brine: Brine, arguments: tuple[str, ...], sentence: str) -> None:
    code, out, err = brine(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) <= 4


def test_bad_input_is_2(url: str, world: World, brine: Brine) -> None:
    for arguments, sentence in {
        ("env", "create", "shpo"): "There is no template “shpo”. Did you mean shop?",
        ("env", "create", "shop", "Bad_Name"): "cannot be a name",
        ("env", "create", "shop", "--count", "web=9"): "1 to 4 web servers, not 9",
        ("env", "create", "shop", "--for", "soon"): "“soon” is not a duration",
        ("env", "show", "nothing"): "There is no environment “nothing”.",
        ("env", "terminate", "..", "--yes"): "“..” is not a name",
        ("env", "show", "../servers?x=1"): "“../servers?x=1” is not a name",
        ("server", "logs", "nothing-web-1"): "There is no server “nothing-web-1”.",
        ("server", "create", "shop", "web"): "name one with --use",
        ("template", "show", "nothing"): "There is no template “nothing”.",
    }.items():
        code, out, err = brine(*arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1), arguments
        assert sentence in err
    assert environments.list_all(world, ended=True) == []


def test_a_server_that_does_not_answer_is_3(brine: Brine, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("BRINE_URL", nobody)
    monkeypatch.setenv("BRINE_TOKEN", TOKEN)
    code, out, err = brine("env", "list")
    assert (code, out) == (3, "")
    assert err == f"Brinepool does not answer at {nobody}; start it with brine up.\n"


def test_no_home_and_no_token_are_3(brine: Brine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BRINE_HOME", str(tmp_path / "nowhere"))
    code, _, err = brine("env", "list")
    assert code == 3
    assert "run brine up" in err
    monkeypatch.setenv("BRINE_URL", "http://127.0.0.1:1")
    code, _, err = brine("env", "list")
    assert (code, err) == (3, "Set BRINE_TOKEN to a token that http://127.0.0.1:1 knows.\n")


def test_an_unknown_token_is_3(url: str, brine: Brine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINE_TOKEN", "x" * 40)
    code, _, err = brine("env", "list")
    assert code == 3
    assert "does not know your token; check BRINE_TOKEN" in err


def test_a_stranger_at_the_url_is_3(url: str, brine: Brine, fake: FakeSaltApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINE_URL", fake.url)
    code, _, err = brine("env", "list")
    assert code == 3
    assert "is not this version of Brinepool" in err


@pytest.mark.parametrize("wrong", ["nonsense", "http://", "ftp://127.0.0.1"])
def test_a_wrong_url_is_2(brine: Brine, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("BRINE_URL", wrong)
    monkeypatch.setenv("BRINE_TOKEN", TOKEN)
    code, _, err = brine("env", "list")
    assert code == 2
    assert "is not a URL of Brinepool" in err


def test_a_mistake_of_the_server_is_1_and_names_its_reference(
    url: str, brine: Brine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(environments, "list_all", stumble)
    code, _, err = brine("env", "list")
    assert code == 1
    assert re.fullmatch(r"Brinepool made a mistake of its own; its log tells more under \w{8}\.\n", err)


def test_lint_checks_files_without_a_server(brine: Brine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINE_HOME", str(tmp_path / "nowhere"))
    assert brine("template", "lint")[0] == 0  # what we ship is right
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: wrong\nroles:\n  api: {app: x, port: many}\n")
    code, _, err = brine("template", "lint", str(wrong))
    assert code == 2
    assert f"{wrong}:3:" in err
    code, out, _ = brine("template", "lint", str(wrong), "--json")
    assert code == 2
    assert json.loads(out)["problems"][0]["line"] == 3


def test_a_log_cannot_drive_the_terminal(url: str, world: World, brine: Brine, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.commands import servers
    from orchestrator.commands.views import LogView

    lines = ["\x1b[2Jwiped", "[bold]not markup[/]", "tab\there"]
    monkeypatch.setattr(servers, "logs", lambda *_, **__: LogView(server="cart-web-1", lines=lines))
    assert brine("server", "logs", "cart-web-1")[1].splitlines() == ["[2Jwiped", "[bold]not markup[/]", "tab\there"]


def test_terminating_asks_and_asks_again_when_others_need_it(
    url: str, world: World, brine: Brine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(world, environments.create(world, ALICE, shop("cart")))
    monkeypatch.setattr(Session, "interactive", True)
    asked: list[str] = []

    def answer(*answers: bool) -> None:
        left = list(answers)
        asked.clear()
        monkeypatch.setattr(waiting.click, "confirm", lambda text: asked.append(text) or left.pop(0))

    answer(False)
    assert brine("server", "terminate", "cart-api-1")[0] == 2
    answer(True, False)
    code, _, err = brine("server", "terminate", "cart-api-1")
    assert (code, err) == (2, "Nothing was terminated.\n")
    assert len(asked) == 2
    assert "cart-web-1 and cart-web-2 need cart-api-1" in asked[1]
    assert len(environments.show(world, "cart").servers) == 3
    answer(True, True)
    assert brine("server", "terminate", "cart-api-1")[0] == 0
    answer(True)
    assert brine("env", "terminate", "cart")[0] == 0
    assert asked == ["Terminate cart (shop, 2 servers, owner alice)?"]


def test_every_command_has_help_with_an_example(brine: Brine) -> None:
    from orchestrator.cli.main import brine as group

    def commands(command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:  # type: ignore[no-untyped-def]
        if hasattr(command, "commands"):
            for name, child in command.commands.items():
                yield from commands(child, (*path, name))
        else:
            yield path

    paths = list(commands(group, ()))
    assert len(paths) >= 20
    for path in paths:
        code, out, _ = brine(*path, "-h")
        assert code == 0
        assert "Example" in out, path
        if path[0] in ("env", "server", "template"):
            assert "--json" in out, path


def test_a_setting_that_is_wrong_is_named(brine: Brine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRINE_PORT", "many")
    code, _, err = brine("env", "list")
    assert code == 2
    assert err.startswith("The setting BRINE_PORT is wrong")


# What ends by itself, and what keeps it


@pytest.fixture
def clock() -> Travelling:
    return Travelling(datetime(2026, 11, 25, 10, tzinfo=UTC))


@pytest.fixture
def still(
    fake: FakeSaltApi, tmp_path: Path, clock: Travelling, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[World, Callable[[str], None]]]:
    """A served Brinepool in which no time goes by and nothing runs by itself, and a way to be somebody."""
    monkeypatch.setattr(schedule, "TICK_S", 86_400)
    with (
        programs.brinepool(programs.settings_for(tmp_path), fake.connect(), clock) as world,
        served(world) as url,
    ):
        monkeypatch.setenv("BRINE_URL", url)
        become = becoming(world, monkeypatch)
        schedule.run_due(clock.now())  # it notes since when each job is known
        clock.forward(timedelta(seconds=1))
        yield world, become


def until_delivered(world: World) -> None:
    """A warning is told soon, not at once."""
    deadline = monotonic() + 20
    while True:
        with world.store.transaction() as ledger:
            if all(each.delivered_at for those in ledger.reaper.warnings().values() for each in those):
                return
        assert monotonic() < deadline
        world.hub.wait(world.hub.count, 0.05)


def test_a_dry_run_says_what_the_run_then_does(
    still: tuple[World, Callable[[str], None]], clock: Travelling, brine: Brine
) -> None:
    world, _ = still
    for name in ("cart", "kept"):
        ended(world, environments.create(world, ALICE, shop(name, roles=["api"])))
    assert brine("reap", "--dry-run") == (0, "Nothing is due.\n", "")
    brine("env", "protect", "kept", "--why", "shown on friday")
    clock.forward(timedelta(hours=21))
    planned = brine("reap", "--dry-run")
    assert planned[1].splitlines() == [
        "WARN",
        "  cart is warned about: expires in 3h. It goes at 2026-11-26 10:00 UTC at the earliest.",
    ]
    assert brine("reap", "--now") == planned
    assert brine("reap", "--now") == (
        2, "", "A run for this very second has begun already; look at it with brine schedule.\n",
    )  # fmt: skip
    until_delivered(world)
    clock.forward(timedelta(hours=4))
    assert brine("reap", "--dry-run")[1].splitlines() == [
        "REAP",
        "  cart goes: expired 1h ago.",
        "KEEP",
        "  kept stays: protected by olga without end (shown on friday). Otherwise it would go: expired 1h ago.",
    ]
    did = json.loads(brine("reap", "--now", "--json")[1])
    assert [(each["kind"], each["environment"]) for each in did["actions"]] == [("reap", "cart"), ("keep", "kept")]
    assert did["result"] == "1 reaped, 1 kept"
    rows = brine("schedule")[1].splitlines()
    assert rows[0].split() == ["JOB", "WHEN", "NEXT", "LAST", "TOOK", "RESULT"]
    assert rows[1].endswith("1 reaped, 1 kept")
    assert [row.split()[0] for row in rows[1:]] == ["reap", "branches", "sweep", "nightly"]
    assert "never yet" in rows[4]
    assert json.loads(brine("schedule", "--json")[1])["jobs"][0]["last"]["reaped"] == 1


def test_a_run_is_waited_for_and_can_be_left_alone(
    still: tuple[World, Callable[[str], None]], brine: Brine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = still
    object.__setattr__(world, "start_run", lambda run: None)  # it never gets going
    monkeypatch.setattr(reap, "PATIENCE_S", 0)
    code, out, err = brine("reap", "--now")
    assert (code, out) == (3, "")
    assert err == "The run has not ended in time; it goes on. Look at it with: brine schedule\n"
    assert "running" in brine("schedule")[1]


def test_holding_and_protecting(still: tuple[World, Callable[[str], None]], brine: Brine) -> None:
    world, become = still
    ended(world, environments.create(world, ALICE, shop("cart", roles=["api"])))
    assert "KEPT" not in brine("env", "list")[1]
    code, out, _ = brine("env", "protect", "cart", "--until", "2026-11-27 09:00 Europe/Berlin")
    assert (code, out.startswith("cart is protected by olga until 2026-11-2")) == (0, True)
    assert environments.show(world, "cart").protected_until == datetime(2026, 11, 27, 8, tzinfo=UTC)
    become("ada")
    code, out, _ = brine("env", "hold", "cart", "--for", "4h")
    assert (code, out.startswith("cart is held by ada until 2026-11-25")) == (0, True)
    for shown in (brine("env", "show", "cart")[1], brine("env", "list")[1]):
        assert re.search(r"held by ada until [\d: -]+; protected by olga until ", shown)
    assert json.loads(brine("env", "show", "cart", "--json")[1])["held_until"] == "2026-11-25T14:00:01Z"
    assert brine("env", "hold", "cart", "--release") == (0, "cart is not held any more; it expires in 1d.\n", "")
    code, _, err = brine("env", "protect", "cart", "--off")
    assert code == 3
    assert err.startswith("ada is a developer here and may not protect environments")
    become("olga")
    assert brine("env", "protect", "cart", "--off") == (0, "cart is not protected any more; it expires in 1d.\n", "")
    brine("env", "protect", "cart")
    assert "protected by olga, without end" in brine("env", "show", "cart")[1]


def test_extending_until_a_moment(still: tuple[World, Callable[[str], None]], brine: Brine) -> None:
    world, _ = still
    ended(world, environments.create(world, ALICE, shop("cart", roles=["api"])))
    assert brine("env", "extend", "cart", "--until", "2026-11-27T10:00+00:00") == (0, "cart expires in 2d.\n", "")
    assert brine("env", "extend", "cart", "--until", "2026-11-27 12:00 Europe/Berlin")[1] == "cart expires in 2d 1h.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("env", "create", "shop", "--for", "-1d"), 2, "“-1d” is not a duration"),
        (("env", "create", "shop", "--for", "400d"), 2, "“400d” is more than a year"),
        (("env", "create", "shop", "--for", "10d"), 2, "3d"),
        (("env", "extend", "cart", "--by", "-1d"), 2, "“-1d” is not a duration"),
        (("env", "extend", "cart", "--by", "10d"), 2, "cart may live 3d in all"),
        (("env", "extend", "cart", "--by", ""), 2, "What you gave as “by” is wrong"),
        (("env", "extend", "cart", "--until", "2026-02-30 09:00"), 2, "“2026-02-30 09:00” is no moment"),
        (("env", "extend", "cart", "--until", "25:00"), 2, "“25:00” is no moment"),
        (("env", "extend", "cart", "--until", "2026-11-27 09:00 Mars/Olympus"), 2, "“Mars/Olympus” is no time zone"),
        (("env", "extend", "cart", "--until", "2020-01-01 09:00 UTC"), 2, "2020-01-01 09:00 UTC is over already"),
        (("env", "extend", "cart", "--until", "2099-01-01 09:00 UTC"), 2, "cart may live 3d in all"),
        (("env", "protect", "cart", "--until", "9999-12-31 09:00 UTC"), 2, "further away than the calendar goes"),
        (("env", "protect", "cart", "--until", "9999-12-31T23:59-12:00"), 2, "is no moment"),
        (("env", "protect", "cart", "--for", "-7d"), 2, "“-7d” is not a duration"),
        (("env", "protect", "cart", "--for", "400d"), 2, "“400d” is more than a year"),
        (("env", "hold", "cart", "--for", "9d"), 2, "can be held for debugging for"),
        (("env", "hold", "cart", "--release"), 2, "cart is not held."),
        (("env", "protect", "cart", "--off"), 2, "cart is not protected."),
        (("env", "hold", "nothing"), 2, "There is no environment “nothing”."),
    ],
)
def test_times_that_cannot_be_are_refused_with_one_sentence(
    still: tuple[World, Callable[[str], None]], brine: Brine, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    world, _ = still
    ended(world, environments.create(world, ALICE, shop("cart", roles=["api"])))
    before = environments.show(world, "cart")
    assert brine(*arguments)[:2] == (code, "")
    err = brine(*arguments)[2]
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert environments.show(world, "cart") == before
    assert len(environments.list_all(world)) == 1


def test_who_may_only_look_keeps_nothing_alive(still: tuple[World, Callable[[str], None]], brine: Brine) -> None:
    world, become = still
    ended(world, environments.create(world, ALICE, shop("cart", roles=["api"])))
    become("vic")
    for arguments in (("env", "extend", "cart"), ("env", "hold", "cart"), ("reap", "--now")):
        code, out, err = brine(*arguments)
        assert (code, out, len(err.splitlines())) == (3, "", 1), arguments
        assert "vic is a viewer here and may not" in err
    assert brine("reap", "--dry-run")[0] == brine("schedule")[0] == 0


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("TIMEZONE", "Mars/Olympus", "“Mars/Olympus” is no time zone"),
        ("NIGHTLY_AT", "25:00", "“25:00” is no time of day"),
        ("NIGHTLY_AT", "0 3 31 2 *", "“0 3 31 2 *” is no time of day"),
        ("REAP_EVERY", "0s", "is no time at all"),
        ("REAP_EVERY", "2d", "cannot run every 2d"),
        ("SWEEP_EVERY", "1s", "cannot run every 1s"),
        ("RETENTION", "-90d", "“-90d” is not a duration"),
    ],
)
def test_a_schedule_that_can_never_be_is_refused(
    brine: Brine, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"BRINE_{name}", value)
    code, out, err = brine("schedule")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"The setting BRINE_{name} is wrong")
    assert sentence in err
