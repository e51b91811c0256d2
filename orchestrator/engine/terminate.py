"""Terminating: a whole environment, or one server of it. A failed delete is never called gone."""

from dbos import DBOS

from orchestrator.domain.environment import Server
from orchestrator.domain.failures import Failure, group
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus
from orchestrator.domain.template import Deadlines
from orchestrator.domain.wiring import dependents, siblings
from orchestrator.ports import Ledger

from .configure import configure_deadline, configure_server
from .machine_steps import destroy_machine, wire
from .runtime import current, in_parallel, record, remote
from .stories import context, fail_refused, finish, operation_story, server_story


@DBOS.workflow(name="terminate_environment")
@operation_story
def terminate_environment(operation: str) -> None:
    """Every server goes, in parallel; then the environment has ended."""
    in_parallel(destroy_server, operation, record(_terminating, operation))
    record(_ended, operation)


@DBOS.workflow(name="terminate_server")
@operation_story
def terminate_server(operation: str) -> None:
    """One server goes; those that pointed at it are pointed at what is left."""
    in_parallel(destroy_server, operation, record(_terminating, operation))
    rewired = record(_left_behind, operation)
    if rewired:
        wired = remote(wire, operation, rewired, record(configure_deadline, operation))
        refused = record(fail_refused, operation, wired)
        served = record(_still_served, operation, rewired)
        in_parallel(configure_server, operation, [server for server in served if server not in refused])
    record(_server_ended, operation)


@DBOS.workflow(name="destroy_server")
@server_story
def destroy_server(operation: str, server: str) -> None:
    """One machine, with its key and its record."""
    outcome = remote(destroy_machine, operation, server, record(_removal_deadline, operation))
    record(_destroyed, operation, server, outcome)


def _terminating(ledger: Ledger, operation: str) -> list[str]:
    found, _ = context(ledger, operation)
    ledger.move_operation(operation, OperationState.RUNNING)
    return [server.name for server in ledger.servers(found.environment) if server.status is ServerStatus.TERMINATING]


def _removal_deadline(ledger: Ledger, operation: str) -> str:
    """Until when a removal is tried before its operation ends as failed, ISO 8601."""
    _, environment = context(ledger, operation)
    template = current().templates.current().templates.get(environment.template)
    deadlines = template.deadlines if template else Deadlines()
    return (current().clock.now() + deadlines.terminate).isoformat()


def _destroyed(ledger: Ledger, operation: str, server: str, outcome: dict[str, object]) -> None:
    found, _ = context(ledger, operation)
    if "failure" in outcome:
        failure = Failure.from_data(outcome["failure"])  # type: ignore[arg-type]
        ledger.change_server(found.environment, server, operation, failure=failure, building=False)
        ledger.note(found, "server.not_destroyed", server, phase="terminating", failure=failure.to_data())
        return
    ledger.move_server(
        found.environment, server, operation, ServerStatus.TERMINATED, kind="server.terminated", failure=None
    )


def _ended(ledger: Ledger, operation: str) -> None:
    found, _ = context(ledger, operation)
    left = ledger.servers(found.environment)
    if not left:
        now = current().clock.now()
        ledger.move_environment(found.environment, operation, EnvironmentStatus.TERMINATED, ended_at=now, failure=None)
        ledger.reaper.forget_environment(found.environment)
        ledger.move_operation(operation, OperationState.SUCCEEDED)
        return
    ledger.move_operation(operation, OperationState.FAILED, _first_cause(left))


def _left_behind(ledger: Ledger, operation: str) -> list[str]:
    """The servers that pointed at the one that went."""
    found, environment = context(ledger, operation)
    template = current().templates.current().templates.get(environment.template)
    gone = next(s for s in ledger.servers(found.environment, ended=True) if s.name == found.request["server"])
    if template is None or gone.status is not ServerStatus.TERMINATED:
        return []
    needing = dependents(gone.role, template.roles)
    return [server.name for server in ledger.servers(found.environment) if server.role in needing]


def _still_served(ledger: Ledger, operation: str, servers: list[str]) -> list[str]:
    """Those that have a sibling left; the others cannot become healthy, so the environment is shown as degraded."""
    found, environment = context(ledger, operation)
    template = current().templates.current().templates[environment.template]
    everyone = ledger.servers(environment.id)
    served = [
        server.name
        for server in everyone
        if server.name in servers and all(siblings(template.roles[server.role], everyone).values())
    ]
    if orphans := sorted(set(servers) - set(served)):
        reason = f"{found.request['server']} is gone and {', '.join(orphans)} needed it."
        ledger.change_environment(environment.id, found.actor, "environment.degraded", degraded=reason)
    return served


def _server_ended(ledger: Ledger, operation: str) -> None:
    found, _ = context(ledger, operation)
    stuck = [server for server in ledger.servers(found.environment) if server.status is ServerStatus.TERMINATING]
    if not stuck:
        finish(ledger, operation)
        return
    cause = _first_cause(stuck)
    ledger.move_environment(found.environment, operation, EnvironmentStatus.FAILED, failure=cause)
    ledger.move_operation(operation, OperationState.FAILED, cause)


def _first_cause(servers: list[Server]) -> Failure:
    causes = group(server.failure for server in servers if server.failure)
    if causes:
        return causes[0]
    names = tuple(server.name for server in servers)
    return Failure(
        code="destroy-failed",
        title=f"{', '.join(names)} could not be removed.",
        action="Terminate again; if that fails too, this is for ops.",
        audience="ops",
        servers=names,
    )
