import os
from pathlib import Path

import pytest

from orchestrator.curated.templates import CuratedFolder, lint
from orchestrator.domain.template import Template, is_branch_name, public_url
from tests.programs import SHOP

SITE = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(SHOP)
    return tmp_path


def test_our_own_templates_are_right() -> None:
    files = sorted((SITE / "templates").glob("*.yaml"))
    assert files
    assert lint(files) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("profile: small", "profil: small", 10, "there is no such field"),
        ("port: 8000", "port: 80000", 12, "less than or equal to 65535"),
        (
            "count: {default: 1, min: 1, max: 2}",
            "count: {default: 3, min: 1, max: 2}",
            14,
            "between min (1) and max (2)",
        ),
        ("needs: {API_URL: api}", "needs: {API_URL: db}", 6, "needs API_URL from role db"),
        ("needs: {API_URL: api}", "needs: {api_url: api}", 22, "should match pattern"),
        ("ttl: {default: 1d", "ttl: {default: 9d", 3, "default must not be longer than max"),
        ("ttl: {default: 1d", "ttl: {default: soon", 3, "not a duration"),
        ("https://git.example.org/shop/api.git", "ext::sh -c id", 9, "write a repository as"),
        ("name: shop", "name: store", 1, "must be “shop”, as the file is called"),
        ("name: shop", "name: shop: x", 1, "mapping values are not allowed"),
        ("  web:", "\tweb:", 15, "cannot start any token"),
    ],
)
def test_a_wrong_file_is_told_with_line_and_field(folder: Path, old: str, new: str, line: int, says: str) -> None:
    file = folder / "shop.yaml"
    file.write_text(SHOP.replace(old, new, 1))
    problems = lint([file])
    assert line in [problem.line for problem in problems if says in problem.message], list(map(str, problems))


def touch(file: Path, text: str) -> None:
    """Write, with a new time stamp also on file systems with coarse ones."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text)
    os.utime(file, ns=(before + 10**9, before + 10**9))


def test_a_file_that_became_wrong_leaves_its_last_good_version_in_force(folder: Path) -> None:
    curated = CuratedFolder(folder)
    assert list(curated.current().templates) == ["shop"]
    touch(folder / "shop.yaml", SHOP.replace("port: 8000", "port: none", 1))
    assert list(curated.current().templates) == ["shop"]
    assert curated.current().problems[0].field == "roles.api.port"
    touch(folder / "shop.yaml", SHOP.replace("Storefront", "Shop window"))
    assert curated.current().templates["shop"].description == "Shop window"
    assert curated.current().problems == ()
    (folder / "shop.yaml").unlink()
    assert curated.current().templates == {}


def test_what_is_no_template_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- just\n- a list\n")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "c.yaml").write_text("")
    assert len(lint(sorted(tmp_path.glob("*.yaml")))) == 3
    assert CuratedFolder(tmp_path / "missing").current().templates == {}


@pytest.mark.parametrize("name", ["main", "feature/cart", "hotfix/1.2", "a@b"])
def test_branch_names(name: str) -> None:
    assert is_branch_name(name)


@pytest.mark.parametrize(
    "name", ["", "-x", "a..b", "a b", "a~1", "x.lock", "/x", "x/", "a//b", "a@{b", "a\nb", "x" * 201]
)
def test_what_git_would_not_take_as_a_branch(name: str) -> None:
    assert not is_branch_name(name)


def test_credentials_in_a_url_are_not_shown() -> None:
    assert public_url("https://bot:s3cret@git.example.org/a.git") == "https://git.example.org/a.git"
    assert public_url("git@git.example.org:a.git") == "git@git.example.org:a.git"


def test_roles_are_found_by_role_or_app(folder: Path) -> None:
    template: Template = CuratedFolder(folder).current().templates["shop"]
    assert template.role_of("web") == "web"
    assert template.role_of("shop-web") == "web"
    assert template.role_of("db") is None
