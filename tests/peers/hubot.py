"""A real Hubot with the package `integrations/hubot-brinepool` in it: over lines of JSON, or in its own Shell.

`hubot.missing()` says why it cannot run, `hubot.install()` makes that it can.
"""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

PACKAGE = Path(__file__).resolve().parents[2] / "integrations" / "hubot-brinepool"
PATIENCE = 30.0
UPDATES = "/brinepool/updates"


def missing() -> str | None:
    """Why tests with Hubot cannot run, with what to do; None when they can."""
    if shutil.which("node") is None:
        return "Node is not installed; Hubot needs version 20."
    if _versions("package-lock.json") != _versions("node_modules/.package-lock.json"):
        return "The peer hubot is not installed, or from another lock; `make peers` does it."
    return None


def install() -> None:
    """Install what the package's lock names, unless that has been done. Raises CalledProcessError when npm fails."""
    if missing():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=PACKAGE, check=True)


def _versions(lock: str) -> dict[str, str] | None:
    try:
        packages = json.loads((PACKAGE / lock).read_text(encoding="utf-8"))["packages"]
    except FileNotFoundError:
        return None
    return {name: package["version"] for name, package in packages.items() if name}


class Program:
    """A Hubot process whose output is read line by line. It starts in `folder` and ends with its stdin."""

    def __init__(self, folder: Path, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._arguments = arguments
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._changed = threading.Condition()
        self.lines: list[str] = []

    def start(self) -> None:
        """Start the process; it does not answer yet."""
        # stderr goes with stdout: a trace there is something that a test wants to see.
        self._process = subprocess.Popen(
            ["node", *self._arguments],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={"PATH": os.environ["PATH"], "EXPRESS_BIND_ADDRESS": "127.0.0.1", **self._settings},
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """End it; safe to repeat."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader:
            self._reader.join()

    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def type(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def wait_for(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Wait until this is true of what it has written. Raises AssertionError with all of that when it is late."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), "Hubot wrote:\n" + "\n".join(self.lines)

    def take(self, line: str) -> None:
        """A line that it wrote; kept."""
        self.lines.append(line)

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self.take(line.rstrip("\n"))
                self._changed.notify_all()
        process.stdout.close()


class Hubot(Program):
    """A Hubot in which a test plays the people: `hear` is what somebody says, `said` what the bot has said.

    `settings` are the package's (BRINE_URL, ...). `start` returns when it listens, at `url`; after `stop` it can be
    started again and listens there again. It has these `rooms` and these `people` (id → name), and no others.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str], rooms: Sequence[str], people: Mapping[str, str]
    ) -> None:
        self.said: list[dict[str, Any]] = []
        self.url = ""
        self._people = people
        self._port = 0
        self._messages = 0
        self._own = {
            "EXPRESS_PORT": "0",
            "HUBOT_LOG_LEVEL": "warn",
            "LINES_ROOMS": ",".join(rooms),
            "LINES_PEOPLE": ",".join(people),
            **settings,
        }
        adapter = PACKAGE / "test" / "adapters.mjs"
        program = PACKAGE / "node_modules" / "hubot" / "bin" / "hubot"
        super().__init__(folder, [str(program), "-f", str(adapter), "-n", "hubot"], self._own)

    def start(self) -> None:
        """Start it and wait until it listens."""
        scripts = self._folder / "scripts"
        scripts.mkdir(exist_ok=True)
        (scripts / "brinepool.mjs").write_text(f"export {{ default }} from '{(PACKAGE / 'index.mjs').as_uri()}'\n")
        self._own["EXPRESS_PORT"] = str(self._port)
        self._port, kept = 0, self._port
        super().start()
        self.wait_for(lambda: self._port or not self.running())
        assert self._port, "Hubot ended:\n" + "\n".join(self.lines)
        assert kept in (0, self._port)
        self.url = f"http://127.0.0.1:{self._port}"

    def take(self, line: str) -> None:
        """Tell what it says and that it is ready from its log."""
        super().take(line)
        try:
            written = json.loads(line)
        except ValueError:
            return
        if "said" in written:
            self.said.append(written["said"])
        self._port = written.get("ready", self._port)

    def hear(self, user: str, text: str, room: str | None, message: str = "", bot: bool = False) -> str:
        """Somebody says something in a room, or to the bot alone → the id of the message."""
        self._messages += not message
        message = message or f"msg-{self._messages}"
        sender = {"id": user, "name": self._people[user], "is_bot": bot}
        self.type(json.dumps({"user": sender, "text": text, "room": room, "id": message}))
        return message


class Shell(Program):
    """Hubot's Shell, with the package installed as people install it: in node_modules and external-scripts.json.

    `start` returns when the script is loaded; what is typed before that is lost.
    """

    def __init__(self, folder: Path, port: int, settings: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        program = folder / "node_modules" / "hubot" / "bin" / "hubot"
        own = {"EXPRESS_PORT": str(port), "HUBOT_LOG_LEVEL": "warn", **settings}
        super().__init__(folder, [str(program), "-a", "Shell", "-n", "hubot"], own)

    def start(self) -> None:
        """Install, start, and wait until the script answers."""
        modules = self._folder / "node_modules"
        shutil.copytree(PACKAGE / "node_modules", modules, symlinks=True)
        shutil.copytree(PACKAGE, modules / "hubot-brinepool", ignore=shutil.ignore_patterns("node_modules", "test"))
        (self._folder / "external-scripts.json").write_text('["hubot-brinepool"]')
        (self._folder / ".hubot_history").touch()  # it complains with a trace when there is none
        super().start()
        self._wait_for_the_script(time.monotonic() + PATIENCE)

    def stop(self) -> None:
        """End it; safe to repeat. The Shell does not end with its stdin."""
        if self.running():
            self.type("exit")
        super().stop()

    def shown(self) -> str:
        """Everything that it has written."""
        return "\n".join(self.lines)

    def _wait_for_the_script(self, deadline: float) -> None:
        while self.running() and time.monotonic() < deadline:
            if _status(self.url + UPDATES) == 401:  # ours; before it is loaded it is Hubot's 404
                return
            with self._changed:
                self._changed.wait(0.05)
        raise AssertionError("Hubot did not load the script:\n" + self.shown())


def _status(url: str) -> int | None:
    try:
        return requests.post(url, data=b"", timeout=5).status_code
    except requests.ConnectionError:
        return None


if __name__ == "__main__":
    install()
