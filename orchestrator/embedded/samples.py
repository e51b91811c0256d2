"""The sample apps: real git repositories made from `<site>/examples`, and the wheels that their builds install.

`examples/<group>-<name>/` becomes `<home>/repos/<group>/<name>.git`: `main/` is the branch main, any other folder a
branch on top of it with the files that differ; the first hyphen of the folder's name is the slash of the branch's.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.domain.errors import Unavailable

from .home import Home

MAIN = "main"
STAMP = "brinepool-samples"  # in each repository: the digest of what it was made from
OURS = "refs/brinepool"  # the branches as we made them
AUTHOR = "Shop Team <team@shop.example.org>"
FIRST_COMMIT = 1_767_268_800  # all dates are fixed, so the same files always make the same commits
FIRST_FILES = ("README.md", ".gitignore")
NOT_OURS = ("__pycache__", ".venv", ".DS_Store")

Files = dict[str, tuple[str, bytes]]  # path → (git's file mode, content)


def prepare(home: Home, site: Path) -> None:
    """Make or update the repositories and the wheels; quick when nothing changed.

    Raises Unavailable when the wheels cannot be downloaded. A site without examples has no sample apps.
    """
    for example in sorted((site / "examples").glob("*-*/")):
        group, _, name = example.name.partition("-")
        _make_repository(home.repos / group / f"{name}.git", branches_of(example))
    _fill_wheels(home.wheels, sorted((site / "examples").glob(f"*/{MAIN}/requirements.txt")))


def branches_of(example: Path) -> dict[str, Files]:
    """Every branch of an example, main first, with all its files."""
    overlays = [folder for folder in sorted(example.iterdir()) if folder.is_dir() and folder.name != MAIN]
    main = _files(example / MAIN)
    return {MAIN: main} | {folder.name.replace("-", "/", 1): main | _files(folder) for folder in overlays}


def _files(folder: Path) -> Files:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not set(path.parts) & set(NOT_OURS))
    return {
        path.relative_to(folder).as_posix(): ("100755" if os.access(path, os.X_OK) else "100644", path.read_bytes())
        for path in paths
    }


def _make_repository(repository: Path, branches: Mapping[str, Files]) -> None:
    """Make the repository hold the branches. Branches that somebody else made or moved are left as they are."""
    digest = hashlib.sha256(repr(sorted(branches.items())).encode()).hexdigest()
    stamp = repository / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return
    _git(repository.parent, "init", "--quiet", "--bare", f"--initial-branch={MAIN}", str(repository))
    _git(repository, "config", "transfer.hideRefs", OURS)  # nobody needs to see them
    heads, ours = _refs(repository, "refs/heads"), _refs(repository, OURS)
    untouched = {branch for branch in branches if heads.get(branch) == ours.get(branch)}
    _git(repository, "fast-import", "--quiet", "--force", stdin=b"".join(_history(branches, untouched)))
    stamp.write_text(digest)


def _history(branches: Mapping[str, Files], untouched: set[str]) -> Iterator[bytes]:
    """A stream for git fast-import: main in two commits, each other branch in one more.

    All are made below `OURS`, which remembers what we made; only branches that are as we made them are moved.
    """
    main, base = branches[MAIN], f"{OURS}/{MAIN}"
    yield f"reset {base}\n".encode()
    yield _commit(base, 1, "Begin", {path: file for path, file in main.items() if path in FIRST_FILES})
    yield _commit(base, 2, "Write the first version", main)
    for number, branch in enumerate(branches, start=2):
        if branch != MAIN:
            yield f"reset {OURS}/{branch}\nfrom {base}\n\n".encode()
            yield _commit(f"{OURS}/{branch}", number, f"Work on {branch}", branches[branch])
        if branch in untouched:
            yield f"reset refs/heads/{branch}\nfrom {OURS}/{branch}\n\n".encode()


def _commit(ref: str, number: int, message: str, files: Files) -> bytes:
    """One commit that has exactly these files."""
    head = f"commit {ref}\ncommitter {AUTHOR} {FIRST_COMMIT + 3600 * number} +0000\ndata {len(message)}\n{message}\n"
    parts = [head.encode(), b"deleteall\n"]
    for path, (mode, content) in files.items():
        parts.append(f"M {mode} inline {path}\ndata {len(content)}\n".encode() + content + b"\n")
    return b"".join(parts)


def _refs(repository: Path, below: str) -> dict[str, str]:
    """The refs below a prefix, without it, and the commits that they name."""
    listed = _git(repository, "for-each-ref", "--format=%(refname) %(objectname)", below)
    return dict(line.removeprefix(f"{below}/").split(" ") for line in listed.splitlines())


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run git with nobody's configuration but its own."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ.get("PATH", os.defpath)}
    done = subprocess.run(["git", *arguments], cwd=folder, env=plain, input=stdin, capture_output=True, check=False)
    if done.returncode:
        detail = done.stderr.decode(errors="replace")
        raise Unavailable("samples-failed", "git could not make the repositories of the sample apps.", detail=detail)
    return done.stdout.decode()


def _fill_wheels(wheels: Path, requirements: list[Path]) -> None:
    """Download what the samples' builds will install, hashes checked; once, as long as they ask for the same."""
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in requirements)).hexdigest()
    complete = wheels / ".complete"
    if not requirements or (complete.is_file() and complete.read_text() == wanted):
        return
    wheels.mkdir(parents=True, exist_ok=True)
    for path in requirements:
        _download(wheels, path)
    complete.write_text(wanted)


def _download(wheels: Path, requirements: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--only-binary=:all:", "--dest", str(wheels), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(
            "wheels-missing",
            "The libraries of the sample apps could not be downloaded; check the network and pip's settings, "
            "then run it again.",
            detail=done.stderr.strip(),
        )
