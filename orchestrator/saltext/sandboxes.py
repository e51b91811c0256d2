"""Sandboxes: servers that are folders. Plain files and processes; knows nothing of Salt's loader.

A sandbox is `<folder>/<name>/`:
    meta.json          {v, name, address, profile, provider, size, image, created}: made first, removed last; it is the
                       claim on the name and the address, and our mark
    boot.json          {start, environment, sockets}: how to switch it on; made last: a folder without it is half-made
    supervisord.conf   for its own supervisord, which runs the minion and includes services.d/*.conf, the apps
    etc/               the minion's configuration and keys (`salt-call -c <folder>/<name>/etc`)
    services.d/ srv/ home/ tmp/ log/ run/ cache/
Its processes carry BRINE_SANDBOX=<name> and end as one, whatever they did to their parents, groups and signals (see
the launcher). The supervisord is a session of its own: it survives the master that made it.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from filelock import FileLock

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
FOLDERS = ("etc/pki", "services.d", "srv", "home", "tmp", "log", "run", "cache")
LOCK_SECONDS = 30
CONSOLE_BYTES = 64 * 1024
FIRST_ADDRESS = 256  # below 127.N.1.0 is the stack itself


class SandboxError(Exception):
    """It cannot be done; the message is a sentence for people."""


@dataclass(frozen=True)
class Cloud:
    """Where sandboxes are and what they are made with: the section `sandbox` of salt-cloud's configuration."""

    folder: Path
    sockets: Path
    network: IPv4Network
    launcher: tuple[str, ...]
    supervisord: str
    salt_minion: str
    environment: Mapping[str, str]
    minion: Mapping[str, Any]

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> "Cloud":
        """From the configuration. Raises KeyError when it is not complete."""
        return cls(
            Path(section["folder"]), Path(section["sockets"]), IPv4Network(section["network"]),
            tuple(section["launcher"]), section["supervisord"], section["salt_minion"],
            dict(section["environment"]), dict(section["minion"]),
        )  # fmt: skip

    def socket_folder(self, name: str) -> Path:
        """Where the sandbox's sockets are: short, whatever its name is."""
        return self.sockets / hashlib.sha256(name.encode()).hexdigest()[:12]

    def marks(self, name: str) -> tuple[str, ...]:
        """What the sandbox's processes are known by."""
        return f"BRINE_HOME={self.environment['BRINE_HOME']}", f"BRINE_SANDBOX={name}"


@dataclass(frozen=True)
class Meta:
    """What a sandbox is, from its first moment to its last."""

    name: str
    address: str
    profile: str
    provider: str
    size: str = ""
    image: str = ""
    created: str = ""
    v: int = 1


def claim(cloud: Cloud, name: str, profile: str, provider: str, size: str = "", image: str = "") -> Meta:
    """Make the sandbox's folder with a name and an address that nobody else has. Raises SandboxError."""
    if not NAME.fullmatch(name):
        raise SandboxError(f"“{name}” cannot be the name of a sandbox: use letters, digits, dots and hyphens.")
    with FileLock(cloud.folder / ".lock", timeout=LOCK_SECONDS):
        _remove_unfinished(cloud)
        if (cloud.folder / name).exists():
            raise SandboxError(f"The sandbox {name} is there already.")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        meta = Meta(name, _free_address(cloud), profile, provider, size, image, created)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=cloud.folder))
        (making / "meta.json").write_text(json.dumps(asdict(meta)))
        making.rename(cloud.folder / name)
    return meta


def furnish(cloud: Cloud, name: str, minion: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    """Fill a claimed folder: the minion's configuration, its keys (file name → PEM) and how to start it all."""
    folder = cloud.folder / name
    for part in FOLDERS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    for file, content in keys.items():
        _write(folder / "etc" / "pki" / file, content, 0o400 if file.endswith(".pem") else 0o644)
    own = {**minion, **cloud.minion, **_minion_settings(cloud, name)}
    _write(folder / "etc" / "minion", json.dumps(own, indent=1), 0o600)  # JSON is YAML
    _write(folder / "supervisord.conf", _supervisor(cloud, name), 0o600)
    _write(folder / "boot.json", json.dumps(_boot(cloud, name)), 0o600)


def start(cloud: Cloud, name: str) -> None:
    """Switch a sandbox on; returns at once. Raises SandboxError when it is half-made or cannot be started."""
    try:
        boot = json.loads((cloud.folder / name / "boot.json").read_text())
        _private(cloud.socket_folder(name))  # it lies in a place for temporary files, and those are cleaned up
        subprocess.run(boot["start"], env=boot["environment"], cwd="/", check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SandboxError(f"The sandbox {name} is half-made; destroy it and create it again.") from error
    except subprocess.CalledProcessError as error:
        raise SandboxError(f"The sandbox {name} cannot be started: {error.stderr.strip()}") from error


def stop(cloud: Cloud, name: str, grace: float = 0) -> None:
    """End every process of the sandbox; with grace in order first. Raises SandboxError when something stays."""
    try:
        command = [*cloud.launcher, "end", str(grace), *cloud.marks(name)]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise SandboxError(f"The sandbox {name} does not end: {error.stderr.strip().splitlines()[-1:]}") from error


def destroy(cloud: Cloud, name: str) -> bool:
    """Remove a sandbox, half-made ones too; False when there is none. Interrupted, it is still listed: do it again."""
    folder = cloud.folder / name
    if not NAME.fullmatch(name) or not folder.is_dir():
        return False
    stop(cloud, name)
    try:
        for part in sorted(folder.iterdir(), key=lambda part: part.name == "meta.json"):
            shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()
        folder.rmdir()
    except OSError as error:
        raise SandboxError(f"The folder of the sandbox {name} cannot be removed: {error}") from error
    shutil.rmtree(cloud.socket_folder(name), ignore_errors=True)
    return True


def all_of(cloud: Cloud) -> dict[str, Meta]:
    """Every sandbox, half-made ones too, by name."""
    found = {}
    for file in cloud.folder.glob("*/meta.json"):
        try:
            found[file.parent.name] = Meta(**json.loads(file.read_text()))
        except FileNotFoundError:
            continue  # destroyed while we looked
    return found


def running(cloud: Cloud) -> set[str]:
    """The names of those whose supervisord lives. It is what init is to a machine: it keeps the minion and apps up."""
    marks = (cloud.marks("")[0], "BRINE_PROGRAM=supervisord")
    answer = subprocess.run([*cloud.launcher, "ps", *marks], check=True, capture_output=True, text=True)
    found = [process for process in json.loads(answer.stdout) if process["pid"] == process["session"]]
    return {process["marks"].get("BRINE_SANDBOX", "") for process in found} - {""}


def console(cloud: Cloud, name: str) -> str:
    """The end of what a sandbox says of itself: its minion's log, else what its minion or its supervisord printed.

    Whole lines, of at most CONSOLE_BYTES; "" when nothing was said, or when there is no such sandbox.
    """
    if not NAME.fullmatch(name):
        return ""
    files = (cloud.folder / name / "log" / file for file in ("minion", "salt-minion.out", "supervisord.out"))
    return next((text for file in files if (text := _end_of(file)).strip()), "")


def is_half_made(cloud: Cloud, name: str) -> bool:
    """Whether a sandbox was never finished: it can only be destroyed."""
    return not (cloud.folder / name / "boot.json").exists()


def _remove_unfinished(cloud: Cloud) -> None:
    """Folders whose maker died between two system calls; we hold the lock, so nobody is making one now."""
    for left in cloud.folder.glob(".making-*"):
        shutil.rmtree(left, ignore_errors=True)


def _free_address(cloud: Cloud) -> str:
    """The next address after the last one given: an old address is not somebody else's at once."""
    cursor = cloud.folder / ".last-address"
    last = int(cursor.read_text()) if cursor.exists() else FIRST_ADDRESS
    number = next_free(last, {_number(cloud, meta.address) for meta in all_of(cloud).values()}, cloud.network)
    cursor.write_text(str(number))
    return str(cloud.network[number])


def next_free(last: int, taken: Iterable[int], network: IPv4Network) -> int:
    """The first number after `last`, around the network, that is not taken. Raises SandboxError when none is left."""
    taken, size = set(taken), network.num_addresses - 1 - FIRST_ADDRESS
    for step in range(size):
        number = FIRST_ADDRESS + (last + 1 - FIRST_ADDRESS + step) % size
        if number not in taken:
            return number
    raise SandboxError(f"No address is left in {network}.")


def _number(cloud: Cloud, address: str) -> int:
    return int.from_bytes(map(int, address.split("."))) - int(cloud.network.network_address)


def _minion_settings(cloud: Cloud, name: str) -> dict[str, Any]:
    """What makes this minion this sandbox's. No root_dir: Salt would take sock_dir below it, and that must be short."""
    folder, sockets = cloud.folder / name, cloud.socket_folder(name)
    return {
        "id": name,
        "pki_dir": str(folder / "etc" / "pki"),
        "cachedir": str(folder / "cache"),
        "extension_modules": str(folder / "cache" / "extmods"),
        "sock_dir": str(sockets),
        "pidfile": str(folder / "run" / "salt-minion.pid"),
        "log_file": str(folder / "log" / "minion"),
        # For our modules and states on the minion: `'sandbox' in opts` tells that it is one.
        "sandbox": {
            "folder": str(folder),
            "services": str(folder / "services.d"),
            "supervisor": str(sockets / "supervisor"),
        },
    }


def _supervisor(cloud: Cloud, name: str) -> str:
    """The sandbox's supervisord.conf. `include` is relative, because supervisor splits it at blanks."""
    folder, socket = cloud.folder / name, cloud.socket_folder(name) / "supervisor"
    minion = (*cloud.launcher, "run", "salt-minion", "--")
    # Without its keepalive parent a minion needs 84 instead of 128 MB; supervisord starts it again if it dies.
    minion += (cloud.salt_minion, "-c", str(folder / "etc"), "--disable-keepalive")
    sections: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": socket, "chmod": "0600"},
        "supervisord": {
            "logfile": folder / "log" / "supervisord.log",
            "pidfile": folder / "run" / "supervisord.pid",
            "childlogdir": folder / "log",
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "supervisorctl": {"serverurl": f"unix://{socket}"},
        "program:salt-minion": {
            "command": shlex.join(minion),
            "autorestart": "true",
            "startretries": "1000000",  # like systemd's Restart=always: a master that is away is no reason to give up
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": "5",  # it does not always end on SIGTERM
            "redirect_stderr": "true",
            "stdout_logfile": folder / "log" / "salt-minion.out",
        },
        "include": {"files": "services.d/*.conf"},
    }
    return "\n".join(_section(title, values) for title, values in sections.items())


def _section(title: str, values: Mapping[str, object]) -> str:
    lines = (f"{key} = {str(value).replace('%', '%%')}" for key, value in values.items())
    return "\n".join((f"[{title}]", *lines, ""))


def _boot(cloud: Cloud, name: str) -> dict[str, Any]:
    """How to switch it on. The environment is the whole one: nothing of whoever does it comes along."""
    folder = cloud.folder / name
    own = {"BRINE_SANDBOX": name, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    run = [*cloud.launcher, "run", "--daemon", str(folder / "log" / "supervisord.out"), "supervisord", "--"]
    return {
        "start": [*run, cloud.supervisord, "--nodaemon", "--configuration", str(folder / "supervisord.conf")],
        "environment": {**cloud.environment, **own},
        "sockets": str(cloud.socket_folder(name)),
    }


def _end_of(file: Path) -> str:
    """The last whole lines of a file. Only of a plain one: who writes there must not be able to show us another."""
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                return ""
            cut = max(0, status.st_size - CONSOLE_BYTES)
            opened.seek(cut)
            text = opened.read(CONSOLE_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return text.partition("\n")[2] if cut else text


def _private(folder: Path) -> None:
    folder.mkdir(exist_ok=True, parents=True, mode=0o700)


def _write(path: Path, content: str, mode: int) -> None:
    """Write a file in one step, never readable by more than `mode` says."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w") as file:
        file.write(content)
    temporary.replace(path)
