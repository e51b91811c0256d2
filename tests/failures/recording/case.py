"""What `case.yaml` says: what is broken on purpose, and how the failure is produced."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

NOT_STATES = ("case.yaml", "recorded.json", "expected.yaml", "app", "pillar", "envfiles", "cloud")
Lines = Annotated[tuple[str, ...], Field(default=())]


class Part(BaseModel):
    """Refuses fields that nobody knows: a misspelt one would record something else than was meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Call(Part):
    """A function of a minion."""

    function: str
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}


class Highstate(Part):
    """The formula of this repository, on an app. `record`: what differs from the usual record of the server.

    `deployed`: what differs while an earlier highstate runs that is to succeed. `branches`: others that there are.
    The folder `app` beside `case.yaml`, if there is one, is what the branch of the record holds.
    """

    record: dict[str, Any] = {}
    deployed: dict[str, Any] | None = None
    branches: tuple[str, ...] = ()
    push: bool = True  # False: the branch is not there


class Meanwhile(Part):
    """A shell line that runs beside the failure, from when the shell condition `until` holds."""

    run: str
    until: str = "true"


class Request(Part):
    """An HTTP request to salt-api. `user`: who logs in first; "" nobody."""

    method: Literal["GET", "POST"] = "POST"
    path: str = "/"
    user: str = "recorder"
    token: str = ""  # instead of a login
    json_body: Any = None
    body: str | None = None
    headers: dict[str, str] = {}


class Job(Part):
    """A job whose return is asked for afterwards. `ask`: jobs.list_job, jobs.lookup_jid, or GET /jobs/JID.

    With `break_it` a new server breaks once `until` holds, and its return is not waited for.
    """

    call: Call
    ask: Literal["list_job", "lookup_jid", "get"]
    break_it: Lines
    until: str = "true"


class Silence(Part):
    """A minion that does not answer: a new server that `break_it` (shell) breaks once `until` (shell) holds.

    `asked`: what the command `salt` asks of it meanwhile; nothing: ret is null.
    """

    break_it: Lines
    asked: tuple[str, ...] = ()
    until: str = "true"
    heard: str = ""  # a text for which the log is waited for
    log: Literal["minion", "salt-minion.out", "supervisord.log"] = "minion"


class Case(Part):
    """One folder of the corpus. Exactly one of the ways from `apply` to `silence` is given.

    Shell lines (`before`, `after`, ...) run on this machine as root's, with HOME (of the sandbox), SANDBOX (its
    folder), ADDRESS, REPOS, SITE, ETC (the master's) and CASE in their environment. `shows`: a text that the return
    has when the failure was produced as meant.
    """

    kind: str
    broken: str
    source: str = Field(alias="from")
    shows: str
    server: str = "cart-test-api-1"
    branch: str = ""
    repository: str = ""
    before: Lines
    after: Lines
    meanwhile: Meanwhile | None = None
    master: dict[str, Any] = {}  # settings of the master that are changed for this case
    timeout: int = 120

    apply: str | list[str] | None = None
    keywords: dict[str, Any] = {}  # of state.apply
    call: Call | None = None
    highstate: Highstate | None = None
    low: dict[str, Any] | None = None
    request: Request | None = None
    job: Job | None = None
    silence: Silence | None = None

    @property
    def role(self) -> str:
        return "" if self.server in ("*", "") else self.server.split("-")[-2]


def load(folder: Path) -> Case:
    """The case of a folder. Raises OSError, pydantic.ValidationError or a YAML error."""
    return Case.model_validate(YAML(typ="safe").load((folder / "case.yaml").read_text()))
