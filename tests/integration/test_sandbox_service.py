"""Salt's service functions and states in a sandbox: what they do to real processes, and what they say about it."""

from pathlib import Path

import pytest

from tests.embedded import Machine, wait_for

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def machine(running_stack):
    """One server for all of these tests; each uses services of its own names."""
    running_stack.up()
    running_stack.create("served-api-1")
    yield Machine(running_stack, "served-api-1")
    running_stack.destroy("served-api-1")


def test_a_service_starts_is_left_alone_and_restarts_with_its_new_definition(machine):
    machine.define("app", "/bin/sleep 111111")
    started = machine.state("service.running", "app", "enable=True")
    assert (started["result"], started["changes"]) == (True, {"app": True})
    again = machine.state("service.running", "app")
    assert (again["result"], again["changes"]) == (True, {})
    machine.define("app", "/bin/sleep 222222")
    assert machine.call("service.restart", "app") is True
    running = [Path(f"/proc/{one.pid}/cmdline").read_text() for one in machine.stack.processes(sandbox=machine.name)]
    assert [line for line in running if "222222" in line or "111111" in line] == ["/bin/sleep\x00222222\x00"]
    assert machine.call("service.stop", "app") is True
    assert machine.call("service.status", "app") is False


def test_a_service_that_cannot_be_started_is_a_failed_start(machine):
    machine.define("absent", "/no/such/program")
    failed = machine.state("service.running", "absent")
    assert failed["result"] is False
    assert "/no/such/program" in failed["comment"]
    assert machine.call("service.status", "absent") is False


def test_a_service_that_dies_is_not_called_running(machine):
    machine.define("broken", "/bin/sh -c 'exit 3'", "autorestart = false", "startretries = 0")
    machine.call("service.start", "broken")
    wait_for(lambda: machine.call("service.status", "broken") is False)
    machine.define("broken", "/bin/sleep 100")
    assert machine.state("service.running", "broken")["changes"] == {"broken": True}


def test_a_service_that_nobody_defined_fails(machine):
    failed = machine.state("service.running", "nothing")
    assert failed["result"] is False
    assert "not available" in failed["comment"]
    assert machine.call("service.missing", "nothing") is True


def test_a_disabled_service_does_not_start_with_its_server(machine):
    for name in ("on", "off"):
        machine.define(name, "/bin/sleep 100", "autostart = true")
    assert machine.call("service.disable", "off") is True
    assert machine.call("service.enabled", "off") is False
    assert machine.call("service.enabled", "on") is True
    for action in ("stop", "start"):
        machine.stack.cloud("-y", "-a", action, machine.name)
    machine.stack.await_minion(machine.name)
    assert [machine.call("service.status", name) for name in ("on", "off")] == [True, False]
    assert set(machine.call("service.get_all")) >= {"off", "on", "salt-minion"}
