"""The home: the folder with state and secrets of one installation, and every path and address in it.

`claim(settings)` makes it (idempotent), `find(settings)` reads one that exists. Nobody else puts a path together.
"""

import hashlib
import json
import os
import pwd
import secrets as random
import shutil
import sys
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Self

from orchestrator.domain.errors import NotFound, Unavailable
from orchestrator.settings import Settings

from . import networks

SECRETS = ("salt-api", "admin-token")
FOLDERS = ("secrets", "etc", "salt", "run", "log", "sandboxes", "repos", "wheels")


@dataclass(frozen=True)
class Home:
    """One installation: where everything is and listens."""

    root: Path
    site: Path
    network: IPv4Network
    brinepool: tuple[str, int]  # address and port that Brinepool listens on
    salt_api: tuple[str, int]
    salt_publish: tuple[str, int]
    salt_return: tuple[str, int]

    @classmethod
    def of(cls, settings: Settings, network: IPv4Network) -> Self:
        """The home that these settings and this network make."""
        own = str(network[1])
        return cls(
            root=settings.home, site=settings.site, network=network,
            brinepool=(settings.address or own, settings.port), salt_api=(own, settings.salt_api_port),
            salt_publish=(own, settings.salt_publish_port), salt_return=(own, settings.salt_return_port),
        )  # fmt: skip

    @property
    def address(self) -> str:
        """The home's own address: master and salt-api listen here, sandboxes do not."""
        return str(self.network[1])

    @property
    def url(self) -> str:
        """Brinepool's URL."""
        return "http://{}:{}".format(*self.brinepool)

    @property
    def salt_api_url(self) -> str:
        """The embedded salt-api's URL."""
        return "http://{}:{}".format(*self.salt_api)

    @property
    def file(self) -> Path:
        """What this home has claimed."""
        return self.root / "home.json"

    @property
    def etc(self) -> Path:
        """The rendered configuration; Salt's configuration folder (`salt -c`, `salt-cloud -c`)."""
        return self.root / "etc"

    @property
    def salt(self) -> Path:
        """The master's keys, cache and job cache."""
        return self.root / "salt"

    @property
    def run(self) -> Path:
        """Process group records and pid files."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """The logs of the stack."""
        return self.root / "log"

    @property
    def sandboxes(self) -> Path:
        """One folder for each server of the sandbox cloud."""
        return self.root / "sandboxes"

    @property
    def repos(self) -> Path:
        """The sample apps as bare repositories, `<group>/<name>.git`."""
        return self.root / "repos"

    @property
    def wheels(self) -> Path:
        """What pip in a sandbox installs from."""
        return self.root / "wheels"

    @property
    def sockets(self) -> Path:
        """A short folder for sockets: a path of 108 characters is too long for one, and homes can be deep."""
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        return Path(f"/tmp/brine-{os.getuid()}-{digest}")  # noqa: S108  (made 0700 and checked in claim)

    @property
    def supervisor_socket(self) -> Path:
        """Where the stack's supervisord listens."""
        return self.sockets / "supervisor"

    @property
    def bin(self) -> Path:
        """The programs of the Python environment that we run in."""
        return Path(sys.prefix) / "bin"

    def secret(self, name: str) -> str:
        """The secret of that name (`salt-api`, `admin-token`)."""
        return (self.root / "secrets" / name).read_text().strip()

    @property
    def user(self) -> str:
        """The user that everything runs as, for Salt's `user` option. Raises Unavailable when it has no name."""
        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError as error:
            sentence = f"User id {os.getuid()} has no name on this machine, which Salt needs; use a user with a name."
            raise Unavailable("no-user-name", sentence) from error


def claim(settings: Settings) -> Home:
    """Make the home, or complete it, and return it. Raises Unavailable when that is not possible."""
    root = settings.home
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)  # the database in it is for nobody else
        for folder in FOLDERS:
            (root / folder).mkdir(exist_ok=True, mode=0o700 if folder == "secrets" else 0o755)
        home = Home.of(settings, _network(root))
        _private_folder(home.sockets)
        for name in SECRETS:
            _secret(root / "secrets" / name)
    except OSError as error:
        raise Unavailable("home-unusable", f"The home {root} cannot be used: {error}.") from error
    return home


def find(settings: Settings) -> Home:
    """The home, as an earlier `brine up` made it. Raises NotFound when there is none."""
    network = networks.recorded_in(settings.home / "home.json")
    if network is None:
        raise NotFound("no-home", f"There is no installation in {settings.home}; run brine up, or set BRINE_HOME.")
    return Home.of(settings, network)


def release(home: Home) -> None:
    """Give back what a home holds outside of its folder, its network and its sockets, before it is removed."""
    networks.release(home.root, home.network)
    shutil.rmtree(home.sockets, ignore_errors=True)


def _network(root: Path) -> IPv4Network:
    """Claim a network and record it. Another one than last time is taken only when no sandbox would move."""
    recorded = networks.recorded_in(root / "home.json")
    network = networks.claim(root, recorded)
    if recorded and network != recorded and any((root / "sandboxes").glob("*/meta.json")):
        networks.release(root, network)
        raise Unavailable(
            "network-taken",
            f"The network {recorded} of this home is in use by another one; end that one, or remove the servers here.",
        )
    if network != recorded:
        (root / "home.json").write_text(json.dumps({"v": 1, "network": str(network)}) + "\n")
    return network


def _private_folder(folder: Path) -> None:
    """Make a 0700 folder in a shared place, and make sure that nobody else made it for us."""
    folder.mkdir(exist_ok=True, mode=0o700)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise Unavailable("sockets-taken", f"{folder} belongs to somebody else; remove it, or use another home.")
    folder.chmod(0o700)


def _secret(path: Path) -> None:
    """Generate the secret on first use; it is never changed and never readable by others."""
    if path.exists():
        path.chmod(0o600)
        return
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(random.token_urlsafe(32) + "\n")
