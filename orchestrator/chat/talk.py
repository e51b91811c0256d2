"""What a verb works with, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from orchestrator.commands import World, environments, permissions, servers
from orchestrator.commands.views import EnvironmentView, ServerView
from orchestrator.domain.conversation import Outcome, Place
from orchestrator.domain.environment import Actor
from orchestrator.domain.lifecycle import ServerStatus
from orchestrator.domain.policy import Act

from .base import Incoming
from .intent import Missing, Vocabulary
from .replies import Reply


@dataclass(frozen=True)
class Option:
    """An answer to pick from: what it says, and the command that picking it types (empty: nothing is done). For a
    question about a missing part `command` is that part."""

    label: str
    command: str
    danger: bool = False


@dataclass(frozen=True)
class Said:
    """What is answered. `options`: a question, to be answered by picking one; with `missing` also by typing the part.
    `operation`: what was started. `card`: the reply is its live card. `secret`: what was said is not written down."""

    reply: Reply
    outcome: Outcome = Outcome.ANSWERED
    operation: str | None = None
    card: bool = False
    options: Sequence[Option] = ()
    missing: Missing | None = None
    code: str = ""
    secret: bool = False


@dataclass(frozen=True)
class Talk:
    """One command of one person in one room."""

    world: World
    actor: Actor
    incoming: Incoming
    now: datetime
    zone: ZoneInfo
    vocabulary: Vocabulary

    @property
    def place(self) -> Place:
        """Where it is said."""
        return Place(self.incoming.service, self.incoming.room.id)

    @property
    def key(self) -> str | None:
        """The Idempotency-Key: the same message delivered twice is the same request."""
        return f"{self.incoming.service}:{self.incoming.message}"[:200] if self.incoming.message else None

    def environments(self, owner: str | None = None) -> tuple[list[EnvironmentView], int]:
        """Those that may be spoken of here, and how many others there are."""
        found = environments.list_all(self.world, owner=owner)
        seen = [each for each in found if permissions.visible(self.world, self.actor, each.template)]
        return seen, len(found) - len(seen)

    def environment(self, name: str) -> EnvironmentView:
        """One environment. NotFound; NotAllowed when it may not be spoken of here."""
        found = environments.show(self.world, name)
        permissions.check(self.world, self.actor, Act.LOOK, found.template)
        return found

    def server(self, name: str) -> ServerView:
        """One server; the same."""
        found = servers.show(self.world, name)
        permissions.check(self.world, self.actor, Act.LOOK, found.template)
        return found

    def servers(self, environment: str | None = None) -> tuple[list[ServerView], int]:
        """The same for servers."""
        found = servers.list_all(self.world, environment)
        seen = [each for each in found if permissions.visible(self.world, self.actor, each.template)]
        return seen, len(found) - len(seen)


def vocabulary(world: World, actor: Actor) -> Vocabulary:
    """The names that a person may use where they are, those that make the best examples first."""
    templates = {
        name: {role: curated.app for role, curated in template.roles.items()}
        for name, template in world.templates.current().templates.items()
        if permissions.visible(world, actor, name)
    }
    with world.store.transaction() as ledger:  # two queries, whatever there is: every line of chat pays for them
        found = [each for each in ledger.environments() if permissions.visible(world, actor, each.template)]
        ids = {each.id for each in found}
        machines = [each for each in ledger.servers() if each.environment in ids]
    # The help makes its examples of what comes first: something that runs, on a branch of its own where there is one.
    good = sorted((each for each in machines if each.status is ServerStatus.READY), key=lambda it: "/" not in it.branch)
    found.sort(key=lambda each: not good or each.id != good[0].environment)
    names = dict.fromkeys([*(each.template for each in found[:1]), *templates])
    return Vocabulary(
        templates={name: templates[name] for name in names if name in templates},
        environments=tuple(each.name for each in found),
        servers=tuple(each.name for each in machines),
        branches=tuple(dict.fromkeys(each.branch for each in good)),
        people=tuple(world.access.current().access.people),
    )
