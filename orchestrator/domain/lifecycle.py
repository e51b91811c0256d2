"""The life cycle: what may become what. One table per thing; anything that is not in it raises.

docs/architecture.md draws these tables, and a test compares the drawing with them.
"""

from enum import StrEnum


class EnvironmentStatus(StrEnum):
    """Where an environment is in its life."""

    REQUESTED = "requested"
    PROVISIONING = "provisioning"
    CONFIGURING = "configuring"
    READY = "ready"
    DEPLOYING = "deploying"
    FAILED = "failed"
    TERMINATING = "terminating"
    TERMINATED = "terminated"


class ServerStatus(StrEnum):
    """Where a server is in its life."""

    REQUESTED = "requested"
    BOOTING = "booting"
    CONFIGURING = "configuring"
    READY = "ready"
    FAILED = "failed"
    TERMINATING = "terminating"
    TERMINATED = "terminated"


class Target(StrEnum):
    """What somebody wants: that it is there, or that it is gone. Kept apart from the status on purpose."""

    PRESENT = "present"
    GONE = "gone"


class OperationState(StrEnum):
    """How far an operation is. The last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED)


E = EnvironmentStatus
S = ServerStatus
O = OperationState  # noqa: E741  (reads as a column of the table below)

ENVIRONMENT: dict[E, frozenset[E]] = {
    E.REQUESTED: frozenset({E.PROVISIONING, E.FAILED, E.TERMINATING}),
    E.PROVISIONING: frozenset({E.CONFIGURING, E.FAILED, E.TERMINATING}),
    E.CONFIGURING: frozenset({E.READY, E.FAILED, E.TERMINATING}),
    E.READY: frozenset({E.PROVISIONING, E.DEPLOYING, E.FAILED, E.TERMINATING}),
    E.DEPLOYING: frozenset({E.READY, E.FAILED, E.TERMINATING}),
    E.FAILED: frozenset({E.PROVISIONING, E.DEPLOYING, E.TERMINATING}),
    E.TERMINATING: frozenset({E.TERMINATED}),
    E.TERMINATED: frozenset(),
}

SERVER: dict[S, frozenset[S]] = {
    S.REQUESTED: frozenset({S.BOOTING, S.FAILED, S.TERMINATING}),
    S.BOOTING: frozenset({S.CONFIGURING, S.FAILED, S.TERMINATING}),
    S.CONFIGURING: frozenset({S.READY, S.FAILED, S.TERMINATING}),
    S.READY: frozenset({S.BOOTING, S.CONFIGURING, S.FAILED, S.TERMINATING}),
    S.FAILED: frozenset({S.BOOTING, S.CONFIGURING, S.TERMINATING}),
    S.TERMINATING: frozenset({S.TERMINATED}),
    S.TERMINATED: frozenset(),
}

OPERATION: dict[O, frozenset[O]] = {
    O.PENDING: frozenset({O.RUNNING, O.FAILED, O.CANCELLED}),
    O.RUNNING: frozenset({O.SUCCEEDED, O.FAILED, O.CANCELLED}),
    O.SUCCEEDED: frozenset(),
    O.FAILED: frozenset(),
    O.CANCELLED: frozenset(),
}


class IllegalTransition(Exception):
    """Somebody tried to move something along an edge that is not in the table."""


def check(old: E | S | O, new: E | S | O) -> None:
    """Raise IllegalTransition unless the table of `old`'s kind has the edge `old` → `new`."""
    table: dict[E, frozenset[E]] | dict[S, frozenset[S]] | dict[O, frozenset[O]]
    table = ENVIRONMENT if isinstance(old, E) else SERVER if isinstance(old, S) else OPERATION
    if type(old) is not type(new) or new not in table[old]:  # type: ignore[index]
        raise IllegalTransition(f"{type(old).__name__}: {old} → {new}")
