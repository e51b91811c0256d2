"""The whole path for real, through the command line: template, salt-cloud, minions, highstate, wiring, and back."""

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import RunningStack, wait_for


def brine(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One `brine` command, as a person's shell would run it."""
    environment = {"PATH": os.environ["PATH"], "BRINE_HOME": str(stack.home.root), "LANG": "C.UTF-8"}
    command = [str(stack.home.bin / "brine"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def answer(stack: RunningStack, *arguments: str) -> Any:
    """What a command answers as JSON."""
    done = brine(stack, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def created(stack: RunningStack, name: str, *options: str) -> dict[str, Any]:
    """A new environment of `shop`, ready."""
    done = brine(stack, "env", "create", "shop", name, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return answer(stack, "env", "show", name)


def page(server: dict[str, Any]) -> str:
    with urllib.request.urlopen(server["url"], timeout=10) as response:
        return response.read().decode()


def of_role(shown: dict[str, Any], role: str) -> list[dict[str, Any]]:
    return [server for server in shown["servers"] if server["role"] == role]


def traces(stack: RunningStack, name: str) -> dict[str, list[str]]:
    """Whatever is left of an environment: processes, folders, keys, cache entries, open ports."""
    banks = stack.home.salt / "cache"
    return {
        "processes": [str(process) for process in stack.processes() if name in process.marks.get("BRINE_SANDBOX", "")],
        "folders": [folder.name for folder in stack.home.sandboxes.iterdir() if folder.name.startswith(name)],
        "keys": [key for key in stack.accepted_keys() if key.startswith(name)],
        "cache": [
            str(entry)
            for entry in banks.rglob(f"{name}-*")
            if "tombstones" not in str(entry) and "jobs" not in entry.relative_to(banks).parts[:1]
        ],
    }


@pytest.fixture
def env(stack: RunningStack):
    """Terminates what a test made, also when it failed."""
    yield
    for found in answer(stack, "env", "list")["environments"]:
        brine(stack, "env", "terminate", found["name"], "--yes")


def test_two_environments_on_two_branches_are_wired_each_to_its_own_sibling(stack: RunningStack, env: None) -> None:
    cart = created(stack, "cart", "--branch", "feature/cart")
    tax = created(stack, "tax", "--branch", "feature/tax")
    (cart_api,), (tax_api,) = of_role(cart, "api"), of_role(tax, "api")
    assert len(of_role(cart, "web")) == 2
    for web in of_role(cart, "web"):
        assert cart_api["url"] in page(web)
        assert "Add to cart" in page(web)
    for web in of_role(tax, "web"):
        assert tax_api["url"] in page(web)
        assert "Add to cart" not in page(web)
    assert page(of_role(tax, "web")[0]) != page(of_role(cart, "web")[0])

    server = of_role(cart, "web")[0]["name"]
    assert brine(stack, "server", "deploy", server, "main").returncode == 0
    after = {each["name"]: each["branch"] for each in answer(stack, "server", "list", "--env", "cart")["servers"]}
    assert after.pop(server) == "main"
    assert "main" not in {branch for name, branch in after.items() if "web" in name}

    for name in ("cart", "tax"):
        assert brine(stack, "env", "terminate", name, "--yes").returncode == 0
        assert not any(traces(stack, name).values()), traces(stack, name)


def test_a_misspelt_branch_is_noticed_before_anything_is_built(stack: RunningStack) -> None:
    done = brine(stack, "env", "create", "shop", "typo", "--branch", "web=no-such-branch")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) <= 3
    assert "no-such-branch" in lines[0]
    assert "https://git.example.org/shop/web.git" in lines[0]
    assert lines[1].startswith("The nearest branch")
    assert not any(traces(stack, "typo").values())


def test_without_the_early_check_the_highstate_says_the_same(
    stack: RunningStack, start_stack: Callable[..., RunningStack]
) -> None:
    early = brine(stack, "env", "create", "shop", "typo", "--branch", "web=no-such-branch").stderr.splitlines()
    late_stack = start_stack(early_branch_check=False)
    done = brine(late_stack, "env", "create", "shop", "typo", "--branch", "web=no-such-branch", "--count", "web=1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-3:] == early
    shown = answer(late_stack, "env", "show", "typo")
    assert {server["role"]: server["status"] for server in shown["servers"]} == {"api": "ready", "web": "failed"}
    assert brine(late_stack, "env", "terminate", "typo", "--yes").returncode == 0
    assert not any(traces(late_stack, "typo").values())


def test_a_failed_create_keeps_the_healthy_servers_and_terminates_to_nothing(stack: RunningStack, env: None) -> None:
    done = brine(stack, "env", "create", "shop", "sick", "--branch", "web=broken/build", "--count", "web=1")
    assert done.returncode == 1
    shown = answer(stack, "env", "show", "sick")
    assert shown["status"] == "failed"
    assert of_role(shown, "api")[0]["status"] == "ready"
    assert of_role(shown, "web")[0]["failure"]["title"].startswith("sick-web-1: pip finds no package for “")
    assert len(done.stderr.splitlines()) <= 3
    assert brine(stack, "env", "deploy", "sick", "web/main").returncode == 0
    assert answer(stack, "env", "show", "sick")["status"] == "ready"
    assert brine(stack, "env", "deploy", "sick", "web/broken/build").returncode == 1
    assert brine(stack, "env", "terminate", "sick", "--yes").returncode == 0
    assert not any(traces(stack, "sick").values()), traces(stack, "sick")


@pytest.mark.long
@pytest.mark.parametrize("program", ["brinepool", "salt-api", "salt-master"])
def test_a_part_that_is_killed_in_the_middle_of_a_create_costs_only_seconds(
    stack: RunningStack, env: None, program: str
) -> None:
    started = answer(stack, "env", "create", "shop", "tough", "--no-wait")
    wait_for(lambda: any(folder.name.startswith("tough") for folder in stack.home.sandboxes.iterdir()))
    os.kill(stack.main_process(program), signal.SIGKILL)
    wait_for(lambda: stack.status().running)
    shown = wait_for(lambda: settled(stack, "tough"), 120)
    assert shown["status"] == "ready", shown["failure"]
    assert shown["operation"] == started["operation"]["id"]
    assert [server["status"] for server in shown["servers"]] == ["ready"] * 3
    assert len(stack.status().sandboxes) == 3
    (api,) = of_role(shown, "api")
    assert all(api["url"] in page(web) for web in of_role(shown, "web"))


def settled(stack: RunningStack, name: str) -> dict[str, Any] | None:
    """The environment once it is ready or failed."""
    done = brine(stack, "env", "show", name, "--json")
    shown = json.loads(done.stdout) if done.returncode == 0 else {}
    return shown if shown.get("status") in ("ready", "failed") else None


def test_terminate_in_the_middle_of_a_create_leaves_nothing(stack: RunningStack, env: None) -> None:
    answer(stack, "env", "create", "shop", "brief", "--no-wait")
    wait_for(lambda: any(folder.name.startswith("brief") for folder in stack.home.sandboxes.iterdir()))
    assert brine(stack, "env", "terminate", "brief", "--yes").returncode == 0
    assert not any(traces(stack, "brief").values()), traces(stack, "brief")


def test_a_highstate_by_hand_while_the_orchestrator_is_down_changes_nothing_and_wires_the_same(
    stack: RunningStack, env: None
) -> None:
    shown = created(stack, "alone", "--count", "web=1")
    web = of_role(shown, "web")[0]
    before = page(web)
    pid = stack.main_process("brinepool")
    os.kill(pid, signal.SIGSTOP)
    try:
        states = stack.call(web["name"], "state.apply")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert all(state["result"] for state in states.values())
    assert page(web) == before


def test_wrong_credentials_for_salt_api_are_one_sentence(
    start_stack: Callable[..., RunningStack], tmp_path: Path
) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("not the password")
    stack = start_stack(salt_api_password_file=wrong)
    done = brine(stack, "env", "create", "shop", "--branch", "feature/cart")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "refuse" in done.stderr
