"""Between rows and the domain's frozen data."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from orchestrator.domain.environment import Actor, Environment, Event, Kind, Operation, Server
from orchestrator.domain.failures import Failure
from orchestrator.domain.keeping import Hold, Protection
from orchestrator.domain.lifecycle import EnvironmentStatus, OperationState, ServerStatus, Target


def _failure(data: Mapping[str, Any] | None) -> Failure | None:
    return Failure.from_data(data) if data else None


def environment(row: sa.Row[Any]) -> Environment:
    """A row of `environments` as domain data."""
    values = dict(row._mapping)
    values |= {"status": EnvironmentStatus(row.status), "target": Target(row.target), "failure": _failure(row.failure)}
    values |= {
        "hold": Hold.from_data(row.hold) if row.hold else None,
        "protection": Protection.from_data(row.protection) if row.protection else None,
    }
    return Environment(**values)


def server(row: sa.Row[Any]) -> Server:
    """A row of `servers` as domain data."""
    values = dict(row._mapping)
    values |= {"status": ServerStatus(row.status), "target": Target(row.target), "failure": _failure(row.failure)}
    return Server(**values)


def operation(row: sa.Row[Any]) -> Operation:
    """A row of `operations` as domain data."""
    values = dict(row._mapping)
    values.pop("idempotency_key")
    values |= {
        "kind": Kind(row.kind),
        "state": OperationState(row.state),
        "actor": Actor(row.actor, values.pop("door"), values.pop("room")),
        "failure": _failure(row.failure),
    }
    return Operation(**values)


def event(row: sa.Row[Any]) -> Event:
    """A row of `events`, joined with its environment's name, as domain data."""
    values = dict(row._mapping)
    values["environment"] = values.pop("environment_name")
    return Event(**values)


def environment_values(value: Environment) -> dict[str, Any]:
    """Domain data as column values."""
    return plain(_fields(value))


def server_values(value: Server) -> dict[str, Any]:
    """Domain data as column values."""
    return plain(_fields(value))


def operation_values(value: Operation) -> dict[str, Any]:
    """Domain data as column values."""
    values = _fields(value) | {
        "actor": value.actor.person,
        "door": value.actor.door,
        "room": value.actor.room,
        "request": dict(value.request),
    }
    return plain(values)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values: failures and what keeps an environment become JSON."""
    return {
        key: value.to_data() if isinstance(value, Failure | Hold | Protection) else value
        for key, value in values.items()
    }


def jsonable(data: Mapping[str, Any]) -> dict[str, Any]:
    """Event data: datetimes become ISO 8601, durations seconds."""
    return {key: _jsonable(value) for key, value in plain(data).items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
