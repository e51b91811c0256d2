"""The sandbox cloud, driven with salt-cloud and salt alone."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import records
from tests.contract.legs import SHOP
from tests.embedded import wait_for

pytestmark = pytest.mark.long


@pytest.fixture
def server(stack):
    """One server whose minion answers."""
    stack.create("solo-api-1")
    return "solo-api-1"


def _node(stack, server):
    return stack.cloud("-F")["sandbox"]["sandbox"][server]


def test_concurrent_creates_give_real_minions_with_addresses_of_their_own(stack):
    names = [f"many-web-{number}" for number in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(stack.create, names))
    addresses = {one["address"] for one in made}
    assert len(addresses) == 3
    assert addresses <= set(map(str, stack.home.network))
    assert {stack.call(name, "grains.get", "id") for name in names} == set(names) <= stack.accepted_keys()


def test_destroy_leaves_no_process_folder_socket_or_key(stack, server):
    stubborn = "/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'"
    (stack.home.sandboxes / server / "services.d" / "app.conf").write_text(f"[program:app]\ncommand = {stubborn}\n")
    assert stack.call(server, "service.start", "app") is True
    assert len(stack.processes(sandbox=server)) > 3
    stack.destroy(server)
    assert stack.processes(sandbox=server) == []
    assert not (stack.home.sandboxes / server).exists()
    assert [path.name for path in stack.home.sockets.iterdir() if path.name not in ("master", "supervisor")] == []
    assert server not in stack.accepted_keys()
    assert stack.cloud("-Q") == {} or server not in str(stack.cloud("-Q"))


def test_a_name_that_exists_is_refused_and_the_server_is_left_alone(stack, server):
    minion = stack.main_process("salt-minion", server)
    assert "already exists" in str(stack.cloud("-p", "small", server))
    assert stack.main_process("salt-minion", server) == minion
    assert stack.call(server, "test.ping") is True


def test_states_are_honest_and_a_stopped_server_starts_with_its_address(stack, server):
    address = _node(stack, server)["address"]
    stack.cloud("-y", "-a", "stop", server)
    assert _node(stack, server)["state"] == "stopped"
    assert stack.processes(sandbox=server) == []
    stack.cloud("-y", "-a", "start", server)
    assert wait_for(lambda: _node(stack, server)["state"] == "running")
    assert _node(stack, server)["address"] == address
    stack.await_minion(server)


def test_a_killed_minion_comes_back_by_itself(stack, server):
    killed = stack.main_process("salt-minion", server)
    os.kill(killed, 9)
    wait_for(lambda: [one for one in stack.processes(program="salt-minion", sandbox=server) if one.pid != killed])
    stack.await_minion(server)


def test_nothing_of_the_caller_s_environment_reaches_a_server(stack):
    secret = "a-secret-in-the-shell"
    assert "quiet-api-1" in stack.cloud("-p", "small", "quiet-api-1", **os.environ, CLOUD_TOKEN=secret)
    stack.await_minion("quiet-api-1")
    for program in ("supervisord", "salt-minion"):
        process = stack.main_process(program, "quiet-api-1")
        assert secret.encode() not in Path(f"/proc/{process}/environ").read_bytes()
    assert stack.call("quiet-api-1", "environ.get", "CLOUD_TOKEN") == ""


def test_what_a_provider_has_is_listed(stack, server):
    for option, expected in (("--list-sizes", "small"), ("--list-images", "host"), ("--list-locations", "local")):
        assert expected in stack.cloud(option, "sandbox")["sandbox"]["sandbox"]
    node = stack.cloud("-Q")["sandbox"]["sandbox"][server]
    assert node == {
        "id": server, "image": "host", "size": "small", "state": "running", "public_ips": [],
        "private_ips": [_node(stack, server)["address"]],
    }  # fmt: skip
    assert server in stack.cloud("-S")["sandbox"]["sandbox"]


def test_a_server_whose_minion_never_comes_up_tells_why(stack):
    server, salt = "mute-api-1", stack.connect()
    salt.create(records.record(server, SHOP), "small", 60)
    stack.cloud("-y", "-a", "stop", server)
    folder = stack.home.sandboxes / server
    settings = json.loads((folder / "etc" / "minion").read_text())
    (folder / "etc" / "minion").write_text(json.dumps(settings | {"master": "no-such-master.invalid"}))
    log, value = folder / "log" / "minion", "sample-only-not-a-password"  # as in envfiles/shop/api.env
    log.write_text(f"logged in with {value}\ntoken=ghp_0123456789abcdef0123\n")
    stack.cloud("-y", "-a", "start", server)
    told = wait_for(lambda: salt.boot_log(server) if "no-such-master.invalid" in log.read_text() else "")
    assert told.splitlines()[:2] == ["logged in with ***", "token=***"]
    assert "no-such-master.invalid" in told
    assert value in _console(stack, server), "salt-cloud by hand shows it as it is"
    salt.destroy(server, records.operation_id(), 60)
    assert salt.boot_log(server) == ""
    salt.close()


def test_a_console_whose_log_is_empty_shows_what_was_printed(stack, server):
    log = stack.home.sandboxes / server / "log"
    stack.cloud("-y", "-a", "stop", server)
    (log / "minion").write_text("")
    (log / "salt-minion.out").write_text("printed\n")
    assert _console(stack, server) == "printed\n"


def _console(stack, server):
    return stack.cloud("-y", "-a", "get_console_output", server)["sandbox"]["sandbox"][server]["output_decoded"]
