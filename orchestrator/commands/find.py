"""Finding what a person named, or saying clearly that it is not there."""

import difflib
from collections.abc import Iterable

from orchestrator.domain.durations import format_duration
from orchestrator.domain.environment import Environment, Kind, Operation, Server
from orchestrator.domain.errors import BadInput, Conflict, NotFound
from orchestrator.domain.lifecycle import EnvironmentStatus, ServerStatus
from orchestrator.domain.template import Template
from orchestrator.ports import Ledger

from .world import World


def template(world: World, name: str) -> Template:
    """The template in force. NotFound names the nearest ones."""
    known = world.templates.current().templates
    if name not in known:
        raise NotFound("template-unknown", f"There is no template “{name}”.{did_you_mean(name, known)}")
    return known[name]


def role(found: Template, word: str) -> str:
    """The role that a person means by a role's or an app's name."""
    name = found.role_of(word)
    if name is None:
        raise BadInput(
            "role-unknown", f"Template {found.name} has no role “{word}”; its roles are {', '.join(found.roles)}."
        )
    return name


def environment(ledger: Ledger, name: str, world: World) -> Environment:
    """The environment of that name that has not ended."""
    found = ledger.environment(name)
    if found is None:
        known = [other.name for other in ledger.environments()]
        raise NotFound("environment-unknown", f"There is no environment “{name}”.{did_you_mean(name, known)}")
    if found.status is EnvironmentStatus.TERMINATED and found.ended_at:
        ago = format_duration(world.clock.now() - found.ended_at)
        raise NotFound("environment-ended", f"There is no environment “{name}” any more: it was terminated {ago} ago.")
    return found


def server(ledger: Ledger, name: str) -> Server:
    """The server of that name that has not ended."""
    found = ledger.server(name)
    if found is None:
        known = [other.name for other in ledger.servers()]
        raise NotFound("server-unknown", f"There is no server “{name}”.{did_you_mean(name, known)}")
    if found.status is ServerStatus.TERMINATED:
        raise NotFound("server-ended", f"There is no server “{name}” any more: it was terminated.")
    return found


def not_terminating(found: Environment) -> None:
    """Conflict when the environment is on its way out."""
    if found.status in (EnvironmentStatus.TERMINATING, EnvironmentStatus.TERMINATED):
        raise Conflict("environment-terminating", f"{found.name} is being terminated; create a new environment.")


def idle(ledger: Ledger, found: Environment, world: World) -> None:
    """Conflict when an operation is at work on the environment; it says who does what, and since when."""
    running = ledger.operation(found.operation)
    if running is None or running.state.ended:
        not_terminating(found)
        return
    sentence = at_work(running, found, world)
    if running.kind is Kind.TERMINATE:
        raise Conflict("environment-terminating", f"{sentence}; create a new environment.")
    other = "terminate the environment" if running.kind is Kind.TERMINATE_SERVER else _cancelling(found.name)
    raise Conflict("environment-busy", f"{sentence}; wait for it, or {other}.")


def unclaimed(ledger: Ledger, name: str, world: World) -> None:
    """Conflict when an environment of that name has not ended; it says whose it is, and what is being done to it."""
    taken = ledger.environment(name)
    if taken is None or taken.status is EnvironmentStatus.TERMINATED:
        return
    running, whose = ledger.operation(taken.operation), f"There is an environment “{name}” already"
    if running is None or running.state.ended:
        raise Conflict("name-taken", f"{whose} (it is {taken.owner}'s); choose another name.")
    raise Conflict("name-taken", f"{whose}: {at_work(running, taken, world)}; choose another name.")


def at_work(running: Operation, found: Environment, world: World) -> str:
    """Who does what, and since when: “alice is deploying web to cart-test since 20s”."""
    span = format_duration(world.clock.now() - running.requested_at)
    return f"{running.actor.person} is {doing(running)} {found.name} since {span}"


def _cancelling(name: str) -> str:
    return f"cancel it with `brine env cancel {name}`"


def doing(operation: Operation) -> str:
    """What an operation does, as in “alice is … cart-test”."""
    what = operation.request.get("what")
    words = {"create": "creating", "retry": "retrying", "terminate": "terminating"}
    if operation.kind == "deploy":
        return f"deploying {what} to"
    return words.get(operation.kind, "terminating a server of")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that begins with a space, or nothing."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    return f" There are: {', '.join(names[:10])}." if names else " There are none yet."
