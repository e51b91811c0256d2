"""`brine up`, `down` and `status` on real processes, after every kind of sudden death."""

import os
import signal
import socket

import pytest

from orchestrator.domain.errors import Conflict
from orchestrator.embedded import home
from orchestrator.embedded import stack as embedded
from orchestrator.settings import CHECKOUT, Settings

pytestmark = pytest.mark.long

PROGRAMS = ("supervisord", "salt-master", "salt-api", "brinepool")


def _sandbox_state(running, server):
    return next(found.state for found in running.status().sandboxes if found.name == server)


def test_up_says_what_it_waits_for_and_then_everything_answers(running_stack):
    assert any(line.startswith("waiting for ") and "salt-master" in line for line in running_stack.said)
    assert running_stack.status().running
    assert [program.name for program in running_stack.status().programs] == list(PROGRAMS)


def test_up_changes_nothing_when_everything_runs(stack):
    before = stack.processes()
    assert stack.up() == []
    assert {process.pid for process in before} <= {process.pid for process in stack.processes()}


@pytest.mark.parametrize("program", PROGRAMS)
def test_status_tells_the_truth_after_a_sudden_death_and_up_heals(stack, program):
    pid = stack.main_process(program)
    before = {process.pid for process in stack.processes(program=program, sandbox="")}
    os.kill(pid, signal.SIGKILL)
    found = stack.status()  # once: supervisor starts it again at the same time
    assert [one.state for one in found.programs if one.name == program] != ["running"]
    assert not found.running
    stack.up()
    assert stack.status().running
    assert not before & {process.pid for process in stack.processes(program=program, sandbox="")}


def test_servers_outlive_the_stack_and_are_healed_by_up(stack):
    made = stack.create("alive-api-1")
    minion = stack.main_process("salt-minion", "alive-api-1")
    os.killpg(stack.main_process("salt-master"), signal.SIGKILL)
    os.kill(stack.main_process("supervisord"), signal.SIGKILL)
    assert _sandbox_state(stack, "alive-api-1") == "running"
    stack.up()
    assert stack.main_process("salt-minion", "alive-api-1") == minion
    for program in ("supervisord", "salt-minion"):
        os.kill(stack.main_process(program, "alive-api-1"), signal.SIGKILL)
    assert _sandbox_state(stack, "alive-api-1") == "stopped"
    stack.up()
    assert _sandbox_state(stack, "alive-api-1") == "running"
    stack.await_minion("alive-api-1")
    assert (
        stack.cloud("-y", "-a", "show_instance", "alive-api-1")["sandbox"]["sandbox"]["alive-api-1"]["address"]
        == made["address"]
    )


@pytest.fixture(scope="module")
def other(start_stack):
    """A second home, with the same ports."""
    return start_stack()


def test_two_homes_side_by_side_and_down_leaves_nothing(stack, other):
    made = {running: running.create("twin-api-1")["address"] for running in (stack, other)}
    assert other.home.network != stack.home.network
    assert [made[running] in map(str, running.home.network) for running in (stack, other)] == [True, True]
    embedded.down(other.settings, other.said.append)
    assert other.processes() == []
    assert {program.state for program in other.status().programs} == {"stopped"}
    assert _sandbox_state(other, "twin-api-1") == "stopped"
    assert stack.status().running
    assert stack.call("twin-api-1", "test.ping") is True
    other.up()
    other.await_minion("twin-api-1")
    assert [sandbox.address for sandbox in other.status().sandboxes] == [made[other]]
    other.destroy("twin-api-1")


@pytest.mark.parametrize(
    ("attribute", "setting"),
    [("salt_api", "BRINE_SALT_API_PORT"), ("salt_return", "BRINE_SALT_RETURN_PORT"), ("brinepool", "BRINE_PORT")],
)
def test_a_port_in_use_is_named_with_its_setting(tmp_path, attribute, setting):
    settings = Settings(home=tmp_path / "home", site=CHECKOUT)
    claimed = home.claim(settings)
    address, port = getattr(claimed, attribute)
    try:
        with (
            socket.create_server((address, port)),
            pytest.raises(Conflict, match=f"{address}:{port} is in use.*{setting}"),
        ):
            embedded.up(settings, print)
        assert {program.state for program in embedded.status(settings).programs} == {"stopped"}
    finally:
        home.release(claimed)


def test_a_changed_setting_restarts_the_stack(other):
    before = other.main_process("brinepool")
    changed = other.settings.model_copy(update={"threads": 3})
    embedded.up(changed, other.said.append)
    assert other.main_process("brinepool") != before
    assert embedded.status(changed).running
