"""How the end of an environment, or of what runs on it, begins, whoever wants it: a person, or the reaper."""

from orchestrator.domain.environment import Actor, Environment, Kind, Operation, Server
from orchestrator.domain.failures import Failure
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus, Target
from orchestrator.ports import Ledger

_AT_WORK = (ServerStatus.REQUESTED, ServerStatus.BOOTING, ServerStatus.CONFIGURING)


def begin_termination(ledger: Ledger, found: Environment, operation: Operation, why: Failure | None = None) -> None:
    """`operation` takes the environment over: what ran on it is cancelled (`why`), and everything is to go."""
    running = ledger.operation(found.operation)
    if running is not None and not running.state.ended:
        ledger.move_operation(running.id, OperationState.CANCELLED, why, by=operation.actor)
    ledger.take_over(found.id, operation, after=found.operation)
    if found.status is not EnvironmentStatus.TERMINATING:
        ledger.move_environment(found.id, operation.id, EnvironmentStatus.TERMINATING, target=Target.GONE)
    for server in ledger.servers(found.id):
        if server.status is not ServerStatus.TERMINATING:
            going = {"kind": "server.terminating", "target": Target.GONE}
            ledger.move_server(found.id, server.name, operation.id, ServerStatus.TERMINATING, **going)


def cancel(ledger: Ledger, found: Environment, running: Operation, by: Actor, why: Failure) -> None:
    """End `running`, a deploy or a retry, as cancelled: its environment fails, with the servers that it left half done.

    One that has not begun has changed nothing, and leaves everything as it is. Whatever still works for it meets
    Superseded at its next write or slice.
    """
    if running.state is OperationState.RUNNING:
        for server in ledger.servers(found.id):
            if _is_half_done(server, running):
                ledger.move_server(
                    found.id, server.name, running.id, ServerStatus.FAILED, kind="server.failed", failure=why
                )
        ledger.move_environment(found.id, running.id, EnvironmentStatus.FAILED, failure=why)
    ledger.move_operation(running.id, OperationState.CANCELLED, why, by=by)


def _is_half_done(server: Server, running: Operation) -> bool:
    """Whether it is at work, or was given a branch that it was not put on yet."""
    waits = running.kind is Kind.DEPLOY and server.name in running.request["branches"] and server.jid is None
    return server.status in _AT_WORK or (server.status is ServerStatus.READY and waits)
