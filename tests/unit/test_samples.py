"""The sample apps as repositories: always the same commits, and nobody's work is lost."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.embedded import samples

SITE = Path(__file__).parents[2]


@pytest.fixture
def example(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / "example" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return samples.branches_of(tmp_path / "example")

    return write


def git(repository, *arguments):
    return subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def make(repository, branches):
    samples._make_repository(repository, branches)
    return dict(
        line.split()
        for line in git(
            repository, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"
        ).splitlines()
    )


def test_branches_are_main_with_the_files_that_differ(example, tmp_path):
    branches = example({"main/README.md": "r", "main/a.py": "1", "main/b/c.py": "2", "feature-x/a.py": "3"})
    tips = make(tmp_path / "group" / "app.git", branches)
    repository = tmp_path / "group" / "app.git"
    assert set(tips) == {"main", "feature/x"}
    assert git(repository, "show", "feature/x:a.py") == "3"
    assert git(repository, "show", "feature/x:b/c.py") == "2"
    assert git(repository, "merge-base", "main", "feature/x") == tips["main"]
    assert len(git(repository, "log", "--oneline", "main").splitlines()) == 2
    assert git(repository, "fsck") == ""


def test_the_same_files_make_the_same_commits(example, tmp_path):
    branches = example({"main/a.py": "1", "feature-x/a.py": "3"})
    assert make(tmp_path / "one.git", branches) == make(tmp_path / "two.git", branches)


def test_a_changed_example_moves_its_branch_and_leaves_what_somebody_pushed(example, tmp_path):
    repository = tmp_path / "app.git"
    before = make(repository, example({"main/a.py": "1", "feature-x/a.py": "3", "feature-y/a.py": "4"}))
    git(repository, "update-ref", "refs/heads/feature/y", before["main"])  # somebody's work
    git(repository, "update-ref", "refs/heads/mine", before["main"])
    after = make(repository, example({"feature-x/a.py": "new", "feature-y/a.py": "new"}))
    assert git(repository, "show", "feature/x:a.py") == "new"
    assert after["feature/y"] == after["mine"] == after["main"] == before["main"]


def test_nothing_is_done_when_nothing_changed(example, tmp_path, monkeypatch):
    branches = example({"main/a.py": "1"})
    make(tmp_path / "app.git", branches)
    monkeypatch.setattr(samples, "_git", lambda *arguments, **options: pytest.fail("git was run"))
    samples._make_repository(tmp_path / "app.git", branches)


def test_the_shop_has_the_branches_that_the_demo_needs():
    api, web = (samples.branches_of(SITE / "examples" / f"shop-{name}") for name in ("api", "web"))
    assert set(web) - set(api) == {"feature/cart"}
    assert set(api) == {"main", "feature/tax", "broken/build", "broken/health"}


def test_requirements_are_pinned_with_hashes():
    for file in (SITE / "examples").glob("*/main/requirements.txt"):
        for line in file.read_text().splitlines():
            assert "==" in line
            assert "--hash=sha256:" in line
