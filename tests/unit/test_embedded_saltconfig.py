"""What is rendered gives nobody more than they need, and changes only when something changed."""

import shutil
import stat
from ipaddress import IPv4Network

import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML

from orchestrator.domain.errors import BadInput
from orchestrator.embedded import home, saltconfig
from orchestrator.settings import CHECKOUT, ProviderCaps, Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", site=CHECKOUT, token="a-secret-of-the-caller")


@pytest.fixture
def made(settings):
    """A home on disk, without a claim in the registry of this machine."""
    made = home.Home.of(settings, IPv4Network("127.99.0.0/16"))
    for folder in home.FOLDERS:
        (made.root / folder).mkdir(parents=True)
    (made.root / "secrets" / "salt-api").write_text("the-shared-secret\n")
    return made


def _yaml(path):
    return YAML(typ="safe").load(path.read_text())


def test_the_account_of_brinepool_has_the_rights_of_the_design_and_no_others(made):
    saltconfig.render(made)
    master = _yaml(made.etc / "master")
    assert master["external_auth"] == {
        "sharedsecret": {
            "brinepool": [
                {"*": ["brinepool.*", "saltutil.find_job", "saltutil.kill_job", "test.ping"]},
                {"@runner": ["brinepool.*", "jobs.lookup_jid"]},
                "@events",
            ]
        }
    }
    assert master["netapi_enable_clients"] == ["local", "local_async", "runner", "runner_async"]
    assert master["auto_accept"] is False
    assert master["minion_data_cache"] is False, "the pillar, with the values of env files, would be kept on disk"


def test_the_shared_secret_is_in_a_private_file_only(made):
    saltconfig.render(made)
    holding = [path.name for path in made.etc.iterdir() if path.is_file() and "the-shared-secret" in path.read_text()]
    assert holding == ["master"]
    assert stat.S_IMODE((made.etc / "master").stat().st_mode) == 0o600


def test_everything_listens_on_loopback(made):
    saltconfig.render(made)
    master = _yaml(made.etc / "master")
    assert master["interface"] == master["rest_cherrypy"]["host"] == "127.99.0.1"


def test_every_minion_gets_the_curated_settings_and_this_home_s_master(made):
    saltconfig.render(made)
    cloud = _yaml(made.etc / "cloud")
    assert cloud["keysize"] == 2048
    assert cloud["minion"]["autoload_dynamic_modules"] is False
    assert (cloud["minion"]["master"], cloud["minion"]["master_port"]) == ("127.99.0.1", 4506)


def test_a_sandbox_gets_an_environment_of_its_own(made, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-caller")
    environment = saltconfig.sandbox_environment(made)
    assert "a-secret-of-the-caller" not in environment.values()
    assert environment["BRINE_HOME"] == str(made.root)
    assert environment["GIT_TERMINAL_PROMPT"] == "0"


def test_the_fingerprint_changes_with_what_programs_read_at_their_start_only(made, settings, tmp_path):
    before = saltconfig.fingerprint(made, settings)
    saltconfig.render(made)
    assert saltconfig.fingerprint(made, settings) == before
    assert saltconfig.fingerprint(made, settings.model_copy(update={"threads": 3})) != before
    (made.root / "secrets" / "salt-api").write_text("another\n")
    assert saltconfig.fingerprint(made, settings) != before


def test_the_server_reads_the_settings_that_up_was_called_with(settings, monkeypatch):
    given = settings.model_copy(
        update={
            "token": None,
            "slack_bot_token": SecretStr("a-bot-token"),
            "matrix_bots": ("@other:example.org",),
            "providers": {"sandbox": ProviderCaps(building_at_once=2)},
            "bots": {"lita": {"secret": "a-bot-secret", "rooms": {"shop-dev": "C1"}}},
        }
    )
    for name, value in saltconfig.settings_in_force(given).items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


def test_a_percent_sign_in_a_path_does_not_break_supervisor(settings, tmp_path, made):
    odd = home.Home.of(settings.model_copy(update={"home": tmp_path / "100%(real)s"}), made.network)
    assert "100%%(real)s" in saltconfig.supervisor(odd)
    assert "100%(real)s" not in saltconfig.supervisor(odd)


def test_an_incomplete_site_is_named(settings, tmp_path, made):
    shutil.copytree(CHECKOUT / "salt", tmp_path / "site" / "salt")
    site = home.Home.of(settings.model_copy(update={"site": tmp_path / "site"}), made.network)
    (tmp_path / "site" / "salt" / "cloud" / "cloud.conf").write_text("minion: [")
    with pytest.raises(BadInput, match=r"cloud\.conf cannot be read"):
        saltconfig.render(site)
    shutil.rmtree(tmp_path / "site" / "salt" / "cloud" / "cloud.profiles.d")
    with pytest.raises(BadInput, match=r"cloud\.profiles\.d; set BRINE_SITE"):
        saltconfig.render(site)
