"""A home is made once, keeps its secrets to itself, and says what is wrong with it."""

import shutil
import stat
from pathlib import Path

import pytest

from orchestrator.domain.errors import NotFound, Unavailable
from orchestrator.embedded import home, networks
from orchestrator.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(networks, "REGISTRY", tmp_path / "registry")
    return Settings(home=tmp_path / "home", salt_api_port=9001)


@pytest.fixture
def claimed(settings):
    made = home.claim(settings)
    yield made
    shutil.rmtree(made.sockets)


def test_secrets_are_generated_once_and_only_the_owner_reads_them(settings, claimed):
    secrets = claimed.root / "secrets"
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o600}
    assert len(set(before.values())) == len(home.SECRETS)
    assert min(map(len, before.values())) > 40
    (secrets / "salt-api").chmod(0o644)
    assert home.claim(settings) == claimed
    assert {file.name: file.read_text() for file in secrets.iterdir()} == before
    assert stat.S_IMODE((secrets / "salt-api").stat().st_mode) == 0o600


def test_everything_listens_in_the_network_of_the_home(settings, claimed):
    assert home.find(settings) == claimed
    assert claimed.salt_api == (str(claimed.network[1]), 9001)
    assert claimed.url == f"http://{claimed.network[1]}:8420"
    assert (
        home.Home.of(settings.model_copy(update={"address": "10.1.2.3"}), claimed.network).url == "http://10.1.2.3:8420"
    )


def test_sockets_are_short_and_private_however_deep_the_home_is(tmp_path, settings, claimed):
    deep = home.Home.of(settings.model_copy(update={"home": tmp_path / ("deep/" * 40)}), claimed.network)
    assert len(str(deep.supervisor_socket)) < 60
    assert deep.sockets != claimed.sockets
    assert stat.S_IMODE(claimed.sockets.stat().st_mode) == 0o700


def test_a_socket_folder_that_somebody_else_prepared_is_refused(settings, claimed, tmp_path):
    claimed.sockets.rmdir()
    claimed.sockets.symlink_to(tmp_path)
    with pytest.raises(Unavailable, match="belongs to somebody else"):
        home.claim(settings)
    claimed.sockets.unlink()
    claimed.sockets.mkdir()


def test_without_a_home_the_sentence_says_what_to_do(tmp_path):
    with pytest.raises(NotFound, match="run brine up"):
        home.find(Settings(home=tmp_path / "nothing"))


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be used"):
        home.claim(Settings(home=tmp_path / "file" / "home"))


def test_a_home_with_servers_does_not_move_to_another_network(settings, claimed, tmp_path):
    (claimed.sandboxes / "one").mkdir()
    (claimed.sandboxes / "one" / "meta.json").write_text("{}")
    other = tmp_path / "other"
    other.mkdir()
    (other / "home.json").write_text(claimed.file.read_text())
    (tmp_path / "registry" / str(claimed.network.network_address.packed[1])).write_text(str(other))
    with pytest.raises(Unavailable, match="is in use by another one"):
        home.claim(settings)
