"""The programs of the stack, as data: what is started, where it listens, and which setting moves it."""

from dataclasses import dataclass

from .home import Home

SUPERVISOR = "supervisord"


@dataclass(frozen=True)
class Port:
    """A place to listen, and the setting that changes it."""

    address: str
    number: int
    setting: str

    def __str__(self) -> str:
        return f"{self.address}:{self.number}"


@dataclass(frozen=True)
class Program:
    """One supervised program. `order`: lower starts first."""

    name: str
    command: tuple[str, ...]
    ports: tuple[Port, ...]
    order: int


def programs(home: Home) -> tuple[Program, ...]:
    """The programs of a home, in the order in which they start."""
    return _salt_master(home), _salt_api(home), _brinepool(home)


def supervisord(home: Home) -> tuple[str, ...]:
    """The command that supervises them."""
    return str(home.bin / "supervisord"), "--nodaemon", "--configuration", str(home.etc / "supervisord.conf")


def _salt_master(home: Home) -> Program:
    ports = (Port(*home.salt_return, "BRINE_SALT_RETURN_PORT"), Port(*home.salt_publish, "BRINE_SALT_PUBLISH_PORT"))
    master = (str(home.bin / "python"), "-m", "orchestrator.saltext.master")  # salt-master, quicker for our runner
    return Program("salt-master", (*master, "-c", str(home.etc)), ports, order=1)


def _salt_api(home: Home) -> Program:
    ports = (Port(*home.salt_api, "BRINE_SALT_API_PORT"),)
    return Program("salt-api", (str(home.bin / "salt-api"), "-c", str(home.etc)), ports, order=2)


def _brinepool(home: Home) -> Program:
    return Program("brinepool", (str(home.bin / "brine"), "serve"), (Port(*home.brinepool, "BRINE_PORT"),), order=3)
