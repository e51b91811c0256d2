"""A real ngircd (an IRC server, from Debian), a real Errbot in it with our plugin, and people with clients."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from . import install

PEER = "errbot"
PLUGIN = install.CHECKOUT / "integrations" / "err-brinepool"
NICK = "brine-bot"
PATIENCE = 30.0
UPDATES = "/brinepool/updates"

_FORMATTING = re.compile(r"\x03(?:\d{1,2}(?:,\d{1,2})?)?|[\x02\x0f\x16\x1d\x1f]")


def missing() -> str | None:
    """Why tests with Errbot over IRC cannot run, with what to do; None when they can."""
    if _ngircd() is None:
        return "ngircd is not installed; on Debian `apt-get install ngircd` does it."
    return install.missing(PEER)


class Ngircd:
    """One IRC server on a free loopback port. After `stop` it can be started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ngircd.conf").write_text(
            f"[Global]\nName = irc.brine.test\nInfo = test\nListen = 127.0.0.1\nPorts = {self.port}\n"
            # Without its pauses for those who write a lot, which would make every test slow.
            "MotdPhrase = hello\n[Limits]\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\n"
            "[Options]\nDNS = no\nIdent = no\nPAM = no\n"
        )

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        program = _ngircd()
        assert program
        self._process = _program([program, "-n", "-f", str(self._folder / "ngircd.conf")], self._folder / "ngircd.log")
        wait_until(self._takes_connections, lambda: f"ngircd did not start:\n{_tail(self._folder / 'ngircd.log')}")

    def stop(self) -> None:
        """End it; safe to repeat."""
        process, self._process = self._process, None
        _end(process)

    def _takes_connections(self) -> bool:
        assert self._process
        assert self._process.poll() is None, _tail(self._folder / "ngircd.log")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Errbot:
    """Errbot in an IRC server, in `rooms`, with the plugin. `brinepool`: the URL that it calls."""

    def __init__(self, folder: Path, irc: Ngircd, rooms: list[str], brinepool: str, secret: str) -> None:
        self.updates = f"http://127.0.0.1:{(port := free_port())}{UPDATES}"
        self._folder = folder
        self._port = port
        self._settings = {"BRINE_URL": brinepool, "BRINE_BOT": PEER, "BRINE_CHAT_SECRET_FILE": str(folder / "secret")}
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "secret").write_text(secret + "\n")
        (folder / "config.py").write_text(
            f"BACKEND = 'IRC'\nBOT_DATA_DIR = {str(folder / 'data')!r}\nBOT_EXTRA_PLUGIN_DIR = {str(PLUGIN)!r}\n"
            f"BOT_LOG_FILE = None\nBOT_LOG_LEVEL = 'INFO'\nBOT_ADMINS = ('root!*@*',)\n"
            f"BOT_IDENTITY = {{'nickname': {NICK!r}, 'server': '127.0.0.1', 'port': {irc.port}}}\n"
            f"CHATROOM_PRESENCE = {tuple(rooms)!r}\n"
            # Without ChatRoom it joins no room, and without Webserver nobody can call it.
            "CORE_PLUGINS = ('ACLs', 'ChatRoom', 'Help', 'Webserver')\n"
            "IRC_CHANNEL_RATE = IRC_PRIVATE_RATE = 0.02\n"
            # Errbot 6.2.1 forgets its own setting for this, and comes back after a minute or more.
            "from irc.bot import ExponentialBackoff\nExponentialBackoff.min_interval = 1\n"
        )

    def start(self) -> None:
        """Start it. Whoever is in the rooms sees it come."""
        self._configure()
        self._process = _program(self._command(), self._folder / "errbot.log", self._environment())

    def stop(self) -> None:
        """End it; safe to repeat."""
        process, self._process = self._process, None
        _end(process)

    def listens(self) -> bool:
        """Whether the plugin is active and can be called, which is so once it is in the chat."""
        assert self._process
        assert self._process.poll() is None, self.log()
        if "failed to activate" in (self._folder / "errbot.log").read_text(errors="replace"):
            # Errbot 6.2.1 with Flask 3: a request that comes before its web server has all its paths keeps it from
            # getting them. This is such a request now and then; it is started again, as its user would do.
            self.stop()
            (self._folder / "errbot.log").unlink()
            self.start()
            return False
        try:
            return requests.post(self.updates, timeout=5).status_code == 401  # for want of a signature
        except requests.ConnectionError:
            return False

    def log(self) -> str:
        """The end of its log."""
        return _tail(self._folder / "errbot.log")

    def _configure(self) -> None:
        """What an admin would type as `!plugin config Webserver {...}`."""
        settings = {"configs": {"Webserver": {"HOST": "127.0.0.1", "PORT": self._port}}}
        subprocess.run(
            [*self._command(), "--storage-merge", "core"], input=repr(settings).encode(), env=self._environment(),
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [str(install.folder(PEER) / "bin" / "errbot"), "-c", str(self._folder / "config.py")]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self._folder), **self._settings}


@dataclass(frozen=True)
class Heard:
    """A line that somebody said, as it was sent. `at`: when it arrived."""

    nick: str
    where: str
    text: str
    at: float


class Person:
    """Somebody in the IRC server, with a client of twenty lines."""

    def __init__(self, irc: Ngircd, nick: str, rooms: list[str]) -> None:
        self.nick = nick
        self.heard: list[Heard] = []
        self.there: set[tuple[str, str]] = set()  # who has been seen to be in which room
        self._irc = irc
        self._rooms = rooms
        self._socket: socket.socket | None = None
        self._reader: threading.Thread | None = None

    def connect(self) -> None:
        """Connect, and join the rooms."""
        self._socket = socket.create_connection(("127.0.0.1", self._irc.port), timeout=PATIENCE)
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, args=(self._socket,), daemon=True)
        self._reader.start()
        self._send(f"NICK {self.nick}", f"USER {self.nick} 0 * :{self.nick}")
        wait_until(lambda: (self.nick, "") in self.there, lambda: f"{self.nick} was not let in")
        for room in self._rooms:
            self._send(f"JOIN {room}")
        for room in self._rooms:
            wait_until(lambda room=room: self.sees(self.nick, room), lambda: f"{self.nick} is not in the rooms")  # type: ignore[misc]

    def sees(self, nick: str, room: str) -> bool:
        """Whether somebody is in a room of ours."""
        return (nick, room) in self.there

    def say(self, where: str, text: str, command: str = "PRIVMSG") -> None:
        """Write to a room, or to a nick."""
        self._send(f"{command} {where} :{text}")

    def close(self) -> None:
        """Leave; safe to repeat."""
        if self._socket is not None:
            with suppress(OSError):  # the server may have gone first
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reader, which closing alone does not
            self._socket.close()
        if self._reader is not None:
            self._reader.join()
        self._socket = self._reader = None
        self.there.clear()

    def _send(self, *lines: str) -> None:
        assert self._socket
        self._socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def _read(self, connection: socket.socket) -> None:
        buffer = b""
        try:
            while received := connection.recv(4096):
                *lines, buffer = (buffer + received).split(b"\r\n")
                for line in lines:
                    self._take(line.decode(errors="replace"))
        except OSError:
            pass  # we have left

    def _take(self, line: str) -> None:
        source, command, *middle, last = _parts(line)
        nick = source.partition("!")[0]
        if command == "PING":
            self._send(f"PONG :{last}")
        elif command == "001":
            self.there.add((self.nick, ""))
        elif command == "JOIN":
            self.there.add((nick, last))
        elif command in ("PART", "QUIT"):
            self.there = {seen for seen in self.there if seen[0] != nick}
        elif command == "353":  # who is in a room that we joined
            self.there |= {(name.lstrip("@+"), middle[-1]) for name in last.split()}
        elif command in ("PRIVMSG", "NOTICE"):
            self.heard.append(Heard(nick, middle[0], last, time.monotonic()))


def _parts(line: str) -> list[str]:
    """Source, command and parameters of a line; the source is empty when there is none."""
    source, line = line[1:].split(" ", 1) if line.startswith(":") else ("", line)
    head, colon, text = line.partition(" :")
    return [source, *head.split(), *([text] if colon else [])]


def readable(text: str) -> str:
    """Without IRC's colours."""
    return _FORMATTING.sub("", text)


def wait_until(found: Callable[[], object], why: Callable[[], str], seconds: float = PATIENCE) -> None:
    """Wait for something; AssertionError with `why` when it does not come."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ngircd() -> str | None:
    """Debian puts it where only root looks."""
    return shutil.which("ngircd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def _program(command: list[str], log: Path, environment: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return subprocess.Popen(
            command, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )


def _end(process: "subprocess.Popen[bytes] | None") -> None:
    if process is None:
        return
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
