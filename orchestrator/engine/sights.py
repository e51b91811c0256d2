"""What the reaper looks at, put together from the rows and the curated templates."""

from collections.abc import Mapping

from orchestrator.domain.environment import Environment, Kind, Operation
from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.reaping import Candidate, GoneBranch, Snapshot, policy_of
from orchestrator.domain.template import Template
from orchestrator.ports import Ledger

STUCK = "stuck"  # why the reaper tries again to remove what somebody, or the reaper itself, could not
_ENDING = (EnvironmentStatus.TERMINATING, EnvironmentStatus.TERMINATED)
_DOING = {
    Kind.CREATE: "creating it",
    Kind.RETRY: "retrying it",
    Kind.TERMINATE: "terminating it",
    Kind.TERMINATE_SERVER: "terminating a server of it",
}


def snapshot(ledger: Ledger, templates: Mapping[str, Template]) -> Snapshot:
    """Every environment that has not ended, as the reaper sees it, and what its template says."""
    warnings, noticed, gone = ledger.reaper.warnings(), ledger.reaper.noticed(), _gone(ledger)
    running = {operation.id: operation for operation in ledger.operations(active=True, limit=100_000)}
    candidates = tuple(
        Candidate(
            id=each.id, name=each.name, template=each.template, owner=each.owner, status=each.status,
            created_at=each.created_at, expires_at=each.expires_at, touched_at=each.touched_at or each.created_at,
            deployed_at=each.deployed_at or each.created_at, extended_at=each.extended_at, failed_at=each.failed_at,
            busy=_busy(running.get(each.operation)), protection=each.protection, hold=each.hold,
            gone=gone.get(each.id, ()), warnings=tuple(warnings.get(each.id, ())),
            noticed=noticed.get(each.id, {}),
        )
        for each in ledger.environments()
        if each.status not in _ENDING
    )  # fmt: skip
    return Snapshot(candidates, {name: policy_of(template) for name, template in templates.items()})


def _gone(ledger: Ledger) -> dict[str, tuple[GoneBranch, ...]]:
    """By environment: the branches that were missed, of those that its servers run now.

    A check remembers what they ran then. Who has deployed another branch since need not wait for the next one.
    """
    running = {(server.environment, server.role, server.branch) for server in ledger.servers()}
    return {
        environment: tuple(each for each in missed if (environment, each.role, each.branch) in running)
        for environment, missed in ledger.reaper.gone().items()
    }


def stuck(ledger: Ledger) -> list[Environment]:
    """Those whose removal failed: they are still there, and nothing is at work on them."""
    running = {operation.id for operation in ledger.operations(active=True, limit=100_000)}
    return [
        each
        for each in ledger.environments()
        if each.status is EnvironmentStatus.TERMINATING and each.operation not in running
    ]


def _busy(operation: Operation | None) -> str | None:
    if operation is None:
        return None
    what = _DOING.get(operation.kind) or f"deploying {operation.request.get('what')} to it"
    return f"{operation.actor.person} is {what}"
