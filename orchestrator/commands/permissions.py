"""Asking the policy, with what access.yaml says now. Each command that changes something begins here."""

from orchestrator.domain import policy
from orchestrator.domain.environment import Actor
from orchestrator.domain.policy import Act
from orchestrator.domain.template import Template

from .world import World


def check(world: World, actor: Actor, act: Act, template: str | None = None) -> None:
    """Raise NotAllowed unless `actor` may do that, to what is made from this template, where they say it."""
    access = world.access.current().access
    policy.check(actor, access.role_of(actor.person), act, _template(world, template))


def visible(world: World, actor: Actor, template: str) -> bool:
    """Whether what is made from this template may be spoken of where the actor is."""
    found = _template(world, template)
    return found is None or policy.room_allowed(actor, found)


def _template(world: World, name: str | None) -> Template | None:
    """None also for a template that is gone: what is left of it belongs to no room any more."""
    return world.templates.current().templates.get(name) if name else None
