"""Leaks and servers that died, on the embedded stack: found by sweeps, removed or healed, and strangers left alone."""

import os
import signal
from typing import Any

import pytest

from tests import records
from tests.contract.legs import SHOP
from tests.embedded import RunningStack, wait_for

from .test_brinepool import answer, brine, created, env, of_role, page, traces

pytestmark = pytest.mark.long

__all__ = ["env"]  # a fixture
STRANGER = "lost-web-1"  # a name like ours


def swept(stack: RunningStack) -> dict[str, str]:
    """Sweep now. → server → what was done."""
    return {leak["server"]: leak["what"] for leak in answer(stack, "leaks", "--fix")["leaks"]}


def kill(stack: RunningStack, server: str) -> None:
    """Its supervisord first, which would start the minion again. Only what runs in this home."""
    for program in ("supervisord", "salt-minion"):
        for process in stack.processes(program=program, sandbox=server):
            os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not stack.processes(program="salt-minion", sandbox=server))


def state(stack: RunningStack, *servers: dict[str, Any]) -> list[tuple[set[int], str]]:
    """Of each: its processes, and the job that configured it last."""
    names = [server["name"] for server in servers]
    jids = [answer(stack, "server", "show", name)["jid"] for name in names]
    return [({each.pid for each in stack.processes(sandbox=name)}, jid) for name, jid in zip(names, jids, strict=True)]


def test_a_server_that_died_is_found_and_retry_heals_it_alone(stack: RunningStack, env: None) -> None:
    cart = created(stack, "cart")
    (api,), (web, other) = of_role(cart, "api"), of_role(cart, "web")
    untouched = state(stack, api, other)
    kill(stack, web["name"])
    swept(stack)
    swept(stack)
    shown = answer(stack, "env", "show", "cart")
    assert shown["degraded"].startswith(f"{web['name']}: its machine is stopped, since 20")
    assert shown["degraded_since"] is not None
    told = brine(stack, "env", "show", "cart").stdout
    assert shown["degraded"] in told
    assert "brine env retry cart" in told
    assert brine(stack, "env", "list").stdout.splitlines()[0].endswith("DEGRADED SINCE")

    assert brine(stack, "env", "retry", "cart").returncode == 0
    healed = answer(stack, "env", "show", "cart")
    assert (healed["status"], healed["degraded"], healed["servers_ready"]) == ("ready", None, 3)
    assert state(stack, api, other) == untouched
    assert all(api["url"] in page(each) for each in of_role(healed, "web"))
    assert stack.call(web["name"], "test.ping") is True
    assert web["name"] not in swept(stack)


def test_what_nobody_has_is_removed_at_the_second_sighting_and_a_stranger_is_left_alone(
    stack: RunningStack, stranger: None
) -> None:
    left, salt = "old-api-1", stack.connect()
    try:
        salt.create(records.record(left, SHOP), "small", 60)
    finally:
        salt.close()
    (seen,) = (each for each in answer(stack, "leaks")["leaks"] if each["server"] == left)
    assert (seen["kind"], seen["times"]) == ("remove", 0)
    assert seen["reason"] == "the machine, key and record of a server that Brinepool does not have"
    assert swept(stack)[left].startswith("seen for the first time")
    assert all(traces(stack, "old").values())
    assert swept(stack)[left] == "removed"
    assert not any(traces(stack, "old").values()), traces(stack, "old")
    assert not {left, STRANGER} & swept(stack).keys()
    assert STRANGER in stack.accepted_keys()


@pytest.fixture
def stranger(stack: RunningStack, tmp_path: Any) -> Any:
    """The accepted key of a minion that Brinepool has never heard of."""
    made = stack.run("salt-key", f"--gen-keys={STRANGER}", f"--gen-keys-dir={tmp_path}")
    assert made.returncode == 0, made.stderr
    accepted = stack.home.salt / "pki" / "minions" / STRANGER
    accepted.write_text((tmp_path / f"{STRANGER}.pub").read_text())
    yield
    accepted.unlink(missing_ok=True)
