"""What the inside needs and the outside provides. Fakes and real adapters are held to the same contract tests."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from .domain.conversation import Audit, Card, ConsoleMessage, NoticeMode, Place, Question
from .domain.environment import Actor, Environment, Event, Kind, Operation, Server
from .domain.failures import Failure
from .domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus
from .domain.notices import Destination
from .domain.people import Access
from .domain.record import Record
from .domain.template import Template


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


class Salt(Protocol):
    """Salt, through salt-api. Every method is safe to repeat with the same arguments.

    Any method raises `Unavailable("salt-unreachable" | "salt-login-refused" | "salt-unanswered", ...)` when salt-api is
    down, refuses our account, or does not answer in time, and `SaltRefused` when our runner answers with an error.
    """

    def branches(self, template: str, role: str) -> Branches:
        """The branches at the remote. SaltRefused: `template-unknown`, `repository-unreachable`."""

    def all_branches(self, template: str) -> Mapping[str, Branches]:
        """The same for every role of a template, in one call. SaltRefused when one repository cannot be reached."""

    def create(self, record: Record, profile: str, seconds: float) -> Machine:
        """Make the server, its key and its record, and return it; one that exists is returned as it is.

        Returns when the machine exists (its minion may still be starting). SaltRefused: `profile-unknown`,
        `superseded` (a later operation destroyed it), `create-failed`.
        """

    def destroy(self, server: str, operation: str, seconds: float) -> bool:
        """Remove the machine, its key and its record; a server that is not there is a success. True if it existed.

        SaltRefused: `destroy-failed`; the server then still counts as there.
        """

    def put(self, records: Sequence[Record]) -> None:
        """Write the records of servers that exist. SaltRefused: `record-invalid`."""

    def inventory(self) -> list[Machine]:
        """All that bears our mark: machines, and keys or records whose machine is gone (state `unknown`)."""

    def minion_started(self, server: str, seconds: float) -> bool:
        """Wait up to `seconds` for the minion to answer; True as soon as it does."""

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

    def health(self) -> None:
        """Return when salt-api answers and accepts our account; raise Unavailable otherwise."""


class SaltRefused(Exception):
    """Our runner answered with an error, as data: `code`, `message` (one sentence), `detail` (Salt's own words)."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


@dataclass(frozen=True)
class CuratedProblem:
    """One thing that is wrong in a curated file: where (1-based) and what, in a sentence."""

    file: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


@dataclass(frozen=True)
class CuratedTemplates:
    """The templates in force, and what is wrong with files that could not be taken."""

    templates: Mapping[str, Template] = field(default_factory=dict)
    problems: Sequence[CuratedProblem] = ()


class Templates(Protocol):
    """The curated templates. A file that became wrong leaves its last good version in force."""

    def current(self) -> CuratedTemplates:
        """What is in force now; files that changed since the last call are read again."""


@dataclass(frozen=True)
class CuratedAccess:
    """Who may do what, and what is wrong with a file that could not be taken."""

    access: Access = field(default_factory=Access)
    problems: Sequence[CuratedProblem] = ()


class AccessFile(Protocol):
    """The curated `access.yaml`. A file that became wrong leaves its last good version in force."""

    def current(self) -> CuratedAccess:
        """What is in force now; a file that changed since the last call is read again. No file: nobody is listed."""


class Chats(Protocol):
    """The chat services that are configured."""

    @property
    def services(self) -> Sequence[str]:
        """Their names."""

    def accounts(self, person: str) -> Sequence[tuple[str, str]]:
        """The accounts of somebody who wants to be told directly: service and account. Empty for all others."""

    def tell(self, seq: int, destination: Destination) -> float | None:
        """Tell the event of that number there. None when that is done, or never will be; else in how many seconds to
        try again. Once it returned None it is not called again, except after a crash in between."""


class Superseded(Exception):
    """A guarded write found another status, or another operation in charge, than it expected.

    The work that meets this ends quietly: somebody else has taken over (a terminate, mostly).
    """


class Conversations(Protocol):
    """What is kept of conversations, in the transaction of a ledger."""

    def first_time(self, service: str, message: str) -> bool:
        """Whether this message or delivery of a service was never seen before; from now on it was."""

    def forget_seen(self, before: datetime) -> int:
        """Forget messages seen before that. → how many."""

    def write_down(self, line: Audit) -> None:
        """A line of the audit."""

    def audits(self, before: int | None, limit: int) -> list[Audit]:
        """Lines of the audit, newest first; with `before` only those with a smaller `seq`."""

    def count_audits(self, account: str, code: str, since: datetime) -> int:
        """How many lines there are of that account with that code."""

    def person_of_account(self, service: str, account: str) -> str | None:
        """To whom an account was linked with a code."""

    def accounts_of(self, person: str) -> list[tuple[str, str]]:
        """The linked accounts of a person: service and account."""

    def link(self, service: str, account: str, person: str) -> None:
        """The account belongs to `person` from now on."""

    def add_code(self, code_hash: str, person: str, lives: timedelta) -> None:
        """A one-time code for `person`; an older one of theirs stops working."""

    def take_code(self, code_hash: str) -> str | None:
        """Whose code that is; it works once. None when unknown, used or expired."""

    def notices_of(self, person: str) -> NoticeMode:
        """How a person wants to be told."""

    def set_notices(self, person: str, mode: NoticeMode) -> None:
        """How a person wants to be told from now on."""

    def ask(self, question: Question) -> None:
        """A question to an account in a place; it takes the place of an earlier one."""

    def question(self, question: str) -> Question | None:
        """The question of that id, also when it has expired."""

    def open_question(self, place: Place, account: str) -> Question | None:
        """What the account was asked there and may still answer."""

    def withdraw(self, place: Place, account: str) -> bool:
        """There is no question any more. → whether there was one; of several callers one gets True."""

    def add_card(self, card: Card) -> None:
        """A new card."""

    def card(self, operation: str, place: Place) -> Card | None:
        """The operation's card in that place."""

    def cards(self, operation: str) -> list[Card]:
        """The operation's cards."""

    def open_cards(self, service: str) -> list[Card]:
        """The cards of a service that were posted and are not closed, by operation."""

    def change_card(self, operation: str, place: Place, **changes: Any) -> None:
        """Change `message` or `closed`."""

    def put_on_console(self, person: str, message: str, thread: str, reply: Mapping[str, Any]) -> None:
        """A message on a person's console: a new one, or another text for one that is there."""

    def on_console(self, person: str, after: int, limit: int) -> list[ConsoleMessage]:
        """The messages on a person's console with `seq` above `after`, oldest first."""

    def console_message(self, person: str, message: str) -> ConsoleMessage | None:
        """One message on a person's console."""

    def cursor(self, name: str) -> int | None:
        """How far a reader of events has come; None before its first time."""

    def move_cursor(self, name: str, seq: int) -> None:
        """It has come as far as `seq`."""


class Ledger(Protocol):
    """One database transaction over everything that is kept. Writes of a status are guarded and write their event.

    Environments are named by `id` in writes and by `name` in look-ups; servers by environment id and name.
    """

    @property
    def chat(self) -> Conversations:
        """The conversations, in the same transaction."""

    def environments(self, ended: bool = False) -> list[Environment]:
        """All environments, newest first; with `ended` also terminated ones."""

    def environment(self, name: str) -> Environment | None:
        """The one of that name that has not ended, else the newest that has."""

    def environment_by_id(self, environment: str) -> Environment:
        """The environment of that id. KeyError when there is none."""

    def users_of(self, environment: str) -> list[Environment]:
        """The environments that have not ended and use this one's servers."""

    def servers(self, environment: str | None = None, ended: bool = False) -> list[Server]:
        """The servers of an environment, or of all, by name; with `ended` also terminated ones."""

    def server(self, name: str) -> Server | None:
        """The server of that name that has not ended, else the newest that has."""

    def operation(self, operation: str) -> Operation | None:
        """The operation of that id."""

    def operations(self, active: bool = False, limit: int = 50) -> list[Operation]:
        """Operations, newest first; with `active` only those that have not ended."""

    def operation_of_key(self, person: str, key: str) -> Operation | None:
        """The operation that this person started under this Idempotency-Key."""

    def events(self, environment: str | None, operation: str | None, after: int, limit: int) -> list[Event]:
        """Events with `seq` above `after`, oldest first, of one environment (by id) or one operation, or all."""

    def event(self, seq: int) -> Event | None:
        """The event of that number."""

    def newest_seq(self) -> int:
        """The number of the newest event; 0 when there is none."""

    def durations(self, template: str, kind: Kind, limit: int) -> list[timedelta]:
        """How long the newest operations of that kind took that succeeded on environments of that template."""

    def add_environment(self, environment: Environment) -> None:
        """A new row. Conflict("name-taken") when one of that name has not ended."""

    def add_server(self, server: Server) -> None:
        """A new row."""

    def add_operation(self, operation: Operation, key: str | None) -> None:
        """A new row, with its event."""

    def take_over(self, environment: str, operation: Operation) -> None:
        """Put `operation` in charge of the environment. Conflict is the caller's to decide, before."""

    def move_environment(
        self, environment: str, operation: str, new: EnvironmentStatus, **changes: Any
    ) -> EnvironmentStatus:
        """Move along an edge of the life cycle; other columns change with it. Returns the old status.

        Superseded when `operation` is not in charge any more; IllegalTransition for a missing edge.
        """

    def move_server(
        self, environment: str, server: str, operation: str, new: ServerStatus, *, kind: str, **changes: Any
    ) -> None:
        """The same for a server; `kind` names the event (`server.booted`)."""

    def move_operation(self, operation: str, new: OperationState, failure: Failure | None = None) -> None:
        """The same for an operation. Superseded when it has ended already."""

    def change_environment(self, environment: str, actor: Actor, kind: str, **changes: Any) -> None:
        """Change columns other than the status, with an event."""

    def change_server(self, environment: str, server: str, **changes: Any) -> None:
        """Change columns other than the status, without an event of its own."""

    def note(self, operation: Operation, kind: str, server: str | None = None, **data: Any) -> None:
        """An event of an operation that changes nothing else, such as a finished Salt state."""

    def person_of(self, token_hash: str) -> str | None:
        """Whose token that is; None when unknown or revoked."""

    def ensure_token(self, token_hash: str, person: str, label: str) -> None:
        """The token of that hash belongs to `person`; older tokens of the same label stop working."""


class Store(Protocol):
    """Where everything is kept."""

    def transaction(self) -> AbstractContextManager[Ledger]:
        """A transaction: committed at the end of the block, rolled back on an exception."""

    def ping(self) -> None:
        """Return when the database answers; raise Unavailable("database-unreachable") otherwise."""
