"""How the end of an environment begins, whoever wants it: a person, or the reaper."""

from orchestrator.domain.environment import Environment, Operation
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus, Target
from orchestrator.ports import Ledger


def begin_termination(ledger: Ledger, found: Environment, operation: Operation) -> None:
    """`operation` takes the environment over: what ran on it is cancelled, and everything is to go."""
    running = ledger.operation(found.operation)
    if running is not None and not running.state.ended:
        ledger.move_operation(running.id, OperationState.CANCELLED)
    ledger.take_over(found.id, operation)
    if found.status is not EnvironmentStatus.TERMINATING:
        ledger.move_environment(found.id, operation.id, EnvironmentStatus.TERMINATING, target=Target.GONE)
    for server in ledger.servers(found.id):
        if server.status is not ServerStatus.TERMINATING:
            going = {"kind": "server.terminating", "target": Target.GONE}
            ledger.move_server(found.id, server.name, operation.id, ServerStatus.TERMINATING, **going)
