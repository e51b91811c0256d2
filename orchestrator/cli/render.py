"""Tables and lines for people. What comes from outside is shown as text: no markup, no control characters."""

import math
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from orchestrator.commands.leak_views import LeakView
from orchestrator.commands.views import (
    AuditView,
    EnvironmentView,
    EventView,
    FailureView,
    JobView,
    RoleView,
    ServerView,
    TemplateView,
)
from orchestrator.domain.durations import format_duration
from orchestrator.domain.leaks import LeakKind

if TYPE_CHECKING:
    from orchestrator.embedded.sandboxes import SandboxStatus
    from orchestrator.embedded.stack import ProgramStatus

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_STYLES = {
    "ready": "green",
    "running": "green",
    "failed": "red",
    "stopped": "red",
    "silent": "red",
    "terminating": "yellow",
    "terminated": "dim",
    "degraded": "yellow",
}


def plain(text: str) -> str:
    """`text` without control characters: a log line must not be able to drive the terminal."""
    return _CONTROL.sub("", text)


def status_text(status: str) -> Text:
    """A status, coloured."""
    return Text(status, style=_STYLES.get(status, "cyan"))


def ago(seconds: float) -> str:
    """How long, in the two largest units."""
    return format_duration(timedelta(seconds=seconds))


def left(seconds: float) -> str:
    """How much time is left; whole minutes, so that what was made for a day reads as 1d a moment later."""
    return ago(math.ceil(seconds / 60) * 60)


def failure_lines(failure: FailureView) -> list[str]:
    """What a person reads of a failure: at most three lines."""
    return [plain(line) for line in (failure.title, failure.explanation, failure.action) if line]


def environments(found: Sequence[EnvironmentView]) -> Table:
    """One line for each environment."""
    is_kept, is_degraded = any(kept(each) for each in found), any(each.degraded_since for each in found)
    columns = ["NAME", "TEMPLATE", "STATUS", "SERVERS", "BRANCHES", "OWNER", "AGE", "EXPIRES IN"]
    table = _table(*columns, *(["KEPT"] if is_kept else []), *(["DEGRADED SINCE"] if is_degraded else []))
    for each in found:
        _row(
            table, each.name, each.template, _status(each), f"{each.servers_ready}/{each.servers_total}",
            branches(each.branches), each.owner, ago(each.age_s), _expiry(each),
            *(["; ".join(kept(each))] if is_kept else []),
            *([_local(each.degraded_since) if each.degraded_since else ""] if is_degraded else []),
        )  # fmt: skip
    return table


def servers(found: Sequence[ServerView]) -> "Fitting":
    """One line for each server."""
    rows = [
        (each.name, _server_status(each), each.branch, (each.commit or "")[:10], each.url or each.address or "",
         each.app, each.owner, ago(each.age_s))
        for each in found
    ]  # fmt: skip
    return Fitting(("SERVER", "STATUS", "BRANCH", "COMMIT", "URL", "APP", "OWNER", "AGE"), rows, needed=3)


def environment(view: EnvironmentView) -> Table:
    """One environment, without its servers."""
    table = _facts()
    _row(table, "environment", view.name)
    _row(table, "status", _status(view))
    if view.degraded:
        _row(table, "degraded", Text(plain(view.degraded), style="yellow"))
    if view.degraded_since:
        _row(table, "heal it with", f"brine env retry {view.name}")
    if view.waiting_for:
        _row(table, "waiting for", Text(plain(view.waiting_for), style="yellow"))
    _row(table, "template", view.template)
    _row(table, "branches", branches(view.branches))
    if view.uses:
        _row(table, "uses", view.uses)
    _row(table, "owner", view.owner)
    _row(table, "age", ago(view.age_s))
    _row(table, "expires in", _expiry(view))
    if kept(view):
        _row(table, "kept", "; ".join(kept(view)))
    return table


def kept(view: EnvironmentView) -> list[str]:
    """What keeps it from the reaper: `held by ada until …`, `protected by olga, without end`."""
    told = []
    if view.held_by and view.held_until:
        told.append(f"held by {view.held_by} until {_local(view.held_until)}")
    if view.protected_by:
        until = f" until {_local(view.protected_until)}" if view.protected_until else ", without end"
        told.append(f"protected by {view.protected_by}{until}")
    return told


def server(view: ServerView) -> Table:
    """One server."""
    table = _facts()
    _row(table, "server", view.name)
    _row(table, "status", _server_status(view))
    if view.degraded and view.degraded_since:
        _row(table, "degraded", Text(plain(f"{view.degraded}, since {_local(view.degraded_since)}"), style="yellow"))
        _row(table, "heal it with", f"brine env retry {view.environment}")
    _row(table, "environment", view.environment)
    _row(table, "role", f"{view.role} ({view.app})")
    _row(table, "branch", view.branch)
    _row(table, "commit", view.commit or "-")
    _row(table, "URL", view.url or view.address or "-")
    _row(table, "owner", view.owner)
    _row(table, "age", ago(view.age_s))
    return table


def templates(found: Sequence[TemplateView]) -> Table:
    """One line for each template."""
    table = _table("NAME", "ROLES", "LIVES FOR", "AT MOST", "DESCRIPTION")
    for each in found:
        _row(table, each.name, ", ".join(role.role for role in each.roles), each.ttl, each.ttl_max, each.description)
    return table


def template(view: TemplateView) -> Table:
    """The roles of a template."""
    table = _table("ROLE", "APP", "BRANCH", "SERVERS", "PROFILE", "NEEDS", "REPOSITORY")
    for role in view.roles:
        needs = ", ".join(f"{variable} from {other}" for variable, other in role.needs.items())
        _row(table, role.role, role.app, role.branch, _count(role), role.profile, needs, role.repository)
    return table


def events(found: Iterable[EventView]) -> Table:
    """One line for each event."""
    table = _table("AT", "WHAT", "SERVER", "BY", "DETAILS")
    for each in found:
        details = ", ".join(f"{key}={value}" for key, value in each.data.items() if isinstance(value, str | int))
        _row(table, _local(each.at), each.kind, each.server or "", f"{each.actor} ({each.door})", details)
    return table


def audit(found: Iterable[AuditView]) -> Table:
    """One line for each thing that was said."""
    table = _table("AT", "WHO", "ROOM", "SAID", "OUTCOME", "WHY")
    for each in found:
        who = f"{each.person} ({each.account})" if each.person else each.account
        _row(table, _local(each.at), who, each.room, each.text, each.outcome.value, each.reason or each.code)
    return table


def leaks(found: Iterable[LeakView], what: str) -> Table:
    """One line for each disagreement. `what`: the title of what is or was done about them."""
    table = _table("SERVER", "WHAT IS WRONG", "SINCE", "SWEEPS", what)
    for each in found:
        times = str(each.times) if each.kind in (LeakKind.REMOVE, LeakKind.DEGRADE) else ""
        _row(table, each.server, each.reason, _local(each.seen_since), times, each.what)
    return table


def schedule(found: Iterable[JobView]) -> Table:
    """One line for each scheduled job."""
    table = _table("JOB", "WHEN", "NEXT", "LAST", "TOOK", "RESULT")
    for each in found:
        last = each.last
        took = ago(last.took_s) if last and last.took_s is not None else ""
        told = (_local(last.due_at), took, last.result) if last else ("never yet", "", "")
        _row(table, each.job, each.when, _local(each.next_at), *told)
    return table


def programs(found: Iterable["ProgramStatus"]) -> Table:
    """One line for each program of the embedded stack."""
    table = _table("PROGRAM", "STATE", "PROCESS", "ADDRESS", "SINCE", "")
    for each in found:
        since, pid = _local(each.since) if each.since else "", str(each.pid or "")
        _row(table, each.name, status_text(each.state), pid, each.address, since, each.detail)
    return table


def sandboxes(found: Iterable["SandboxStatus"]) -> Table:
    """One line for each sandbox."""
    table = _table("SERVER", "STATE", "ADDRESS", "PROFILE")
    for each in found:
        _row(table, each.name, status_text(each.state), each.address, each.profile)
    return table


def branches(by_role: dict[str, str]) -> str:
    """`main` when all are the same, `api=main web=feature/cart` otherwise."""
    different = set(by_role.values())
    return different.pop() if len(different) == 1 else " ".join(f"{role}={name}" for role, name in by_role.items())


def _status(view: EnvironmentView) -> Text:
    return status_text("degraded") if view.degraded and view.status == "ready" else status_text(view.status)


def _server_status(view: ServerView) -> Text:
    return status_text("degraded" if view.degraded else view.status)


def _expiry(view: EnvironmentView) -> str:
    return "-" if view.status in ("terminating", "terminated") else left(view.expires_in_s)


def _count(role: RoleView) -> str:
    count = role.count
    return f"{count.get('default')} ({count.get('min')} to {count.get('max')})"


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


class Fitting:
    """A table that leaves out its last columns, but for the `needed` first ones, until a line fits on the terminal."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[str | Text]], needed: int) -> None:
        self._columns, self._rows, self._needed = columns, rows, needed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(max_width=sys.maxsize)
        tables = map(self._of_width, range(len(self._columns), self._needed, -1))
        fits = (table for table in tables if Measurement.get(console, wide, table).maximum <= options.max_width)
        yield next(fits, self._of_width(self._needed))

    def _of_width(self, columns: int) -> Table:
        table = _table(*self._columns[:columns])
        for row in self._rows:
            _row(table, *row[:columns])
        return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _facts() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table


def _row(table: Table, *cells: str | Text) -> None:
    table.add_row(*(Text(plain(cell)) if isinstance(cell, str) else cell for cell in cells))
