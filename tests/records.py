"""Records for tests."""

from itertools import count

from ulid import ULID

from orchestrator.domain.record import Record, record_for
from orchestrator.domain.template import Template

_numbers = count(1)


def operation_id() -> str:
    """A new operation's id; they ascend."""
    return f"{str(ULID())[:20]}{next(_numbers):06d}"


def record(server: str, template: Template, branch: str = "main", operation: str | None = None) -> Record:
    """The record of `server`, named `<environment>-<role>-<n>`, of a template."""
    environment, role, _ = server.rsplit("-", 2)
    return record_for(
        operation or operation_id(), template.name, environment, server, role, template.roles[role], branch, 30
    )
