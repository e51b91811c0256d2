"""Deploying a branch to servers, shared by environments and single servers."""

from collections.abc import Mapping, Sequence

from orchestrator.domain.environment import Actor, Environment, Kind, Operation, Server
from orchestrator.domain.errors import Conflict
from orchestrator.domain.template import Template
from orchestrator.domain.wiring import siblings
from orchestrator.ports import Ledger

from . import branches, find
from .operations import Asking, accept, new
from .views import Accepted
from .world import World


def deploy_to(
    world: World,
    actor: Actor,
    environment: Environment,
    servers: Sequence[Server],
    asked: Mapping[str, str],
    key: str | None,
) -> Accepted:
    """Deploy `asked["what"]` to those of `servers` that it concerns, which is decided with the real branches."""
    with world.store.transaction() as ledger:  # before anything is made of servers that are perhaps gone already
        find.idle(ledger, ledger.environment_by_id(environment.id), world)
    template, what = find.template(world, environment.template), asked["what"]
    chosen, notes = _concerned(world, template, servers, what)

    def write_down(ledger: Ledger) -> tuple[Operation, list[str]]:
        now = ledger.environment_by_id(environment.id)
        find.idle(ledger, now, world)
        _exist(servers, chosen)
        _are_served(ledger, template, environment, [server for server in servers if server.name in chosen])
        request = {"asked": dict(asked), "what": what, "branches": chosen, "notes": notes}
        operation = new(actor, Kind.DEPLOY, environment.id, request, world)
        ledger.add_operation(operation, key)
        ledger.take_over(environment.id, operation, after=now.operation)
        return operation, notes

    return accept(world, Asking(actor, frozenset({Kind.DEPLOY}), asked, key), write_down)


def _concerned(
    world: World, template: Template, servers: Sequence[Server], what: str
) -> tuple[dict[str, str], list[str]]:
    """server → branch. `X/Y` means app (or role) X only when one of `servers` runs it; otherwise it is a branch."""
    head, _, tail = what.partition("/")
    apps = {word: server.role for server in servers for word in (server.app, server.role)}
    roles = sorted({server.role for server in servers})
    if tail and head in apps:
        role, branch = apps[head], tail
        branches.named(world, template, {role: branch})
        having = [role]
    elif len(roles) == 1:
        branch, having = what, roles
        branches.named(world, template, {roles[0]: branch})
    else:
        branch, having = what, branches.everywhere(world, template, roles, what)
    rest = [role for role in roles if role not in having]
    notes = [f"{', '.join(rest)} has no branch {branch} and stays as it is."] if rest and head not in apps else []
    return {server.name: branch for server in servers if server.role in having}, notes


def _exist(servers: Sequence[Server], chosen: dict[str, str]) -> None:
    unmade = [server.name for server in servers if server.name in chosen and server.address is None]
    if unmade:
        raise Conflict("server-not-made", f"{', '.join(unmade)} was never made; retry the environment first.")


def _are_served(ledger: Ledger, template: Template, environment: Environment, servers: Sequence[Server]) -> None:
    """Conflict when a server's siblings are gone: its wiring would be emptied, and it could not become healthy."""
    around = ledger.servers(environment.id) + (ledger.servers(environment.uses) if environment.uses else [])
    for server in servers:
        for role, addresses in siblings(template.roles[server.role], around).items():
            if not addresses:
                raise Conflict(
                    "sibling-gone",
                    f"{server.name} needs a sibling {role} and has none any more; create a new environment instead.",
                )
