"""The branches of the sample apps' repositories while failures are recorded. Equal files make equal commits."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.embedded.home import Home

USUAL = ("develop", "feature/cart", "feature/checkout", "feature/tax", "hotfix/1.2", "release/2.0")
WHO = "Shop Team", "team@shop.example.org", "1767268800 +0000"


def settle(home: Home) -> None:
    """Give both repositories of the shop the branches that a team would have."""
    for name in ("shop/api.git", "shop/web.git"):
        for branch in listed(home, name):
            if branch.startswith("broken/"):
                _git(home.repos / name, "update-ref", "-d", f"refs/heads/{branch}")
        for branch in USUAL:
            _git(home.repos / name, "update-ref", f"refs/heads/{branch}", "refs/heads/main")


def listed(home: Home, name: str) -> list[str]:
    """The branches of a repository."""
    refs = _git(home.repos / name, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    return sorted(refs.split())


@contextmanager
def branches(home: Home, name: str, branch: str, files: Path | None, others: Sequence[str]) -> Iterator[None]:
    """While this lasts the branch holds what main holds, or the files; the others are as main."""
    repository = home.repos / name
    before = {found: _git(repository, "rev-parse", f"refs/heads/{found}").strip() for found in listed(home, name)}
    try:
        commit = "refs/heads/main" if files is None else _commit(repository, files)
        for each in (*others, branch):
            if each:
                _git(repository, "update-ref", f"refs/heads/{each}", commit if each == branch else "refs/heads/main")
        yield
    finally:
        for found in listed(home, name):
            if found not in before:
                _git(repository, "update-ref", "-d", f"refs/heads/{found}")
        for found, commit in before.items():
            _git(repository, "update-ref", f"refs/heads/{found}", commit)


def _commit(repository: Path, files: Path) -> str:
    """A commit that has exactly these files."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index", "GIT_WORK_TREE": str(files)}
        _git(repository, "add", "--all", "--force", ".", **index)
        tree = _git(repository, "write-tree", **index).strip()
    return _git(repository, "commit-tree", tree, "-p", "refs/heads/main", "-m", "Work on it").strip()


def _git(repository: Path, *arguments: str, **environment: str) -> str:
    name, mail, date = WHO
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", name), ("EMAIL", mail), ("DATE", date))}  # fmt: skip
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    where = {"GIT_DIR": str(repository)}
    there = environment.get("GIT_WORK_TREE", str(repository))
    done = subprocess.run(
        ["git", *arguments],
        cwd=there,
        env=plain | who | where | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
