"""From kept data to views."""

from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.durations import format_duration
from orchestrator.domain.environment import Environment, Event, Operation, Server
from orchestrator.domain.leaks import degraded_since, is_degraded, why_degraded
from orchestrator.domain.lifecycle import EnvironmentStatus, ServerStatus
from orchestrator.ports import Ledger

from .views import EnvironmentView, EventView, FailureView, OperationView, ProgressView, ServerView


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def environment_view(ledger: Ledger, found: Environment, now: datetime, whole: bool = False) -> EnvironmentView:
    """An environment; `whole`: with its servers. One that has ended still tells how many there were."""
    servers = ledger.servers(found.id, ended=found.status is EnvironmentStatus.TERMINATED)
    branches: dict[str, set[str]] = {}
    for server in servers:
        branches.setdefault(server.role, set()).add(server.branch)
    return EnvironmentView(
        name=found.name,
        template=found.template,
        owner=found.owner,
        status=found.status,
        degraded=" ".join(filter(None, (found.degraded, why_degraded(servers)))) or None,
        degraded_since=degraded_since(servers),
        uses=ledger.environment_by_id(found.uses).name if found.uses else None,
        branches={role: ", ".join(sorted(names)) for role, names in branches.items()},
        servers_total=len(servers),
        servers_ready=sum(each.status is ServerStatus.READY and not is_degraded(each) for each in servers),
        created_at=found.created_at,
        expires_at=found.expires_at,
        age_s=_seconds(now - found.created_at),
        expires_in_s=_seconds(found.expires_at - now),
        operation=found.operation,
        failure=FailureView.of(found.failure),
        **_keepers(found, now),
        waiting_for=_waiting_for(ledger, found, now) if whole else None,
        servers=[server_view(server, found, now) for server in servers] if whole else [],
    )


def _waiting_for(ledger: Ledger, found: Environment, now: datetime) -> str | None:
    operation = ledger.operation(found.operation)
    if operation is None or operation.state.ended or (event := ledger.waiting(operation.id)) is None:
        return None
    return f"{event.data['what']}, since {format_duration(now - datetime.fromisoformat(event.data['since']))}"


def _keepers(found: Environment, now: datetime) -> dict[str, Any]:
    """Who keeps it from the reaper now."""
    keepers: dict[str, Any] = {}
    if found.hold and found.hold.until > now:
        keepers |= {"held_by": found.hold.by, "held_until": found.hold.until}
    if found.protection and (found.protection.until is None or found.protection.until > now):
        keepers |= {"protected_by": found.protection.by, "protected_until": found.protection.until}
    return keepers


def server_view(server: Server, environment: Environment, now: datetime) -> ServerView:
    """A server of `environment`."""
    degraded = is_degraded(server)
    return ServerView(
        name=server.name,
        environment=environment.name,
        template=environment.template,
        role=server.role,
        app=server.app,
        branch=server.branch,
        commit=server.commit,
        address=server.address,
        url=f"http://{server.address}:{server.port}" if server.address else None,
        status=server.status,
        owner=environment.owner,
        created_at=server.created_at,
        ready_at=server.ready_at,
        age_s=_seconds(now - server.created_at),
        failure=FailureView.of(server.failure),
        jid=server.jid,
        degraded=server.degraded if degraded else None,
        degraded_since=server.degraded_since if degraded else None,
    )


def operation_view(ledger: Ledger, found: Operation, now: datetime) -> OperationView:
    """An operation."""
    return OperationView(
        id=found.id,
        kind=found.kind,
        environment=ledger.environment_by_id(found.environment).name,
        actor=found.actor.person,
        door=found.actor.door,
        state=found.state,
        requested_at=found.requested_at,
        started_at=found.started_at,
        ended_at=found.ended_at,
        elapsed_s=round(((found.ended_at or now) - found.requested_at).total_seconds(), 3),
        request=dict(found.request),
        failure=FailureView.of(found.failure),
    )


def event_view(event: Event) -> EventView:
    """An event as it was written down."""
    return EventView(
        seq=event.seq,
        at=event.at,
        environment=event.environment,
        server=event.server,
        operation=event.operation,
        kind=event.kind,
        actor=event.actor,
        door=event.door,
        data=dict(event.data),
    )


def progress_view(event: Event, since: datetime) -> ProgressView | None:
    """The progress that an event means; None for one that means none."""
    noun, _, verb = event.kind.partition(".")
    phase = event.data.get("phase") if noun == "server" else verb if noun == "operation" else None
    if phase is None:
        return None
    return ProgressView(
        seq=event.seq,
        at=event.at,
        server=event.server,
        phase=phase,
        state=event.data.get("state"),
        n=event.data.get("n"),
        of=event.data.get("of"),
        elapsed_s=round((event.at - since).total_seconds(), 3),
    )
