"""Starting operations: once each, also when the process dies between the database row and the workflow."""

from collections.abc import Callable

from dbos import DBOS

from orchestrator.domain.environment import Kind, Operation
from orchestrator.domain.lifecycle import OperationState

from .create import create_environment
from .deploy import deploy
from .runtime import begin_workflow, current
from .terminate import terminate_environment, terminate_server

STORIES: dict[Kind, Callable[[str], None]] = {
    Kind.CREATE: create_environment,
    Kind.RETRY: create_environment,
    Kind.DEPLOY: deploy,
    Kind.TERMINATE: terminate_environment,
    Kind.TERMINATE_SERVER: terminate_server,
}


def start(operation: Operation) -> None:
    """Start the operation's workflow. Its id is the operation's, so that a second start is the same workflow."""
    begin_workflow(STORIES[operation.kind], operation.id)


def start_forgotten() -> int:
    """Start operations whose row was written and whose workflow never was. → how many.

    What did start is resumed by the durable engine itself, or handed on by engine/replicas.py. Where several processes
    do this at once, each operation is started once: its workflow has its id.
    """
    with current().store.transaction() as ledger:
        active = ledger.operations(active=True, limit=1000)
    waiting = [found for found in active if found.state is OperationState.PENDING]
    forgotten = [found for found in waiting if DBOS.get_workflow_status(found.id) is None]
    for operation in forgotten:
        start(operation)
    return len(forgotten)
