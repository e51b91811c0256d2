"""Install peers, each in a virtual environment of its own: `python -m tests.peers.install [PEER...]`, all by default.

A peer is a folder beside this file with a `requirements.lock`. Its environment is `<peers>/<peer>`, where `<peers>` is
$BRINE_PEERS or `var/peers` in the checkout. What is installed already, from the same lock, stays as it is.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]


def folder(peer: str) -> Path:
    """Where this peer's environment lies, or would."""
    return Path(os.environ.get("BRINE_PEERS") or CHECKOUT / "var" / "peers").absolute() / peer


def python(peer: str) -> Path:
    """Its interpreter."""
    return folder(peer) / "bin" / "python"


def missing(peer: str) -> str | None:
    """Why tests with this peer cannot run, with what to do; None when they can."""
    if _installed(peer):
        return None
    return f"The peer {peer} is not installed, or from another lock; `make peers` does it."


def install(peer: str) -> None:
    """Make its environment from its lock, unless that has been done. Raises CalledProcessError when pip fails."""
    target = folder(peer)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".installing")):
        if _installed(peer):
            return
        _stamp(peer).unlink(missing_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(target)], check=True)
        pip = [str(python(peer)), "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
        subprocess.run([*pip, "--require-hashes", "-r", str(_lock(peer))], check=True)
        _stamp(peer).write_text(_wanted(peer))


def peers() -> list[str]:
    """Every peer that there is a lock for."""
    return sorted(lock.parent.name for lock in HERE.glob("*/requirements.lock"))


def _lock(peer: str) -> Path:
    return HERE / peer / "requirements.lock"


def _stamp(peer: str) -> Path:
    return folder(peer) / ".installed"


def _wanted(peer: str) -> str:
    """What the stamp says when this very lock is installed (not a time, which a fresh clone makes new)."""
    return hashlib.sha256(_lock(peer).read_bytes()).hexdigest()


def _installed(peer: str) -> bool:
    return _stamp(peer).exists() and _stamp(peer).read_text() == _wanted(peer) and python(peer).exists()


def main(names: list[str]) -> int:
    """Install those that are named, or all."""
    if unknown := set(names) - set(peers()):
        print(f"There is no peer {', '.join(sorted(unknown))}; there are {', '.join(peers())}.", file=sys.stderr)
        return 2
    for peer in names or peers():
        print(f"Setting up {peer} for tests" if missing(peer) else f"{peer} is there")
        install(peer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
