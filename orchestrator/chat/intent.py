"""What was understood of a line of chat: plain data. `grammar.understand` makes it, the desk acts on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

Everything = Literal["", "mine", "all"]
Noun = Literal["", "environments", "servers", "templates", "jobs"]
Mode = Literal["", "mute", "unmute", "direct", "room"]
Part = Literal["template", "role", "branch", "environment", "server", "target", "name", "duration", "app", "person"]


class Verb(StrEnum):
    """What somebody wants to be done."""

    CREATE = "create"
    DEPLOY = "deploy"
    TERMINATE = "terminate"
    EXTEND = "extend"
    RETRY = "retry"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    PROTECT = "protect"
    UNPROTECT = "unprotect"
    SHOW = "show"
    WHY = "why"
    LIST = "list"
    JOBS = "jobs"
    WHERE = "where"
    BRANCHES = "branches"
    LOGS = "logs"
    PLAN = "plan"
    SCHEDULE = "schedule"
    HELP = "help"
    LINK = "link"
    NOTIFY = "notify"
    WHOAMI = "whoami"
    YES = "yes"
    NO = "no"
    PICK = "pick"


@dataclass(frozen=True)
class Command:
    """One command. Names of ours are in small letters; branches are kept as they were typed.

    `template`: what to create; for SHOW a template that is to be shown. `role`: a single server of that role is meant.
    `branch`: for every role that has it. `branches`, `counts`: by role or app (`web=main` and `web=3`). `ttl`: as
    `parse_duration` reads it; for EXTEND by how much. `until`: aware, and later than now; for PLAN how far to look.
    `use`: the environment whose servers stand in for roles that are not made. `why`: for PROTECT, as it was said.
    `what`: a branch, or `app/branch`. `targets`: environments or servers.
    `everything`: all there are, or all of the person's own. `noun`: what LIST lists. `app`: an app, a role or a
    template (WHERE, BRANCHES); for DEPLOY without `what`, the app whose branch is still to be named. `person`: whose
    environments to LIST, or whom to LINK. `confirmed`: somebody who says that they are sure need not be asked.
    """

    verb: Verb
    template: str | None = None
    role: str | None = None
    branch: str | None = None
    branches: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    name: str | None = None
    ttl: str | None = None
    until: datetime | None = None
    use: str | None = None
    what: str | None = None
    targets: tuple[str, ...] = ()
    everything: Everything = ""
    noun: Noun = ""
    app: str | None = None
    topic: str | None = None
    lines: int | None = None
    confirmed: bool = False
    code: str | None = None
    person: str | None = None
    mode: Mode = ""
    number: int | None = None
    why: str | None = None

    def but(self, **changes: Any) -> "Command":
        """The same command with other values for some fields."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Missing:
    """A command that lacks something. `part`: what to ask for. `of`: the role or app that it is for, when it matters
    (“Which branch for web?”). `grammar.complete` takes the answer."""

    command: Command
    part: Part
    of: str | None = None


@dataclass(frozen=True)
class Unclear:
    """Nothing is done. `understood`: the beginning that made sense, or nothing. `suggestions`: whole commands to pick
    from, at most three. `reason`: one sentence for the person."""

    understood: str
    suggestions: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Vocabulary:
    """What there is in this installation. `templates`: template → role → app. `branches`: those in use, if known.
    Examples are made of what comes first of each. `bots`: names by which people call us, in front of a command."""

    templates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    bots: tuple[str, ...] = ("brinepool", "brine", "bot")

    @property
    def targets(self) -> tuple[str, ...]:
        """Everything that can be shown, deployed to or terminated."""
        return self.environments + self.servers

    @property
    def roles(self) -> Mapping[str, tuple[str, ...]]:
        """Role or app → the templates that have it."""
        found: dict[str, tuple[str, ...]] = {}
        for template, roles in self.templates.items():
            for word in dict.fromkeys([*roles, *roles.values()]):
                found[word] = (*found.get(word, ()), template)
        return found

    def role_of(self, template: str, word: str) -> str | None:
        """The role that a role's or an app's name means in a template; None when it has none."""
        roles = self.templates.get(template, {})
        return word if word in roles else next((role for role, app in roles.items() if app == word), None)


Understood = Command | Missing | Unclear
