"""Environments: create, list, show, deploy, extend, terminate, retry."""

from typing import Any

from ulid import ULID

from orchestrator.domain.durations import parse_duration
from orchestrator.domain.environment import Actor, Environment, Kind, Operation
from orchestrator.domain.errors import Conflict
from orchestrator.domain.failures import Failure, listed
from orchestrator.domain.leaks import is_degraded
from orchestrator.domain.lifecycle import EnvironmentStatus, Target
from orchestrator.domain.policy import Act
from orchestrator.domain.reaping import extended, policy_of
from orchestrator.engine.ending import begin_termination
from orchestrator.ports import Ledger

from . import find, permissions
from .deployments import deploy_to
from .operations import Asking, accept, new, replayed
from .plan import Plan, new_name, plan, used, within_caps, within_limits, write
from .show import environment_view, event_view
from .views import Accepted, CreateEnvironment, Deploy, EnvironmentView, EventView, Extend, Terminate
from .world import World


def create(world: World, actor: Actor, ask: CreateEnvironment, key: str | None = None) -> Accepted:
    """Create an environment.

    BadInput, NotFound or Conflict say what is wrong with the request; then nothing is built.
    """
    permissions.check(world, actor, Act.CREATE, ask.template)
    asked = ask.model_dump(mode="json", exclude_defaults=True)
    asking = Asking(actor, frozenset({Kind.CREATE}), asked, key)
    if (known := replayed(world, asking)) is not None:
        return known
    decided = plan(world, ask)

    def write_down(ledger: Ledger) -> tuple[Operation, list[str]]:
        if ask.name:
            find.unclaimed(ledger, ask.name, world)
        within_limits(ledger, decided.template, actor.person)
        within_caps(ledger, decided, world.settings.caps)
        environment, operation = _new_environment(ledger, world, actor, ask, decided)
        write(ledger, decided, environment)
        ledger.add_operation(operation, key)
        return operation, decided.notes

    return accept(world, asking, write_down)


def _new_environment(
    ledger: Ledger, world: World, actor: Actor, ask: CreateEnvironment, decided: Plan
) -> tuple[Environment, Operation]:
    now = world.clock.now()
    asked = ask.model_dump(mode="json", exclude_defaults=True)
    request = {"asked": asked, "branches": decided.branches, "counts": decided.counts, "notes": decided.notes}
    operation = new(actor, Kind.CREATE, str(ULID.from_datetime(now)), request, world)
    environment = Environment(
        id=operation.environment,
        name=new_name(ledger, world, ask.name, decided.template),
        template=decided.template.name,
        owner=actor.person,
        status=EnvironmentStatus.REQUESTED,
        target=Target.PRESENT,
        created_at=now,
        expires_at=now + decided.ttl,
        operation=operation.id,
        uses=used(ledger, world, decided.template, decided.counts, ask.use),
        room=actor.room,
        touched_at=now,
        deployed_at=now,
    )
    return environment, operation


def list_all(world: World, ended: bool = False, owner: str | None = None) -> list[EnvironmentView]:
    """Environments, newest first; with `ended` also terminated ones."""
    now = world.clock.now()
    with world.store.transaction() as ledger:
        found = [each for each in ledger.environments(ended) if owner in (None, each.owner)]
        return [environment_view(ledger, each, now) for each in found]


def show(world: World, name: str) -> EnvironmentView:
    """One environment with its servers. NotFound when there is none, or when it has ended."""
    with world.store.transaction() as ledger:
        return environment_view(ledger, find.environment(ledger, name, world), world.clock.now(), whole=True)


def deploy(world: World, actor: Actor, name: str, ask: Deploy, key: str | None = None) -> Accepted:
    """Deploy a branch (or `app/branch`) to the servers of an environment that it concerns."""
    asked = {"environment": name, "what": ask.what}
    if (known := replayed(world, Asking(actor, frozenset({Kind.DEPLOY}), asked, key))) is not None:
        return known
    with world.store.transaction() as ledger:
        environment = find.environment(ledger, name, world)
        permissions.check(world, actor, Act.DEPLOY, environment.template)
        servers = ledger.servers(environment.id)
    return deploy_to(world, actor, environment, servers, asked, key)


def extend(world: World, actor: Actor, name: str, ask: Extend) -> EnvironmentView:
    """Let an environment live longer, by a span or until a moment, at most as long as its template allows in all."""
    with world.store.transaction() as ledger:
        found = find.environment(ledger, name, world)
        permissions.check(world, actor, Act.EXTEND, found.template)
        find.not_terminating(found)
        policy, now = policy_of(find.template(world, found.template)), world.clock.now()
        by = parse_duration(ask.by) if ask.by else None
        expires_at = extended(found.name, found.expires_at, found.created_at, policy, now, by, ask.until)
        ledger.change_environment(
            found.id, actor, "environment.extended", expires_at=expires_at, extended_at=now, touched_at=now
        )
        return environment_view(ledger, ledger.environment_by_id(found.id), world.clock.now(), whole=True)


def terminate(
    world: World,
    actor: Actor,
    name: str,
    ask: Terminate,
    key: str | None = None,
    asked: dict[str, Any] | None = None,
) -> Accepted:
    """Terminate an environment, in whatever state it is. One that is being terminated already is joined.

    `asked`: what the person asked for, when that was something else (the last server, say).

    Conflict("needed-by-others") when other environments use it and the request is not confirmed.
    """

    asked = asked or {"environment": name}
    asking = Asking(actor, frozenset({Kind.TERMINATE}), asked, key)
    if (known := replayed(world, asking)) is not None:
        return known

    def write_down(ledger: Ledger) -> tuple[Operation, list[str]]:
        found = find.environment(ledger, name, world)
        permissions.check(world, actor, Act.TERMINATE, found.template)
        running = ledger.operation(found.operation)
        if found.status is EnvironmentStatus.TERMINATING and running and not running.state.ended:
            return running, [f"{name} is being terminated already."]
        return end(ledger, world, asking, found, ask), []

    return accept(world, asking, write_down)


def end(
    ledger: Ledger, world: World, asking: Asking, found: Environment, ask: Terminate, why: Failure | None = None
) -> Operation:
    """The operation that takes an environment away, added and in charge. `why`: for what it cancels, if anything.

    Conflict("needed-by-others") when other environments use it and the request is not confirmed.
    """
    users = ledger.users_of(found.id)
    if users and not ask.confirmed:
        names, verb = [user.name for user in users], "uses" if len(users) == 1 else "use"
        raise Conflict("needed-by-others", f"{listed(names)} {verb} {found.name} and would be left without it.")
    operation = new(asking.actor, Kind.TERMINATE, found.id, {"asked": dict(asking.asked)}, world)
    ledger.add_operation(operation, asking.key)
    begin_termination(ledger, found, operation, why)
    for user in users:
        degraded = f"{found.name}, which it used, is gone."
        ledger.change_environment(user.id, asking.actor, "environment.degraded", degraded=degraded)
    return operation


def retry(world: World, actor: Actor, name: str, key: str | None = None) -> Accepted:
    """Try again what failed: every server that is not ready is completed, and one that is degraded made anew.

    Conflict unless the environment failed, or has a degraded server.
    """

    asked = {"environment": name}
    asking = Asking(actor, frozenset({Kind.RETRY}), asked, key)
    if (known := replayed(world, asking)) is not None:
        return known

    def write_down(ledger: Ledger) -> tuple[Operation, list[str]]:
        found = find.environment(ledger, name, world)
        permissions.check(world, actor, Act.RETRY, found.template)
        find.idle(ledger, found, world)
        degraded = any(is_degraded(server) for server in ledger.servers(found.id))
        if found.status is not EnvironmentStatus.FAILED and not degraded:
            raise Conflict("nothing-to-retry", f"{name} is {found.status}; there is nothing to retry.")
        operation = new(actor, Kind.RETRY, found.id, {"asked": asked}, world)
        ledger.add_operation(operation, key)
        ledger.take_over(found.id, operation, after=found.operation)
        return operation, []

    return accept(world, asking, write_down)


def events(world: World, name: str, after: int = 0, limit: int = 200) -> list[EventView]:
    """What happened to an environment, oldest first; also to one that has ended."""
    with world.store.transaction() as ledger:
        found = ledger.environment(name) or find.environment(ledger, name, world)
        return [event_view(event) for event in ledger.events(found.id, None, after, limit)]
