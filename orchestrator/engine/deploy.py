"""Deploying a branch: the same highstate with other data, on the servers whose branch was changed by the request."""

from dbos import DBOS

from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.ports import Ledger

from .configure import configure_deadline, configure_server
from .machine_steps import wire
from .runtime import in_parallel, record, remote
from .stories import begin, context, fail_refused, finish, operation_story


@DBOS.workflow(name="deploy")
@operation_story
def deploy(operation: str) -> None:
    """New records for the servers, then a highstate on each."""
    servers = record(_deploying, operation)
    wired = remote(wire, operation, servers, record(configure_deadline, operation))
    refused = record(fail_refused, operation, wired)
    in_parallel(configure_server, operation, [server for server in servers if server not in refused])
    record(finish, operation)


def _deploying(ledger: Ledger, operation: str) -> list[str]:
    begin(ledger, operation, EnvironmentStatus.DEPLOYING)
    found, _ = context(ledger, operation)
    branches: dict[str, str] = found.request["branches"]
    for server, branch in branches.items():
        ledger.change_server(found.environment, server, operation, branch=branch, jid=None)
    return list(branches)
