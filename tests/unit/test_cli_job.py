"""`brine job`, and `--failure full`: the whole return, for ops, readable and as JSON."""

import json
import re
from collections.abc import Callable, Iterator

import pytest

from orchestrator.cli.job_render import job_lines, return_lines
from orchestrator.commands import World, environments
from orchestrator.commands.views import SaltJobView
from tests.fakes import misbehaviour as bad
from tests.fakes.saltapi import FakeSaltApi
from tests.programs import ALICE, ended, shop
from tests.unit.doors import Brine, becoming, command_line, served

Become = Callable[[str], None]
WEB = "cart-web-1"


@pytest.fixture
def become(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Become]:
    """Use the command line as this person; olga at first."""
    with served(world) as url:
        monkeypatch.setenv("BRINE_URL", url)
        yield becoming(world, monkeypatch)


@pytest.fixture
def brine(become: Become, capsys: pytest.CaptureFixture[str]) -> Brine:
    return command_line(capsys)


@pytest.fixture
def jid(world: World, fake: FakeSaltApi) -> str:
    """The job of the one server that failed: its build printed something."""
    changes = {"stdout": "compiling\n", "stderr": "no such wheel: flask\nin \x1b[31mred", "retcode": 1}
    fake.salt.misbehave(bad.FailsDuringHighstate(WEB, state="build", comment="It failed\nhere", changes=changes))
    ended(world, environments.create(world, ALICE, shop("cart")))
    [server] = [each for each in environments.show(world, "cart").servers if each.name == WEB]
    assert server.jid
    return server.jid


def test_a_line_for_each_state_and_all_that_a_failed_one_said(jid: str, brine: Brine) -> None:
    code, out, err = brine("job", jid)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{WEB}: job {jid}, retcode 2"
    assert [re.split(r" {2,}", line.strip()) for line in lines[1:4]] == [
        ["✔ checkout", "git.latest", "0.0 s"],
        ["✔ env", "brinepool_app.env_file", "0.0 s"],
        ["✘ build", "brinepool_app.built", "0.0 s"],
    ]
    assert [line.strip() for line in lines[4:]] == [
        "It failed",
        "here",
        "stdout:",
        "compiling",
        "stderr:",
        "no such wheel: flask",
        "in [31mred",
        "– 3 did not run because build failed: service-definition, service, health",  # noqa: RUF001
    ]


def test_json_has_it_all_and_is_explained_by_failures_test(
    jid: str, brine: Brine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    code, out, _ = brine("job", jid, "--json")
    assert code == 0
    assert json.loads(out)["returns"][WEB]["brinepool_app_|-build_|-build_|-built"]["comment"] == "It failed\nhere"
    saved = tmp_path_factory.mktemp("saved") / "job.json"
    saved.write_text(out)
    assert WEB in brine("failures", "test", str(saved))[1]


@pytest.mark.parametrize("wrong", ["1", "..", "2026112509300012345x", "../../healthz"])
def test_what_is_no_job_id_is_2(brine: Brine, wrong: str) -> None:
    code, out, err = brine("job", wrong)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert f"“{wrong}” is not a job id of Salt" in err


def test_a_job_that_salt_has_forgotten_is_2(jid: str, brine: Brine, fake: FakeSaltApi) -> None:
    fake.salt.jobs.clear()
    assert brine("job", jid) == (2, "", f"Salt knows no job {jid}; it keeps what was returned for 24 hours.\n")


def test_developers_are_told_who_may(jid: str, brine: Brine, become: Become) -> None:
    become("ada")
    sentence = "ada is a developer here and may not read what Salt returned as a whole; that takes the role ops"
    code, out, err = brine("job", jid)
    assert (code, out, len(err.splitlines())) == (3, "", 1)
    assert err.startswith(sentence)
    code, out, err = brine("env", "show", "cart", "--failure", "full")
    assert code == 3
    assert WEB in out
    assert err.startswith(sentence)
    code, out, err = brine("env", "show", "cart", "--failure", "full", "--json")
    assert (code, err, json.loads(out)["error"]["code"]) == (3, "", "role-too-low")
    assert brine("env", "show", "cart")[0] == 0


def test_an_environment_with_all_that_its_failed_servers_returned(jid: str, brine: Brine) -> None:
    short = brine("env", "show", "cart")[1]
    code, out, err = brine("env", "show", "cart", "--failure", "full")
    assert (code, err) == (0, "")
    assert out.startswith(short)
    whole = out.removeprefix(short)
    assert whole.strip().startswith(brine("job", jid)[1].strip())
    assert "cart-api-1" not in whole
    shown = json.loads(brine("env", "show", "cart", "--failure", "full", "--json")[1])
    assert shown["name"] == "cart"
    assert shown["jobs"] == {WEB: json.loads(brine("job", jid, "--json")[1])}


def test_a_server_with_all_that_it_returned(jid: str, brine: Brine) -> None:
    assert f"{WEB}: job {jid}, retcode 2" in brine("server", "show", WEB, "--failure", "full")[1]
    assert list(json.loads(brine("server", "show", WEB, "--failure", "full", "--json")[1])["jobs"]) == [WEB]
    assert brine("server", "show", "cart-api-1", "--failure", "full")[1].endswith("\nNothing failed there.\n")


def test_one_that_expired_is_told_with_the_evidence_beside_the_others(
    jid: str, brine: Brine, fake: FakeSaltApi
) -> None:
    del fake.salt.jobs[jid]
    code, out, _ = brine("env", "show", "cart", "--failure", "full")
    assert code == 0
    assert f"{WEB}: Salt knows no job {jid}; it keeps what was returned for 24 hours.\n" in out
    assert "no such wheel: flask" in out.partition("Salt knows no job")[2]
    shown = json.loads(brine("env", "show", "cart", "--failure", "full", "--json")[1])
    assert shown["jobs"][WEB]["error"]["code"] == "job-unknown"


def test_one_that_failed_before_it_had_a_job_says_so(world: World, brine: Brine, fake: FakeSaltApi) -> None:
    fake.salt.misbehave(bad.CreateFails(WEB, detail="the hypervisor is on holiday"))
    ended(world, environments.create(world, ALICE, shop("cart")))
    code, out, _ = brine("env", "show", "cart", "--failure", "full")
    assert code == 0
    below = out.partition(f"{WEB}: it failed before Salt was given a job.\n")[2]
    assert "the hypervisor is on holiday" in below
    assert json.loads(brine("env", "show", "cart", "--failure", "full", "--json")[1])["jobs"] == {WEB: None}


def test_watching_and_the_whole_failure_do_not_go_together(brine: Brine) -> None:
    code, _, err = brine("env", "show", "cart", "--follow", "--failure", "full")
    assert code == 2
    assert "Say --follow or --failure full, not both." in err


# What minions return, in lines


def states(*given: tuple[str, dict[str, object]]) -> dict[str, object]:
    return {
        f"cmd_|-{name}_|-{name}_|-run": {"__id__": name, "__sls__": "app", "__run_num__": number, **state}
        for number, (name, state) in enumerate(given)
    }


def skipped(comment: str, result: bool = False) -> dict[str, object]:
    return {"result": result, "comment": comment, "__state_ran__": False}


def test_what_did_not_run_is_one_line_for_each_root() -> None:
    ret = states(
        ("one", {"result": False, "comment": "no", "duration": 1500.0}),
        ("two", {"result": None, "comment": "would change", "duration": "0.1 ms"}),
        ("a", skipped("One or more requisite failed: app.one")),
        ("b", skipped("One or more requisite failed: app.a")),
        ("c", skipped("One or more requisite failed: app.b, app.a")),
        ("d", skipped("One or more requisite failed: gone.elsewhere")),
        ("e", skipped("State was not run because none of the onchanges reqs changed", result=True)),
    )
    assert return_lines(ret) == [
        "✘ one  cmd.run     1.5 s",
        "    no",
        "– two  cmd.run     0.0 s",  # noqa: RUF001
        "– 3 did not run because one failed: a, b, c",  # noqa: RUF001
        "– 1 did not run because gone.elsewhere failed: d",  # noqa: RUF001
        "– 1 did not run because none of the onchanges reqs changed: e",  # noqa: RUF001
    ]


def test_states_that_blame_each_other_end() -> None:
    ret = states(
        ("a", skipped("One or more requisite failed: app.b")), ("b", skipped("One or more requisite failed: app.a"))
    )
    assert len(return_lines(ret)) <= 2


def test_many_that_did_not_run_are_still_one_line() -> None:
    ret = states(
        ("root", {"result": False, "comment": "no"}),
        *((f"s{number}", skipped("One or more requisite failed: app.root")) for number in range(400)),
    )
    assert return_lines(ret)[-1].endswith("s8, s9 and 390 more")


@pytest.mark.parametrize(
    ("ret", "lines"),
    [
        (["Rendering SLS failed:\nline 3", "and more"], ["Rendering SLS failed:", "line 3", "and more"]),
        ("'x.y' is not available.", ["'x.y' is not available."]),
        (True, ["true"]),
        ({}, ["{}"]),
        ({"a": 1}, ["{", '  "a": 1', "}"]),
        ({"cmd_|-a_|-a_|-run": "no state"}, ["{", '  "cmd_|-a_|-a_|-run": "no state"', "}"]),
        ({"odd_|-": {"result": False, "comment": ["a"]}}, ["✘   odd.     0.0 s", '    ["a"]']),
    ],
)  # fmt: skip
def test_returns_that_are_no_states(ret: object, lines: list[str]) -> None:
    assert return_lines(ret) == lines


def test_what_did_not_return_and_what_a_runner_did() -> None:
    silent = SaltJobView(jid="1", returns={"a-web-1": None}, retcodes={"a-web-1": None})
    assert job_lines(silent) == ["a-web-1: it has not returned."]
    runner = SaltJobView(
        jid="1",
        function="runner.brinepool.inventory",
        arguments=[{"a": 1}, "b"],
        returns={"m": "ok"},
        retcodes={"m": 0},
    )
    assert job_lines(runner) == ['runner.brinepool.inventory {"a": 1} b', "m: job 1, retcode 0", "  ok"]
