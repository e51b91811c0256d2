"""The sandboxes of a home, as far as the stack needs them: which there are, which run, switch one on.

How a sandbox is made is the business of the salt-cloud driver (saltext.sandboxes), which leaves two files in each
sandbox's folder: `meta.json` (`address`, `profile`, ...) and `boot.json` (`start`: a command that switches the sandbox
on, whatever state it is in; `environment`: the whole environment to run it with).
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import launcher
from .home import Home


@dataclass(frozen=True)
class SandboxStatus:
    """A server of the sandbox cloud. `state`: running | stopped."""

    name: str
    state: str
    address: str
    profile: str


def all_of(home: Home) -> tuple[SandboxStatus, ...]:
    """Every sandbox of the home. One runs when its supervisord lives, which keeps its minion and its apps up."""
    living = launcher.find({"BRINE_HOME": str(home.root), "BRINE_PROGRAM": "supervisord"})
    running = {process.marks.get("BRINE_SANDBOX") for process in living if process.pid == process.session}
    return tuple(_status(file, running) for file in sorted(home.sandboxes.glob("*/meta.json")))


def start(home: Home, name: str) -> None:
    """Switch a sandbox on. Raises OSError or subprocess.SubprocessError when that fails."""
    boot = json.loads((home.sandboxes / name / "boot.json").read_text())
    Path(boot["sockets"]).mkdir(exist_ok=True, mode=0o700)  # `down` removed it, or whatever cleans up temporary files
    subprocess.run(boot["start"], env=boot["environment"], check=True, capture_output=True)


def _status(file: Path, running: set[str | None]) -> SandboxStatus:
    meta, name = json.loads(file.read_text()), file.parent.name
    return SandboxStatus(name, "running" if name in running else "stopped", meta["address"], meta["profile"])
