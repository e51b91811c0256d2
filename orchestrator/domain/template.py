"""Templates: what ops curate. Plain validated data; reading the file, with lines and columns, is `curated`'s work."""

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from . import names
from .durations import format_duration, parse_duration
from .errors import BadInput


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration such as 30m, 4h or 2d")  # noqa: TRY004  (pydantic collects ValueError)
    try:
        return parse_duration(value)
    except BadInput as error:
        raise ValueError(error.message) from error


Duration = Annotated[timedelta, BeforeValidator(_duration)]
RoleName = Annotated[str, StringConstraints(pattern=f"^{names.ROLE.pattern}$", max_length=20)]
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
AppName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]*$", max_length=60)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")]
Command = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

# git would run a program for ext:: and take a leading dash for an option.
_REPOSITORY = re.compile(r"(?:(?:https?|ssh|git|file)://[^\s]+|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^\s]+|/[^\s]+)")
_BRANCH = re.compile(r"(?!-)(?!.*(?:\.\.|//|@\{|\.lock$|/$|\.$))[^\s~^:?*\[\\\x00-\x1f\x7f]+")


def is_branch_name(text: str) -> bool:
    """Whether git would accept it as a branch name (the rules of git-check-ref-format)."""
    return len(text) <= 200 and _BRANCH.fullmatch(text) is not None and not text.startswith("/")


def public_url(repository: str) -> str:
    """A repository's address as people may see it: without the user and password of a URL."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", repository)


def _repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value):
        raise ValueError("write a repository as https://…, ssh://…, git@host:path or file:///…")
    return value


def _branch(value: str) -> str:
    if not is_branch_name(value):
        raise ValueError(f"“{value}” is not a branch name")
    return value


Repository = Annotated[str, BeforeValidator(_repository)]
Branch = Annotated[str, BeforeValidator(_branch)]


class _Curated(BaseModel):
    """Curated data is closed (a misspelt field is an error) and never changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Count(_Curated):
    """How many servers of a role: by default, at least and at most."""

    default: int = Field(1, ge=0, le=50)
    min: int = Field(0, ge=0, le=50)
    max: int = Field(1, ge=1, le=50)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min <= self.default <= self.max:
            raise ValueError(f"default ({self.default}) must be between min ({self.min}) and max ({self.max})")
        return self


class Ttl(_Curated):
    """How long an environment lives: by default, at most in all, by how much one extension adds, when to warn.

    `idle`: it ends when nobody deployed to it for so long; None is never. `failed`: it ends when it failed and nobody
    touched it for so long; three days, so that what fails on a Friday evening is there on Monday. `hold`: how long it
    can be held for debugging, at most.
    """

    default: Duration = timedelta(days=1)
    max: Duration = timedelta(days=14)
    extend: Duration = timedelta(days=1)
    warn: tuple[Duration, ...] = (timedelta(hours=4), timedelta(minutes=30))
    idle: Duration | None = None
    failed: Duration = timedelta(days=3)
    hold: Duration = timedelta(days=1)

    @field_validator("warn")
    @classmethod
    def _within_the_life(cls, warn: tuple[timedelta, ...], info: ValidationInfo) -> tuple[timedelta, ...]:
        """Only what a file says is looked at: of the spans that nobody wrote, those that fit are used."""
        if not warn:
            raise ValueError("write at least one span, such as 30m, because nothing is reaped without a warning")
        life: timedelta | None = info.data.get("default")
        if life is not None and max(warn) > life:
            raise ValueError(
                f"a warning {format_duration(max(warn))} before the end would come before the beginning, "
                f"because default is {format_duration(life)}"
            )
        return warn

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.default > self.max:
            raise ValueError("default must not be longer than max")
        return self


class Limits(_Curated):
    """How many environments of this template may exist at once."""

    per_person: int = Field(3, ge=1)
    total: int = Field(20, ge=1)


class Deadlines(_Curated):
    """How long a phase may take before it counts as failed. `queue`: waiting for a turn to be built."""

    queue: Duration = timedelta(hours=1)
    boot: Duration = timedelta(minutes=10)
    configure: Duration = timedelta(minutes=20)
    health: Duration = timedelta(minutes=2)
    terminate: Duration = timedelta(minutes=5)


class Role(_Curated):
    """One part of an environment: which app from which repository, how it is built and run, on which profile.

    `build` and `run` are shell lines, run in the checkout with the env file in force. `needs` maps a variable to the
    role whose URL it gets (comma-separated when that role has several servers).
    """

    app: AppName
    repository: Repository
    branch: Branch = "main"
    profile: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    count: Count = Count()
    build: tuple[Command, ...] = ()
    run: Command
    port: int = Field(ge=1, le=65535)
    health: str = Field("/", pattern=r"^/\S*$")
    needs: dict[Variable, RoleName] = {}


class Template(_Curated):
    """One template, as in `templates/<name>.yaml` (docs/templates.md describes every field)."""

    name: TemplateName
    description: str = ""
    rooms: tuple[str, ...] | None = None
    notify: str | None = None
    ttl: Ttl = Ttl()
    limits: Limits = Limits()
    deadlines: Deadlines = Deadlines()
    roles: dict[RoleName, Role] = Field(min_length=1)

    @field_validator("roles")
    @classmethod
    def _needs_name_roles(cls, roles: dict[str, Role]) -> dict[str, Role]:
        for name, role in roles.items():
            for variable, needed in role.needs.items():
                if needed not in roles:
                    raise ValueError(
                        f"role {name} needs {variable} from role {needed}, which is not there; "
                        f"the roles are {', '.join(roles)}"
                    )
                if needed == name:
                    raise ValueError(f"role {name} cannot need itself")
        return roles

    def role_of(self, word: str) -> str | None:
        """The role that a person means by a role's or an app's name; None when there is none."""
        if word in self.roles:
            return word
        return next((name for name, role in self.roles.items() if role.app == word), None)
