"""Cancelling what is being done to an environment."""

from collections.abc import Callable

from orchestrator.domain.environment import Actor, Environment, Kind, Operation
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.failures import Failure
from orchestrator.domain.policy import Act
from orchestrator.engine.ending import cancel as cancel_in
from orchestrator.ports import Ledger

from . import environments, find, permissions
from .operations import Asking, accept
from .views import Accepted, Terminate
from .world import World

_NOUNS = {Kind.CREATE: "creation", Kind.DEPLOY: "deploy", Kind.RETRY: "retry"}


def cancel(world: World, actor: Actor, name: str) -> Accepted:
    """Cancel what is being done to an environment.

    A create: its environment is terminated, and the answer is that operation. A deploy or a retry: the environment is
    left failed, and the answer is the operation that was cancelled. Conflict when nothing is going on
    ("nothing-to-cancel"), and when it is on its way out ("not-cancellable").
    """
    return _cancel(world, actor, {"cancel": name}, lambda ledger: find.environment(ledger, name, world))


def cancel_operation(world: World, actor: Actor, operation: str) -> Accepted:
    """The same for one operation, and for no other that may have followed it. NotFound for an unknown id."""

    def its_environment(ledger: Ledger) -> Environment:
        known = ledger.operation(operation)
        if known is None:
            raise NotFound("operation-unknown", f"There is no operation {operation}.")
        found = ledger.environment_by_id(known.environment)
        if known.state.ended:
            permissions.check(world, actor, Act.CANCEL, found.template)
            raise Conflict("nothing-to-cancel", f"That {known.kind} of {found.name} has ended: it has {known.state}.")
        return found

    return _cancel(world, actor, {"cancel_operation": operation}, its_environment)


def _cancel(
    world: World, actor: Actor, asked: dict[str, str], environment_of: Callable[[Ledger], Environment]
) -> Accepted:
    asking = Asking(actor, frozenset({Kind.TERMINATE}), asked)

    def write_down(ledger: Ledger) -> tuple[Operation, list[str]]:
        found = environment_of(ledger)
        permissions.check(world, actor, Act.CANCEL, found.template)
        running = _running(ledger, world, found)
        why = _why(actor, found, running)
        if running.kind is Kind.CREATE:
            return environments.end(ledger, world, asking, found, Terminate(confirmed=True), why), []
        cancel_in(ledger, found, running, actor, why)
        cancelled = ledger.operation(running.id)
        assert cancelled is not None  # noqa: S101
        return cancelled, []

    return accept(world, asking, write_down)


def _running(ledger: Ledger, world: World, found: Environment) -> Operation:
    """What is going on, if it can be cancelled."""
    running = ledger.operation(found.operation)
    if running is None or running.state.ended:
        raise Conflict(
            "nothing-to-cancel",
            f"Nothing is being done to {found.name} (it is {found.status}), so there is nothing to cancel.",
        )
    if running.kind not in _NOUNS:
        raise Conflict(
            "not-cancellable",
            f"{find.at_work(running, found, world)}, and what is being taken away cannot be brought back; wait for it.",
        )
    return running


def _why(actor: Actor, found: Environment, running: Operation) -> Failure:
    what = f" of {running.request.get('what')}" if running.kind is Kind.DEPLOY else ""
    preposition = "to" if running.kind is Kind.DEPLOY else "of"
    action = {
        Kind.CREATE: "Nothing is left of it; create it again.",
        Kind.DEPLOY: f"Some servers may be half done: deploy again, or `brine env retry {found.name}`.",
    }.get(running.kind, f"Some servers may be half done: `brine env retry {found.name}` completes them.")
    title = f"{actor.person} cancelled the {_NOUNS[running.kind]}{what} {preposition} {found.name}."
    return Failure(code="cancelled", title=title, action=action)
