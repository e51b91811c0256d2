"""The branches of a role's repository: names go in, never a URL, and no credential comes out."""

import json
import subprocess

import pytest

from orchestrator.saltext import branches
from orchestrator.saltext.answers import Refused

TEMPLATE = """\
name: shop
roles:
  api: {app: shop-api, repository: "%s", profile: small, run: ./run, port: 8000, branch: trunk}
"""


@pytest.fixture
def site(tmp_path):
    def with_repository(url):
        (tmp_path / "templates").mkdir(exist_ok=True)
        (tmp_path / "templates" / "shop.yaml").write_text(TEMPLATE % url)
        return tmp_path

    return with_repository


@pytest.fixture
def repository(tmp_path):
    path = tmp_path / "api.git"
    subprocess.run(["git", "init", "-q", "--initial-branch=trunk", path], check=True)
    commit = ["git", "-C", path, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "--allow-empty"]
    subprocess.run([*commit, "-m", "x"], check=True)
    subprocess.run(["git", "-C", path, "branch", "feature/tax"], check=True)
    return path


def test_the_branches_of_a_real_repository(site, repository, tmp_path):
    answer = branches.branches(site(f"file://{repository}"), "shop", "api", tmp_path / "none")
    assert answer == {"repository": f"file://{repository}", "default": "trunk", "branches": ["feature/tax", "trunk"]}


def test_all_roles_at_once(site, repository, tmp_path):
    every = branches.all_branches(site(f"file://{repository}"), "shop", tmp_path / "none")
    one = branches.branches(site(f"file://{repository}"), "shop", "api", tmp_path / "none")
    assert every == {"roles": {"api": one}}


def test_git_is_configured_as_asked(site, repository, tmp_path):
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "file://{repository}"]\n\tinsteadOf = https://git.example.org/api.git\n')
    answer = branches.branches(site("https://git.example.org/api.git"), "shop", "api", config)
    assert answer["branches"] == ["feature/tax", "trunk"]


def test_no_credential_comes_out(site, tmp_path):
    url = f"http://joe:s3cret-token@127.0.0.1:9/{tmp_path.name}.git"
    with pytest.raises(Refused) as refused:
        branches.branches(site(url), "shop", "api", tmp_path / "none")
    assert refused.value.code == "repository-unreachable"
    assert "127.0.0.1:9" in refused.value.message
    assert "s3cret" not in json.dumps([refused.value.message, refused.value.detail])
    assert "joe" not in refused.value.message


@pytest.mark.parametrize("template", ["nope", "../templates/shop", "", None, "shop.yaml"])
def test_only_curated_templates(site, template, tmp_path):
    with pytest.raises(Refused) as refused:
        branches.branches(site("https://git.example.org/a.git"), template, "api", tmp_path / "none")
    assert refused.value.code == "template-unknown"
    assert "shop" in refused.value.message


def test_only_roles_of_the_template(site, tmp_path):
    with pytest.raises(Refused) as refused:
        branches.branches(site("https://git.example.org/a.git"), "shop", "web", tmp_path / "none")
    assert refused.value.code == "role-unknown"


def test_a_template_that_would_run_a_program_is_refused(site, tmp_path):
    marker = tmp_path / "ran"
    with pytest.raises(Refused) as refused:
        branches.branches(site(f"ext::sh -c touch% {marker}"), "shop", "api", tmp_path / "none")
    assert refused.value.code == "template-unknown"
    assert not marker.exists()


def test_a_remote_that_does_not_answer_is_given_up(site, repository, tmp_path, monkeypatch):
    monkeypatch.setattr(branches, "GIT_SECONDS", 0.001)
    with pytest.raises(Refused, match="cannot be reached"):
        branches.branches(site(f"file://{repository}"), "shop", "api", tmp_path / "none")
