"""Salt, through salt-api, and the clock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from orchestrator.domain.record import Record


class Clock(Protocol):
    """Time is a port, so that tests travel in it."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""


@dataclass(frozen=True)
class Branches:
    """The branches of a role's repository: `repository` without credentials, `names` sorted."""

    repository: str
    default: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """A server as the cloud has it. `state`: running | stopped | unknown. `address`: where its apps listen."""

    server: str
    address: str | None
    state: str
    provider: str = ""
    profile: str = ""
    key: str = ""  # accepted | pending | denied | rejected | "" (none)
    record: bool = False


@dataclass(frozen=True)
class StateProgress:
    """One Salt state of a running highstate has ended: the `n`th of `of`, `name` its id, `ok` its result."""

    n: int
    of: int
    name: str
    ok: bool


@dataclass(frozen=True)
class JobReturn:
    """What a minion returned. `ret`: a state dict, a list of render errors, or a string. `retcode` as Salt gives it."""

    ret: Any
    retcode: int


@dataclass(frozen=True)
class JobNews:
    """What `Salt.news` learned: new progress, and the return once it is there. `lost`: nobody runs this job."""

    progress: Sequence[StateProgress] = ()
    returned: JobReturn | None = None
    lost: bool = False


@dataclass(frozen=True)
class Job:
    """A job as the master's job cache has it. `returns`: by minion id; None for one that has not returned (yet).

    `function` and `arguments`: of a runner's job; of a minion's the cache does not tell them, and they are empty.
    """

    jid: str
    returns: Mapping[str, JobReturn | None]
    function: str = ""
    arguments: Sequence[Any] = ()


class Salt(Protocol):
    """Salt, through salt-api. Every method is safe to repeat with the same arguments.

    Any method raises `Unavailable("salt-unreachable" | "salt-login-refused" | "salt-unanswered", ...)` when salt-api is
    down, refuses our account, or does not answer in time, and `SaltRefused` when our runner answers with an error.
    """

    def branches(self, template: str, role: str) -> Branches:
        """The branches at the remote. SaltRefused: `template-unknown`, `repository-unreachable`."""

    def all_branches(self, template: str) -> Mapping[str, Branches]:
        """The same for every role of a template, in one call. SaltRefused when one repository cannot be reached."""

    def providers(self) -> Mapping[str, str]:
        """The cloud provider of every salt-cloud profile, by the profile's name. May be a few minutes old."""

    def create(self, record: Record, profile: str, seconds: float, since: str = "") -> Machine:
        """Make the server, its key and its record, and return it; one that exists is returned as it is.

        What an operation before `since` (an id) has made was an earlier bearer's of the name: it is removed first.

        Returns when the machine exists (its minion may still be starting). SaltRefused: `profile-unknown`,
        `superseded` (a later operation destroyed it, or has written its record), `create-failed`.
        """

    def destroy(self, server: str, operation: str, seconds: float) -> bool:
        """Remove the machine, its key and its record; a server that is not there is a success. True if it existed.

        SaltRefused: `destroy-failed`; the server then still counts as there.
        """

    def put(self, records: Sequence[Record]) -> None:
        """Write the records of servers that exist. SaltRefused: `record-invalid`, `superseded` by a later operation."""

    def inventory(self) -> list[Machine]:
        """All that bears our mark: machines, and keys or records whose machine is gone (state `unknown`)."""

    def minion_started(self, server: str, seconds: float) -> bool:
        """Wait up to `seconds` for the minion to answer; True as soon as it does."""

    def answering(self, servers: Collection[str], seconds: float) -> frozenset[str]:
        """Which of these minions answer within `seconds`; returns as soon as all do. One question for all of them."""

    def new_jid(self) -> str:
        """A job id of Salt's form, unique in this process and ascending."""

    def submit(self, server: str, jid: str, function: str, argument: Mapping[str, Any] | None = None) -> None:
        """Start `brinepool.<function>` on the minion under `jid`. A minion that has seen `jid` ignores it.

        SaltRefused: `server-unknown`, when the master knows no minion of that name.
        """

    def news(self, server: str, jid: str, seconds: float) -> JobNews:
        """Wait up to `seconds` for something new about the job; an empty answer when nothing came.

        Events are hints: when they are silent, the job cache and `find_job` are asked. `lost` is said only when the
        minion answered that it does not run the job and the job cache has no return.
        """

    def kill(self, server: str, jid: str) -> None:
        """End the job on the minion, with all processes that it began; returns as soon as the minion is told.

        A job that has ended or never began, and a server that is not there, are a success. What was killed returns
        nothing: `news` says that it is lost.
        """

    def job(self, jid: str) -> Job:
        """All that the job cache has of a job. NotFound("job-unknown") when it has nothing (any more)."""

    def boot_log(self, server: str) -> str:
        """The end of what the server's machine says of itself: its console, or its minion's own log; masked there.

        "" when there is none: no such machine of ours, or a cloud that does not tell.
        """

    def health(self) -> None:
        """Return when salt-api answers and accepts our account; raise Unavailable otherwise."""


class SaltRefused(Exception):
    """Our runner answered with an error, as data: `code`, `message` (one sentence), `detail` (Salt's own words)."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
