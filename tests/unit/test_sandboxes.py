"""The folders of sandboxes: names and addresses are claimed once, and nothing half-made is forgotten."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network

import pytest

from orchestrator.embedded import launcher
from orchestrator.saltext import sandboxes
from orchestrator.saltext.sandboxes import Cloud, SandboxError

NETWORK = IPv4Network("127.99.0.0/16")


@pytest.fixture
def cloud(tmp_path):
    for folder in ("sandboxes", "sockets"):
        (tmp_path / folder).mkdir()
    return Cloud(
        folder=tmp_path / "sandboxes", sockets=tmp_path / "sockets", network=NETWORK,
        launcher=(sys.executable, "-I", "-S", launcher.__file__), supervisord="/bin/false", salt_minion="/bin/false",
        environment={"BRINE_HOME": str(tmp_path)}, minion={},
    )  # fmt: skip


def claim(cloud, name):
    return sandboxes.claim(cloud, name, profile="small", provider="sandbox")


def test_concurrent_creates_never_share_an_address(cloud):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: claim(cloud, f"shop-api-{number}"), range(40)))
    assert len({meta.address for meta in made}) == 40
    assert all(meta.address.startswith("127.99.") and not meta.address.startswith("127.99.0.") for meta in made)
    assert {meta.name: meta for meta in made} == sandboxes.all_of(cloud)


def test_of_two_that_claim_one_name_only_one_gets_it(cloud):
    def attempt(_):
        try:
            return claim(cloud, "shop-api-1")
        except SandboxError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, range(4)))
    assert answers.count("The sandbox shop-api-1 is there already.") == 3


def test_an_address_is_not_given_again_at_once(cloud):
    first = claim(cloud, "shop-api-1")
    assert sandboxes.destroy(cloud, "shop-api-1")
    assert claim(cloud, "shop-api-2").address != first.address


@pytest.mark.parametrize(
    ("last", "taken", "expected"),
    [(256, set(), 257), (256, {257, 258}, 259), (65534, set(), 256), (65534, {256}, 257)],
)
def test_addresses_go_around_the_network(last, taken, expected):
    assert sandboxes.next_free(last, taken, NETWORK) == expected


def test_a_full_network_is_said(cloud):
    small = IPv4Network("127.99.0.0/23")  # addresses 256 to 510 are for sandboxes
    with pytest.raises(SandboxError, match="No address is left"):
        sandboxes.next_free(256, range(256, 511), small)


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "-a", "a b", "x" * 81])
def test_a_name_that_is_no_folder_s_name_is_refused(cloud, name):
    with pytest.raises(SandboxError, match="cannot be the name"):
        claim(cloud, name)
    assert sandboxes.destroy(cloud, name) is False


def test_a_half_made_sandbox_is_listed_not_running_and_can_be_destroyed(cloud):
    claim(cloud, "shop-api-1")
    assert sandboxes.is_half_made(cloud, "shop-api-1")
    assert sandboxes.running(cloud) == set()
    with pytest.raises(SandboxError, match="half-made; destroy it and create it again"):
        sandboxes.start(cloud, "shop-api-1")
    assert sandboxes.destroy(cloud, "shop-api-1") is True
    assert sandboxes.destroy(cloud, "shop-api-1") is False
    assert sandboxes.all_of(cloud) == {}


def test_an_interrupted_destroy_can_be_repeated(cloud, monkeypatch):
    claim(cloud, "shop-api-1")
    sandboxes.furnish(cloud, "shop-api-1", {}, {"minion.pem": "secret"})
    with monkeypatch.context() as patched:
        patched.setattr(sandboxes.shutil, "rmtree", _out_of_luck)
        with pytest.raises(SandboxError, match="cannot be removed"):
            sandboxes.destroy(cloud, "shop-api-1")
    assert list(sandboxes.all_of(cloud)) == ["shop-api-1"]
    assert sandboxes.destroy(cloud, "shop-api-1") is True
    assert [path for path in cloud.folder.iterdir() if not path.name.startswith(".")] == []
    assert list(cloud.sockets.iterdir()) == []


def test_what_a_dead_maker_left_is_removed_by_the_next_one(cloud):
    (cloud.folder / ".making-dead").mkdir()
    claim(cloud, "shop-api-1")
    assert not (cloud.folder / ".making-dead").exists()


def test_the_minion_s_key_and_settings_are_private(cloud):
    claim(cloud, "shop-api-1")
    sandboxes.furnish(cloud, "shop-api-1", {"master": "127.99.0.1"}, {"minion.pem": "secret", "minion.pub": "public"})
    etc = cloud.folder / "shop-api-1" / "etc"
    assert (etc / "pki" / "minion.pem").stat().st_mode & 0o777 == 0o400
    assert (etc / "minion").stat().st_mode & 0o777 == 0o600


def _out_of_luck(*_args, **_kwargs):
    raise OSError("the disk is gone")


# What a sandbox says of itself


@pytest.fixture
def logs(cloud):
    claim(cloud, "shop-api-1")
    folder = cloud.folder / "shop-api-1" / "log"
    folder.mkdir()
    return folder


def test_the_minion_s_log_comes_first_and_its_output_when_that_is_empty(cloud, logs):
    assert sandboxes.console(cloud, "shop-api-1") == ""
    (logs / "supervisord.out").write_text("supervisord\n")
    assert sandboxes.console(cloud, "shop-api-1") == "supervisord\n"
    (logs / "salt-minion.out").write_text("printed\n")
    (logs / "minion").write_text("\n")
    assert sandboxes.console(cloud, "shop-api-1") == "printed\n"
    (logs / "minion").write_text("logged\nand no end")
    assert sandboxes.console(cloud, "shop-api-1") == "logged\nand no end"


def test_of_a_long_log_the_last_whole_lines(cloud, logs):
    lines = [f"line {number}\n" for number in range(100_000)]
    (logs / "minion").write_text("".join(lines))
    text = sandboxes.console(cloud, "shop-api-1")
    assert sandboxes.CONSOLE_BYTES - 20 < len(text) <= sandboxes.CONSOLE_BYTES
    assert "".join(lines).endswith("\n" + text)


def test_what_is_no_plain_file_or_no_sandbox_says_nothing(cloud, logs, tmp_path):
    (tmp_path / "secret").write_text("of the master\n")
    (logs / "minion").symlink_to(tmp_path / "secret")
    os.mkfifo(logs / "salt-minion.out")
    (logs / "supervisord.out").write_bytes(b"not utf-8: \xff\n")
    assert sandboxes.console(cloud, "shop-api-1") == "not utf-8: \ufffd\n"
    assert sandboxes.console(cloud, "shop-api-2") == ""
    assert sandboxes.console(cloud, "../sandboxes/shop-api-1") == ""
