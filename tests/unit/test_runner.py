"""The runner's promises, with Salt's real cache in a folder and a fake cloud."""

import sys

import pytest
import salt.config

from orchestrator.saltext.pool import text_of
from orchestrator.saltext.runners import brinepool as runner
from orchestrator.saltext.stored import Stored
from tests.fakes.pool import DiesWhileCreating, DoesNotAnswer, FakePool, NeverDestroys, machine

SERVER = "cart-api-1"
OPERATIONS = [f"01KB000000000000000000000{number}" for number in range(10)]


def record(operation=OPERATIONS[1], **changes):
    return {
        "operation": operation, "server": SERVER, "template": "shop", "environment": "cart", "role": "api",
        "app": "shop-api", "repository": "https://git.example.org/shop/api.git", "branch": "main", "run": "./run",
        "port": 8000, "health": "/healthz",
    } | changes  # fmt: skip


@pytest.fixture
def stored(tmp_path):
    pki = tmp_path / "pki"
    opts = dict(salt.config.DEFAULT_MASTER_OPTS) | {
        "cachedir": str(tmp_path / "cache"), "pki_dir": str(pki), "__role": "master", "id": "test_master",
        "conf_file": str(tmp_path / "master"), "user": "",
    }  # fmt: skip
    return Stored(opts)


@pytest.fixture
def cloud(stored, monkeypatch):
    """Put a fake cloud behind the runner: `cloud(FakePool)`."""

    def put_behind(kind):
        pool = kind(lambda server: stored._keys.store("keys", server, {"state": "accepted", "pub": f"key of {server}"}))
        monkeypatch.setattr(runner, "_pool", lambda: pool)
        return pool

    monkeypatch.setattr(runner, "_stored", lambda: stored)
    return put_behind


def test_create_makes_the_machine_its_key_and_its_record(cloud, stored):
    cloud(FakePool)
    answer = runner.create(record(), "small")
    assert answer == {
        "ok": True, "created": True,
        "server": {
            "server": SERVER, "address": "127.9.1.1", "state": "running", "provider": "cloud:fake", "profile": "small",
            "key": "accepted", "record": True,
        },
    }  # fmt: skip
    assert stored.record(SERVER)["address"] == "127.9.1.1"


def test_create_again_returns_the_same_server(cloud):
    pool = cloud(FakePool)
    first, second = runner.create(record(), "small"), runner.create(record(OPERATIONS[2]), "small")
    assert (second["created"], second["server"]) == (False, first["server"])
    assert pool.calls == [("create", SERVER)]


def test_what_an_earlier_bearer_of_the_name_left_is_removed_first(cloud):
    pool = cloud(FakePool)
    runner.create(record(), "small")
    answer = runner.create(record(OPERATIONS[2]), "small", since=OPERATIONS[2])
    assert (answer["ok"], answer["created"]) == (True, True)
    assert pool.calls == [("create", SERVER), ("destroy", SERVER), ("create", SERVER)]
    assert runner.create(record(OPERATIONS[2]), "small", since=OPERATIONS[2])["created"] is False


def test_the_provider_of_each_profile(cloud):
    assert cloud(FakePool)
    assert runner.providers() == {"ok": True, "profiles": {"small": "cloud"}}


def test_create_switches_a_stopped_server_on(cloud):
    pool = cloud(FakePool)
    runner.create(record(), "small")
    pool.present[SERVER]["state"] = "stopped"
    assert runner.create(record(), "small")["server"]["state"] == "running"
    assert pool.calls[1:] == [("start", SERVER)]


def test_a_half_made_server_is_made_anew(cloud, stored):
    dying = cloud(DiesWhileCreating)
    with pytest.raises(KeyboardInterrupt):
        runner.create(record(), "small")
    assert stored.record(SERVER)["address"] is None
    pool = cloud(FakePool)
    pool.present = dying.present
    assert runner.create(record(), "small")["created"] is True
    assert pool.calls == [("destroy", SERVER), ("create", SERVER)]


@pytest.mark.parametrize("state", ["accepted", "pending", "rejected"])
def test_a_key_of_an_old_bearer_is_forgotten(cloud, stored, state):
    cloud(FakePool)
    stored._keys.store("keys", SERVER, {"state": state, "pub": "key of an old bearer"})
    stored._keys.store("denied_keys", SERVER, ["key of another"])
    assert runner.create(record(), "small")["ok"]
    assert stored._keys.fetch("keys", SERVER) == {"state": "accepted", "pub": f"key of {SERVER}"}
    assert not stored._keys.fetch("denied_keys", SERVER)


def test_a_machine_without_its_key_is_made_anew(cloud, stored):
    pool = cloud(FakePool)
    runner.create(record(), "small")
    stored.forget_minion(SERVER)
    assert runner.create(record(), "small")["created"] is True
    assert pool.calls[1:] == [("destroy", SERVER), ("create", SERVER)]


def test_a_machine_of_somebody_else_is_left_alone(cloud):
    pool = cloud(FakePool)
    pool.present[SERVER] = machine(7)
    answer = runner.create(record(), "small")
    assert answer["error"]["code"] == "create-failed"
    assert "did not make" in answer["error"]["message"]
    assert pool.calls == []


def test_destroy_removes_everything_and_may_be_repeated(cloud, stored):
    pool = cloud(FakePool)
    runner.create(record(), "small")
    assert runner.destroy(SERVER, OPERATIONS[2]) == {"ok": True, "existed": True}
    assert (pool.present, stored.record(SERVER), stored.machine(SERVER), stored.key(SERVER)) == ({}, None, {}, "")
    assert runner.destroy(SERVER, OPERATIONS[2]) == {"ok": True, "existed": False}
    assert runner.inventory() == {"ok": True, "servers": []}


@pytest.mark.parametrize(("operation", "code"), [(1, "superseded"), (2, "superseded"), (3, None)])
def test_an_older_create_does_not_bring_a_destroyed_server_back(cloud, operation, code):
    cloud(FakePool)
    runner.destroy(SERVER, OPERATIONS[2])
    answer = runner.create(record(OPERATIONS[operation]), "small")
    assert answer.get("error", {}).get("code") == code


def test_an_older_destroy_does_not_remove_a_later_server(cloud):
    pool = cloud(FakePool)
    runner.create(record(OPERATIONS[5]), "small")
    assert runner.destroy(SERVER, OPERATIONS[4])["error"]["code"] == "destroy-failed"
    assert SERVER in pool.present


@pytest.mark.parametrize("kind", [NeverDestroys, DoesNotAnswer])
def test_a_failed_destroy_is_said_and_the_server_still_counts(cloud, stored, kind):
    healthy = cloud(FakePool)
    runner.create(record(), "small")
    pool = cloud(kind)
    pool.present = healthy.present
    answer = runner.destroy(SERVER, OPERATIONS[2])
    assert answer["error"]["code"] == "destroy-failed"
    assert answer["error"]["detail"]
    assert stored.record(SERVER)
    assert stored.key(SERVER) == "accepted"


def test_destroy_finds_a_machine_that_nobody_noted(cloud):
    pool = cloud(FakePool)
    pool.present[SERVER] = machine(7)
    assert runner.destroy(SERVER, OPERATIONS[2]) == {"ok": True, "existed": True}
    assert pool.present == {}


def test_put_writes_records_of_servers_that_exist(cloud, stored):
    cloud(FakePool)
    runner.create(record(), "small")
    assert runner.put([record(branch="feature/tax", address="127.9.1.1")]) == {"ok": True}
    assert stored.record(SERVER)["branch"] == "feature/tax"


def test_what_an_older_operation_wants_is_not_written_over_what_a_later_one_said(cloud, stored):
    pool = cloud(FakePool)
    runner.create(record(), "small")
    assert runner.put([record(OPERATIONS[3], branch="feature/cart")])["ok"]
    assert runner.put([record(OPERATIONS[2], branch="main")])["error"]["code"] == "superseded"
    assert runner.create(record(OPERATIONS[1]), "small")["error"]["code"] == "superseded"
    assert stored.record(SERVER)["branch"] == "feature/cart"
    assert runner.put([record(OPERATIONS[3], branch="main")])["ok"], "the same operation may say it again"
    assert pool.calls == [("create", SERVER)]


def test_put_refuses_a_server_that_is_gone(cloud, stored):
    cloud(FakePool)
    runner.create(record(), "small")
    stored.forget_minion(SERVER)  # as `salt-cloud -d` typed by hand does
    answer = runner.put([record(branch="feature/tax")])
    assert answer["error"]["code"] == "record-invalid"
    assert stored.record(SERVER)["branch"] == "main"


@pytest.mark.parametrize(
    "changes",
    [{"server": "../../x-api-1"}, {"template": "../secrets"}, {"role": "a/b"}, {"operation": "1"}, {"more": 1},
     {"port": 0}, {"repository": "ext::sh -c id"}, {"branch": "--upload-pack=x"}, {"server": "other-api-1"}],
)  # fmt: skip
def test_a_record_that_is_not_valid_is_refused_and_nothing_is_made(cloud, stored, changes):
    pool = cloud(FakePool)
    for answer in (runner.create(record(**changes), "small"), runner.put([record(**changes)])):
        assert answer["error"]["code"] == "record-invalid"
    assert pool.calls == []
    assert stored.known() == set()


@pytest.mark.parametrize("server", ["../../etc/passwd", "cart", "", None, "a-b-0", "x" * 90 + "-api-1"])
def test_destroy_takes_names_of_servers_only(cloud, server):
    cloud(FakePool)
    assert runner.destroy(server, OPERATIONS[1])["error"]["code"] == "destroy-failed"


def test_an_unknown_profile_is_said(cloud):
    cloud(FakePool)
    assert runner.create(record(), "huge")["error"]["code"] == "profile-unknown"


def test_inventory_shows_what_is_left_on_one_side(cloud, stored):
    pool = cloud(FakePool)
    runner.create(record(), "small")
    pool.present.clear()
    (server,) = runner.inventory()["servers"]
    assert (server["state"], server["key"], server["record"]) == ("unknown", "accepted", True)
    runner.destroy(SERVER, OPERATIONS[2])
    stored._keys.store("keys", SERVER, {"state": "pending", "pub": "a minion that came back"})
    (server,) = runner.inventory()["servers"]
    assert (server["state"], server["key"], server["record"]) == ("unknown", "pending", False)


def test_machines_of_others_are_not_in_the_inventory(cloud):
    cloud(FakePool).present["database-prod-1"] = machine(9)
    assert runner.inventory()["servers"] == []


# What a machine says of itself


@pytest.fixture
def site(tmp_path, monkeypatch):
    (tmp_path / "envfiles" / "shop").mkdir(parents=True)
    (tmp_path / "envfiles" / "shop" / "api.env").write_text("DB_PASSWORD=tiger-striped\n")
    monkeypatch.setattr(runner, "__opts__", {"brinepool": {"site": str(tmp_path)}}, raising=False)
    return tmp_path


def test_a_boot_log_is_its_last_lines(cloud, site):
    cloud(FakePool).consoles[SERVER] = "".join(f"line {number}\n" for number in range(100))
    runner.create(record(), "small")
    assert runner.boot_log(SERVER) == {"ok": True, "log": "\n".join(f"line {number}" for number in range(60, 100))}
    assert runner.boot_log(SERVER, lines="2") == {"ok": True, "log": "line 98\nline 99"}
    assert runner.boot_log(SERVER, lines=0)["log"] == ""


def test_a_boot_log_has_no_secret(cloud, site):
    cloud(FakePool).consoles[SERVER] = "cannot log in with tiger-striped\ntoken=ghp_0123456789abcdef0123\n"
    runner.create(record(), "small")
    assert runner.boot_log(SERVER)["log"] == "cannot log in with ***\ntoken=***"


def test_a_boot_log_is_masked_before_it_is_cut(cloud, site):
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----"
    cloud(FakePool).consoles[SERVER] = f"{key}\nend\n"
    runner.create(record(), "small")
    assert runner.boot_log(SERVER, lines=3)["log"] == "***\nend"


def test_an_env_file_elsewhere_is_masked_too(cloud, site, monkeypatch):
    (site / "other" / "shop").mkdir(parents=True)
    (site / "other" / "common.env").write_text("KEY=lion-maned\n")
    pillar = {"ext_pillar": [{"git": []}, {"brinepool": {"envfiles": str(site / "other")}}]}
    monkeypatch.setattr(runner, "__opts__", runner.__opts__ | pillar)
    cloud(FakePool).consoles[SERVER] = "it is lion-maned\n"
    runner.create(record(), "small")
    assert runner.boot_log(SERVER)["log"] == "it is ***"


def test_nothing_is_told_when_the_secrets_are_not_known(cloud, site):
    cloud(FakePool).consoles[SERVER] = "cannot log in with tiger-striped\n"
    runner.create(record(), "small")
    (site / "envfiles" / "shop" / "api.env").write_text("not a line\n")
    assert runner.boot_log(SERVER) == {"ok": True, "log": ""}


@pytest.mark.parametrize("server", ["cart-api-2", "../../etc/passwd", "", None, 7])
def test_a_server_that_is_not_ours_tells_nothing(cloud, site, server):
    pool = cloud(FakePool)
    pool.present[server] = machine(7)
    pool.consoles[server] = "somebody else's"
    assert runner.boot_log(server) == {"ok": True, "log": ""}


def test_a_cloud_that_stumbles_tells_nothing(cloud, site, monkeypatch):
    pool = cloud(FakePool)
    runner.create(record(), "small")
    monkeypatch.setattr(pool, "console", lambda *_: sys.exit("the driver gave up"))
    assert runner.boot_log(SERVER) == {"ok": True, "log": ""}


@pytest.mark.parametrize(
    ("told", "text"),
    [("plain", "plain"), ({"output_decoded": b"of ec2 \xff", "instanceId": "i-1"}, "of ec2 \ufffd"),
     ({"output": "x"}, "x"), ({}, ""), (None, "")],
)  # fmt: skip
def test_what_drivers_tell_of_a_console(told, text):
    assert text_of(told) == text
