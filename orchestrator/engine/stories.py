"""What every story shares: how it begins, how a server fails, how it ends, and what happens to surprises."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from orchestrator.domain.environment import Environment, Operation, Server
from orchestrator.domain.failures import Failure, group
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus
from orchestrator.ports import Ledger, Superseded

from .runtime import current, pause_if_stopping, record

log = logging.getLogger(__name__)


def operation_story(story: Callable[[str], None]) -> Callable[[str], None]:
    """The outermost workflow of an operation. Superseded: somebody else is in charge now, so it just ends.

    A surprise (a defect of ours) ends the operation as failed, so that nothing says "running" for ever.
    """

    @wraps(story)
    def wrapped(operation: str) -> None:
        try:
            with current().at_work:
                story(operation)
        except Superseded as error:
            log.info("operation %s ended early: %s", operation, error)
        except Exception:
            pause_if_stopping()
            log.exception("operation %s met a surprise", operation)
            _give_up(operation, _failed_by_surprise)

    return wrapped


def server_story(story: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """A child workflow for one server; the same for surprises, which fail the server."""

    @wraps(story)
    def wrapped(operation: str, server: str) -> None:
        try:
            with current().at_work:
                story(operation, server)
        except Superseded as error:
            log.info("operation %s on %s ended early: %s", operation, server, error)
        except Exception:
            pause_if_stopping()
            log.exception("operation %s on %s met a surprise", operation, server)
            _give_up(operation, fail_server, server, surprise(server))

    return wrapped


def surprise(server: str = "") -> Failure:
    """A defect of ours, told honestly."""
    return Failure(
        code="internal-error",
        title=f"{server or 'The operation'}: Brinepool itself stumbled.",
        explanation="The log of the Brinepool server has the details.",
        action="Retry; if it happens again, this is for ops.",
        audience="ops",
        servers=(server,) if server else (),
    )


def context(ledger: Ledger, operation: str) -> tuple[Operation, Environment]:
    """The operation and its environment."""
    found = ledger.operation(operation)
    if found is None:
        raise Superseded(f"operation {operation} was removed")
    return found, ledger.environment_by_id(found.environment)


def server_of(ledger: Ledger, environment: str, name: str) -> Server:
    """The server of that name in the environment of that id."""
    return next(server for server in ledger.servers(environment, ended=True) if server.name == name)


def still_in_charge(ledger: Ledger, operation: str) -> None:
    """Raise Superseded when another operation has taken over the environment."""
    found, environment = context(ledger, operation)
    if environment.operation != operation or found.state.ended:
        raise Superseded(f"operation {operation} is not in charge of {environment.name} any more")


def begin(ledger: Ledger, operation: str, status: EnvironmentStatus) -> None:
    """The operation runs; its environment moves to `status`."""
    found, _ = context(ledger, operation)
    ledger.move_operation(operation, OperationState.RUNNING)
    ledger.move_environment(found.environment, operation, status, failure=None)


def fail_server(ledger: Ledger, operation: str, server: str, failure: Failure) -> None:
    """The server failed, with its cause."""
    found, environment = context(ledger, operation)
    if server_of(ledger, environment.id, server).status is not ServerStatus.FAILED:
        ledger.move_server(
            found.environment, server, operation, ServerStatus.FAILED, kind="server.failed", failure=failure
        )


def fail_refused(ledger: Ledger, operation: str, outcomes: dict[str, dict[str, Any]]) -> list[str]:
    """Fail the servers whose outcome holds a failure. → their names."""
    refused = [server for server, outcome in outcomes.items() if "failure" in outcome]
    for server in refused:
        fail_server(ledger, operation, server, Failure.from_data(outcomes[server]["failure"]))
    return refused


def finish(ledger: Ledger, operation: str) -> None:
    """Ready when every server is; failed, with the first root cause, otherwise."""
    found, environment = context(ledger, operation)
    servers = ledger.servers(found.environment)
    failed = [server.failure for server in servers if server.failure and server.status is ServerStatus.FAILED]
    causes = group(failed, len(servers))
    if causes:
        ledger.move_environment(environment.id, operation, EnvironmentStatus.FAILED, failure=causes[0])
        ledger.move_operation(operation, OperationState.FAILED, causes[0])
    else:
        ledger.move_environment(environment.id, operation, EnvironmentStatus.READY, failure=None)
        ledger.move_operation(operation, OperationState.SUCCEEDED)


def _give_up(operation: str, change: Callable[..., None], *about: Any) -> None:
    """Write the end down, unless somebody else is in charge of it by now."""
    try:
        record(change, operation, *about)
    except Superseded as error:
        log.info("operation %s had ended: %s", operation, error)


def _failed_by_surprise(ledger: Ledger, operation: str) -> None:
    found, environment = context(ledger, operation)
    for server in ledger.servers(environment.id):
        if server.status in (ServerStatus.REQUESTED, ServerStatus.BOOTING, ServerStatus.CONFIGURING):
            fail_server(ledger, operation, server.name, surprise(server.name))
    if environment.status not in (EnvironmentStatus.TERMINATING, EnvironmentStatus.TERMINATED):
        ledger.move_environment(found.environment, operation, EnvironmentStatus.FAILED, failure=surprise())
    ledger.move_operation(operation, OperationState.FAILED, surprise())
