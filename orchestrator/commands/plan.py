"""From a request to a plan: names, counts, branches and expiry of a new environment, or a sentence why not."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import coolname

from orchestrator.domain import names
from orchestrator.domain.caps import Caps
from orchestrator.domain.durations import format_duration, parse_duration
from orchestrator.domain.environment import Environment, Server
from orchestrator.domain.errors import BadInput, Conflict, Unavailable
from orchestrator.domain.lifecycle import EnvironmentStatus, ServerStatus, Target
from orchestrator.domain.template import Template
from orchestrator.ports import Ledger, SaltRefused

from . import branches, find
from .views import CreateEnvironment
from .world import World


@dataclass(frozen=True)
class Plan:
    """What will be made. `counts`, `branches` and `providers` by role; `notes` are for the person."""

    template: Template
    counts: dict[str, int]
    branches: dict[str, str]
    ttl: timedelta
    providers: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def plan(world: World, ask: CreateEnvironment) -> Plan:
    """Decide everything that needs no database; asks the repositories about branches."""
    template = find.template(world, ask.template)
    counts = _counts(template, ask)
    _needs_are_met(template, counts, ask.use)
    ttl = _ttl(template, ask.ttl)
    chosen, notes = _branches(world, template, counts, ask)
    return Plan(template, counts, chosen, ttl, _providers(world, template, counts), notes)


def _counts(template: Template, ask: CreateEnvironment) -> dict[str, int]:
    made = [find.role(template, word) for word in ask.roles] if ask.roles is not None else list(template.roles)
    wanted = {find.role(template, word): count for word, count in ask.counts.items()}
    counts = {}
    for role in made:
        limits = template.roles[role].count
        count = wanted.get(role, limits.default if ask.roles is None else 1)
        low = limits.min if ask.roles is None else 1
        if not low <= count <= limits.max:
            raise BadInput(
                "count-out-of-limits",
                f"{template.name} allows {low} to {limits.max} {role} servers, not {count}.",
            )
        if count:
            counts[role] = count
    if not counts:
        raise BadInput("nothing-to-create", "That would be an environment without servers; ask for at least one.")
    return counts


def _needs_are_met(template: Template, counts: dict[str, int], use: str | None) -> None:
    for role in counts:
        for needed in template.roles[role].needs.values():
            if needed not in counts and use is None:
                raise BadInput(
                    "needs-a-sibling",
                    f"A {role} server needs an environment whose {needed} it uses; name one with --use ENVIRONMENT.",
                )


def _branches(
    world: World, template: Template, counts: dict[str, int], ask: CreateEnvironment
) -> tuple[dict[str, str], list[str]]:
    wanted = {find.role(template, word): branch for word, branch in ask.branches.items()}
    if strangers := sorted(set(wanted) - set(counts)):
        raise BadInput("role-not-made", f"A branch was given for {', '.join(strangers)}, which is not being created.")
    branches.named(world, template, wanted)
    chosen = {role: wanted.get(role, template.roles[role].branch) for role in counts}
    if ask.branch is None:
        return chosen, []
    others = [role for role in counts if role not in wanted]
    having = branches.everywhere(world, template, others, ask.branch) if others else []
    chosen |= dict.fromkeys(having, ask.branch)
    rest = [role for role in others if role not in having]
    notes = [f"{role} has no branch {ask.branch} and runs {chosen[role]}." for role in rest]
    return chosen, [f"{', '.join(having)} runs {ask.branch}.", *notes] if rest else []


def _ttl(template: Template, text: str | None) -> timedelta:
    ttl = parse_duration(text) if text else template.ttl.default
    if ttl > template.ttl.max:
        raise BadInput(
            "ttl-too-long",
            f"An environment of {template.name} lives at most {format_duration(template.ttl.max)} in all; "
            f"ask for that or less.",
        )
    return ttl


def _providers(world: World, template: Template, counts: dict[str, int]) -> dict[str, str]:
    """The provider of each role's profile. "" for a profile that the master does not have: making it will say so."""
    try:
        known = world.salt.providers()
    except SaltRefused as refused:
        raise Unavailable(refused.code, refused.message, detail=refused.detail) from refused
    return {role: known.get(template.roles[role].profile, "") for role in counts}


def used(ledger: Ledger, world: World, template: Template, counts: dict[str, int], name: str | None) -> str | None:
    """The id of the environment whose servers stand in for roles that are needed and not made."""
    if name is None:
        return None
    found = find.environment(ledger, name, world)
    find.not_terminating(found)
    needed = {other for role in counts for other in template.roles[role].needs.values()} - set(counts)
    if found.template != template.name:
        raise BadInput("use-other-template", f"{name} is made from template {found.template}, not {template.name}.")
    ready = {server.role for server in ledger.servers(found.id) if server.status is ServerStatus.READY}
    if missing := sorted(needed - ready):
        raise Conflict("use-not-ready", f"{name} has no {', '.join(missing)} server that is ready; use another one.")
    return found.id


def new_name(ledger: Ledger, world: World, asked: str | None, template: Template) -> str:
    """The name asked for, checked; or a readable one that is free, such as `shop-brisk-otter`."""
    roles = {role for known in world.templates.current().templates.values() for role in known.roles}
    if asked is not None:
        return names.check_environment_name(asked, roles)
    prefix = template.name[: names.ENVIRONMENT_MAX // 2].rstrip("-")
    for _ in range(100):
        name = f"{prefix}-{coolname.generate_slug(2)}"
        if len(name) <= names.ENVIRONMENT_MAX and _is_free(ledger, name):
            return names.check_environment_name(name, roles)
    raise Conflict("no-free-name", "No free name was found; give one yourself.")


def _is_free(ledger: Ledger, name: str) -> bool:
    known = ledger.environment(name)
    return known is None or known.status is EnvironmentStatus.TERMINATED


def within_limits(ledger: Ledger, template: Template, person: str) -> None:
    """Conflict when the template's limits leave no room; it names the person's own environments."""
    existing = [found for found in ledger.environments() if found.template == template.name]
    own = [found.name for found in existing if found.owner == person]
    if len(own) >= template.limits.per_person:
        raise Conflict(
            "limit-per-person",
            f"You have {len(own)} environments of {template.name} ({', '.join(sorted(own))}) and may have "
            f"{template.limits.per_person}; terminate one first.",
        )
    if len(existing) >= template.limits.total:
        raise Conflict(
            "limit-total",
            f"There are {len(existing)} environments of {template.name}, which is the limit; one has to go first.",
        )


def within_caps(ledger: Ledger, plan_: Plan, caps: Caps) -> None:
    """Conflict when a provider would have more servers than it may."""
    wanted: Counter[str] = Counter()
    for role, count in plan_.counts.items():
        wanted[plan_.providers.get(role, "")] += count
    for provider, count in wanted.items():
        most, there = caps.of(provider).servers, ledger.servers_of(provider)
        if most is not None and there + count > most:
            raise Conflict(
                "provider-full",
                f"{provider or 'The cloud'} has {there} of the {most} servers that it may have, and this needs "
                f"{count} more; terminate something first, or ask ops for more.",
            )


def write(ledger: Ledger, plan_: Plan, environment: Environment) -> None:
    """The rows of a new environment and its servers."""
    ledger.add_environment(environment)
    for role, count in plan_.counts.items():
        for number in range(1, count + 1):
            ledger.add_server(_server(plan_, environment, role, number))


def _server(plan_: Plan, environment: Environment, role: str, number: int) -> Server:
    curated = plan_.template.roles[role]
    return Server(
        name=names.server_id(environment.name, role, number),
        environment=environment.id,
        role=role,
        number=number,
        app=curated.app,
        profile=curated.profile,
        provider=plan_.providers.get(role, ""),
        branch=plan_.branches[role],
        port=curated.port,
        status=ServerStatus.REQUESTED,
        target=Target.PRESENT,
        created_at=environment.created_at,
    )
