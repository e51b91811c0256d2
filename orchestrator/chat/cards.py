"""From what commands give to replies: what people read of environments, servers, operations and failures."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from orchestrator.commands.views import (
    Accepted,
    EnvironmentView,
    FailureView,
    JobView,
    LogView,
    OperationView,
    RunView,
    ServerView,
    TemplateView,
)
from orchestrator.domain.durations import format_duration
from orchestrator.domain.environment import Kind
from orchestrator.domain.lifecycle import OperationState, ServerStatus
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.reaping.keeping import clock

from .replies import Button, Fact, Progress, Reply, Step, Table, Tone

DOING = {
    Kind.CREATE: "creating",
    Kind.RETRY: "retrying",
    Kind.DEPLOY: "deploying to",
    Kind.TERMINATE: "terminating",
    Kind.TERMINATE_SERVER: "terminating a server of",
}
LOG_LINES = 40
MOST_LINES = 25  # of a plan; more are not read


def span(seconds: float) -> str:
    """How long: `1m 5s`."""
    return format_duration(timedelta(seconds=seconds))


def left(seconds: float) -> str:
    """How much time is left, in whole minutes: what was made for a day reads as 1d a moment later."""
    return span(math.ceil(seconds / 60) * 60)


# Environments and servers


def environment(view: EnvironmentView) -> Reply:
    """One environment with its servers."""
    facts = [Fact(label="template", value=view.template), Fact(label="branches", value=branches(view))]
    if view.uses:
        facts.append(Fact(label="uses", value=view.uses))
    facts += [Fact(label="owner", value=view.owner), Fact(label="age", value=span(view.age_s))]
    facts.append(Fact(label="expires in", value=left(view.expires_in_s)))
    facts += _kept_fact(view)
    return Reply(
        title=f"{view.name} {_state(_status(view))}",
        tone=_tone(view),
        lines=((view.degraded,) if view.degraded else ()) + (failure_lines(view.failure) if view.failure else ()),
        facts=tuple(facts),
        tables=(servers_table(view.servers),) if view.servers else (),
        buttons=_things_to_do(view),
    )


def environments(found: Sequence[EnvironmentView], hidden: int) -> Reply:
    """A list of environments; `hidden`: how many may not be spoken of here."""
    rows: tuple[tuple[str, ...], ...] = tuple(
        (each.name, each.template, _status(each), branches(each), each.owner, left(each.expires_in_s)) for each in found
    )
    columns: tuple[str, ...] = ("environment", "template", "status", "branches", "owner", "expires in")
    if any(kept(each) for each in found):
        columns = (*columns, "kept")
        rows = tuple((*row, "; ".join(kept(each))) for row, each in zip(rows, found, strict=True))
    if any(each.degraded_since for each in found):
        columns = (*columns, "degraded since")
        since = (clock(each.degraded_since) if each.degraded_since else "" for each in found)
        rows = tuple((*row, moment) for row, moment in zip(rows, since, strict=True))
    title = _counted(len(found), "environment") if found else "There is no environment here. Make one with: create"
    return Reply(title=title, tables=(Table(columns=columns, rows=rows),) if rows else (), lines=_hidden(hidden))


def kept(view: EnvironmentView) -> tuple[str, ...]:
    """What keeps it from the reaper: `held by ada until …`, `protected by olga, without end`."""
    told = []
    if view.held_by and view.held_until:
        told.append(f"held by {view.held_by} until {clock(view.held_until)}")
    if view.protected_by:
        until = f" until {clock(view.protected_until)}" if view.protected_until else ", without end"
        told.append(f"protected by {view.protected_by}{until}")
    return tuple(told)


def _kept_fact(view: EnvironmentView) -> list[Fact]:
    return [Fact(label="kept", value="; ".join(kept(view)))] if kept(view) else []


def servers(found: Sequence[ServerView], hidden: int) -> Reply:
    """A list of servers."""
    title = _counted(len(found), "server") if found else "There is no server here."
    return Reply(title=title, tables=(servers_table(found),) if found else (), lines=_hidden(hidden))


def servers_table(found: Iterable[ServerView]) -> Table:
    """Servers, a row each."""
    rows = tuple(
        (each.name, _server_status(each), each.branch, (each.commit or "")[:10], each.url or "") for each in found
    )
    return Table(columns=("server", "status", "branch", "commit", "address"), rows=rows)


def server(view: ServerView) -> Reply:
    """One server."""
    facts = (
        ("environment", view.environment), ("role", f"{view.role} ({view.app})"), ("branch", view.branch),
        ("commit", (view.commit or "")[:10]), ("address", view.url or ""), ("owner", view.owner),
        ("age", span(view.age_s)),
    )  # fmt: skip
    buttons = [Button(label="Log", command=f"logs {view.name}")]
    buttons += [Button(label="Why", command=f"why {view.name}")] if view.failure else []
    buttons += [_retry(view.environment)] if view.degraded else []
    return Reply(
        title=f"{view.name} {_state(_server_status(view))}",
        tone=_server_tone(view),
        lines=failure_lines(view.failure) if view.failure else why_degraded(view),
        facts=tuple(Fact(label=label, value=value) for label, value in facts if value),
        buttons=tuple(buttons),
    )


def why_degraded(view: ServerView) -> tuple[str, ...]:
    """What is wrong with a server that was ready, and since when; nothing when it is whole."""
    return (f"{view.degraded}, since {clock(view.degraded_since)}",) if view.degraded and view.degraded_since else ()


def _server_status(view: ServerView) -> str:
    return "degraded" if view.degraded else view.status.value


def _server_tone(view: ServerView) -> Tone:
    if view.failure:
        return Tone.BAD
    if view.degraded:
        return Tone.WARNING
    return Tone.GOOD if view.status is ServerStatus.READY else Tone.WORKING


def _retry(name: str) -> Button:
    return Button(label="Retry", command=f"retry {name}", style="primary")


def templates(found: Sequence[TemplateView]) -> Reply:
    """A list of templates."""
    if not found:
        return Reply(title="There is no template here; ops put them into templates/.")
    rows = tuple((each.name, ", ".join(role.role for role in each.roles), each.ttl, each.description) for each in found)
    columns = ("template", "roles", "lives for", "description")
    return Reply(
        title=_counted(len(found), "template"),
        tables=(Table(columns=columns, rows=rows),),
        buttons=tuple(Button(label=f"Create {each.name}", command=f"create {each.name}") for each in found[:5]),
    )


def template(view: TemplateView) -> Reply:
    """One template."""
    rows = tuple((role.role, role.app, role.branch, str(role.count["default"]), role.repository) for role in view.roles)
    return Reply(
        title=f"{view.name}: {view.description}",
        facts=(Fact(label="lives for", value=f"{view.ttl}, at most {view.ttl_max}"),),
        tables=(Table(columns=("role", "app", "branch", "servers", "repository"), rows=rows),),
        buttons=(Button(label=f"Create {view.name}", command=f"create {view.name}", style="primary"),),
    )


def jobs(found: Sequence[OperationView], hidden: int) -> Reply:
    """What is going on now."""
    rows = tuple((each.environment, DOING[each.kind], each.actor, span(each.elapsed_s)) for each in found)
    title = f"{_counted(len(found), 'operation')} running" if found else "Nothing is running."
    table = (Table(columns=("environment", "what", "by", "for"), rows=rows),) if rows else ()
    return Reply(title=title, tables=table, lines=_hidden(hidden))


def log(view: LogView) -> Reply:
    """The end of an app's log."""
    code = "\n".join(mask_secrets(line) for line in view.lines[-LOG_LINES:])
    return Reply(title=f"{view.server}: the end of its log" if code else f"{view.server}: its log is empty", code=code)


# Operations


def started(accepted: Accepted, steps: Sequence[Step], rest_s: float | None) -> Reply:
    """The card of an operation that runs. `rest_s`: how long it will still take, as far as history tells."""
    operation = accepted.operation
    return Reply(
        title=f"{operation.actor} is {doing(operation)} {accepted.environment.name}",
        tone=Tone.WORKING,
        lines=tuple(accepted.notes),
        progress=Progress(steps=tuple(steps), elapsed_s=operation.elapsed_s, rest_s=rest_s),
    )


def doing(operation: OperationView) -> str:
    """What an operation does, as in “alice is … cart-test”."""
    if operation.kind is Kind.DEPLOY:
        return f"deploying {operation.request.get('what')} to"
    return DOING[operation.kind]


def outcome(seen: Accepted) -> Reply:
    """The card of an operation that has ended."""
    operation, view = seen.operation, seen.environment
    if operation.state is OperationState.CANCELLED:
        why = f"{view.name}: the {operation.kind} was cancelled, as something newer was asked for"
        return Reply(title=operation.failure.title if operation.failure else why, tone=Tone.WARNING)
    if operation.state is OperationState.FAILED:
        return _failed(operation, view)
    took = span(operation.elapsed_s)
    if operation.kind is Kind.TERMINATE:
        return Reply(title=f"{view.name} is gone, after {took}", tone=Tone.GOOD)
    if operation.kind is Kind.TERMINATE_SERVER:
        title = f"{operation.request.get('server')} is gone, after {took}; {view.name} {_state(_status(view))}"
    elif operation.kind is Kind.DEPLOY:
        title = f"{view.name} runs {operation.request.get('what')}, after {took}"
    else:
        title = f"{view.name} is {_status(view)}, after {took}"
    return Reply(
        title=title,
        tone=Tone.WARNING if view.degraded else Tone.GOOD,
        lines=(*((view.degraded,) if view.degraded else ()), *seen.notes),
        facts=(
            Fact(label="expires in", value=left(view.expires_in_s)),
            Fact(label="owner", value=view.owner),
            *_kept_fact(view),
        ),
        tables=(servers_table(view.servers),),
        buttons=_things_to_do(view),
    )


def _failed(operation: OperationView, view: EnvironmentView) -> Reply:
    causes = _causes(operation, view)
    title = causes[0].title if causes else f"The {operation.kind} of {view.name} failed."
    rest = [line for cause in causes[1:] for line in failure_lines(cause)]
    first = (causes[0].explanation, causes[0].action) if causes else ()
    return Reply(
        title=f"{view.name}: {title}" if view.name not in title else title,
        tone=Tone.BAD,
        lines=tuple(mask_secrets(line) for line in (*first, *rest) if line),
        tables=(servers_table(view.servers),) if view.servers else (),
        buttons=_things_to_do(view),
        details=_details(causes),
    )


def _details(causes: Sequence[FailureView]) -> Reply | None:
    """What was said on the servers, and where more is written about it. None when there is neither."""
    evidence = "\n\n".join(cause.evidence for cause in causes if cause.evidence)
    links = tuple(dict.fromkeys(line for cause in causes for line in more_about(cause)))
    if not evidence and not links:
        return None
    return Reply(title="What was said there", lines=links, code=mask_secrets(evidence))


def _causes(operation: OperationView, view: EnvironmentView) -> list[FailureView]:
    """Each cause once: the operation's own, then those of servers that it does not name."""
    found = [operation.failure] if operation.failure else []
    for server in view.servers:
        if server.failure and not any(server.name in cause.servers for cause in found):
            found.append(server.failure)
    return found


# How they end


def expiry(view: EnvironmentView, zone: ZoneInfo) -> str:
    """When one expires of which the reaper has nothing to say, in the person's time."""
    if view.status in ("terminating", "terminated"):
        return f"{view.name} is being terminated."
    also = f"; it is {' and '.join(kept(view))}" if kept(view) else ""
    return f"{view.name} expires in {left(view.expires_in_s)}, at {_local(view.expires_at, zone)} {zone}{also}."


def plan(lines: Sequence[str], hidden: int) -> Reply:
    """The reaper's plan and what expires soon, a sentence each; `hidden`: how many environments are left out here."""
    shown = list(lines[:MOST_LINES])
    shown += [f"And {len(lines) - MOST_LINES} more."] if len(lines) > MOST_LINES else []
    title = "What ends, and what is kept" if lines else "Nothing is due."
    return Reply(title=title, lines=(*shown, *_hidden(hidden)))


def schedule(found: Sequence[JobView], zone: ZoneInfo) -> Reply:
    """The scheduled jobs, a row each."""
    rows = tuple((job.job, job.when, _local(job.next_at, zone), *_last_run(job.last, zone)) for job in found)
    columns = ("job", "when", "next", "last", "took", "result")
    return Reply(title=f"Scheduled jobs, in the time of {zone}", tables=(Table(columns=columns, rows=rows),))


def _last_run(run: RunView | None, zone: ZoneInfo) -> tuple[str, str, str]:
    if run is None:
        return "never yet", "", ""
    return _local(run.due_at, zone), span(run.took_s) if run.took_s is not None else "", run.result


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


# Failures and questions


def failure_lines(view: FailureView) -> tuple[str, ...]:
    """What a person reads of a failure: at most three lines."""
    return tuple(mask_secrets(line) for line in (view.title, view.explanation, view.action) if line)


def more_about(view: FailureView) -> tuple[str, ...]:
    """Where more is written about a failure, if anywhere."""
    return (f"More about it: {view.link}",) if view.link else ()


def refused(message: str, *lines: str, private: bool = False) -> Reply:
    """Why something is not done."""
    return Reply(title=mask_secrets(message), tone=Tone.BAD, lines=lines, private=private)


def note(title: str, *lines: str, tone: Tone = Tone.PLAIN, private: bool = False) -> Reply:
    """A sentence or more."""
    return Reply(title=title, lines=lines, tone=tone, private=private)


def branches(view: EnvironmentView) -> str:
    """`main` when all are the same, `api=main web=feature/cart` otherwise."""
    different = set(view.branches.values())
    if len(different) == 1:
        return different.pop()
    return " ".join(f"{role}={name}" for role, name in view.branches.items())


def _things_to_do(view: EnvironmentView) -> tuple[Button, ...]:
    name = view.name
    extend, end = (
        Button(label="Extend", command=f"extend {name}"),
        Button(label="Terminate", command=f"terminate {name}", style="danger"),
    )
    match view.status:
        case "ready" if view.degraded_since:
            return _retry(name), Button(label="Show", command=f"show {name}"), extend, end
        case "ready":
            return extend, Button(label="Show", command=f"show {name}"), end
        case "failed":
            why = Button(label="Why", command=f"why {name}")
            return _retry(name), why, end
        case "terminating" | "terminated":
            return ()
        case _:
            return (end,)


def _state(status: str) -> str:
    """`is ready`, `has failed`: what follows a name."""
    return "has failed" if status == "failed" else f"is {status}"


def _status(view: EnvironmentView) -> str:
    return "degraded" if view.degraded and view.status == "ready" else view.status.value


def _tone(view: EnvironmentView) -> Tone:
    if view.failure:
        return Tone.BAD
    if view.degraded:
        return Tone.WARNING
    return Tone.GOOD if view.status == "ready" else Tone.WORKING


def _hidden(count: int) -> tuple[str, ...]:
    return (f"{count} more may not be spoken of in this room.",) if count else ()


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
