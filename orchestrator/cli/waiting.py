"""After something was started: wait for its end and tell how it ended, or say how to watch it."""

from collections.abc import Callable, Sequence

import click

from orchestrator.commands.views import Accepted, EnvironmentView, FailureView, OperationView, ProgressView
from orchestrator.domain.errors import BadInput, Conflict, NotFound
from orchestrator.domain.lifecycle import OperationState

from . import render
from .client import path
from .follow import Interruption, follow
from .progress import Display, display
from .session import F, Session

# Codes of a Conflict that a person can overrule.
CONFIRMABLE = ("needed-by-others", "confirm")


def wait_option(command: F) -> F:
    """Add `--no-wait` to a command; it arrives as `wait`."""
    return click.option("--no-wait", "wait", flag_value=False, default=True, type=bool, help="Do not wait.")(command)


def carry_on(session: Session, accepted: Accepted, wait: bool) -> None:
    """Watch what was accepted to its end, or say how to. Exits with 1 when it ends badly."""
    name = accepted.environment.name
    for note in accepted.notes:
        session.say(note)
    if wait:
        watch(session, accepted.operation, name, accepted.notes)
        return
    session.show(accepted, f"{name}: {accepted.operation.kind}, operation {accepted.operation.id}", _how_to_watch(name))


def watch(session: Session, operation: OperationView, name: str, notes: Sequence[str] = ()) -> None:
    """Show an operation's progress until it has ended, then how it ended. Exits with 1 when it ended badly."""
    session.say(f"{name}: {operation.kind}, operation {operation.id}")
    try:
        with display(session.console, quiet=session.as_json) as shown:
            ended = to_the_end(session, operation.id, shown)
    except KeyboardInterrupt:
        click.echo(f"\nNot watching any more; the {operation.kind} goes on. {_how_to_watch(name)}", err=True)
        raise click.exceptions.Exit(130) from None
    _report(session, ended, _still_there(session, name), notes)
    if ended.state != OperationState.SUCCEEDED:
        raise click.exceptions.Exit(1)


def confirmed(session: Session, name: str, question: str, yes: bool, ask: Callable[[bool], Accepted]) -> Accepted:
    """Call `ask(confirmed)` after whoever is there has said yes; asks again when others need what is terminated.

    Raises BadInput when nobody is there and `--yes` was not said, or when the answer is no.
    """
    if not yes:
        if not session.interactive:
            raise BadInput("not-confirmed", f"Nobody can be asked here; add --yes to terminate {name}.")
        _agree(question)
    try:
        return ask(yes)
    except Conflict as conflict:
        if yes or conflict.code not in CONFIRMABLE:
            raise
        _agree(f"{conflict.message}\nTerminate {name} all the same?")
        return ask(True)


def _agree(question: str) -> None:
    if not click.confirm(question):
        raise BadInput("not-confirmed", "Nothing was terminated.")


def to_the_end(session: Session, operation_id: str, shown: Display) -> OperationView:
    """Show an operation's progress until it has ended → how it ended."""
    for item in follow(session.client, operation_id):
        if isinstance(item, ProgressView):
            shown.step(item)
        elif isinstance(item, Interruption):
            shown.notice(item.sentence)
        else:
            return item
    raise AssertionError("follow ends with the operation")


def _still_there(session: Session, name: str) -> EnvironmentView | None:
    """The environment as it is now; None when it has ended."""
    try:
        return session.client.one(EnvironmentView, path("environments", name))
    except NotFound:
        return None


def _how_to_watch(name: str) -> str:
    return f"Watch it with: brine env show {name} --follow"


def _report(session: Session, ended: OperationView, now: EnvironmentView | None, notes: Sequence[str]) -> None:
    if session.as_json:
        environment = now.model_dump(mode="json") if now else None
        session.show({"operation": ended.model_dump(mode="json"), "environment": environment, "notes": list(notes)})
        return
    if ended.state == OperationState.SUCCEEDED:
        session.say(_success(ended, now))
    if now and now.servers:
        session.print(render.servers(now.servers))
    if ended.state != OperationState.SUCCEEDED:
        for line in _why(ended, now):
            click.echo(line, err=True)


def _success(ended: OperationView, now: EnvironmentView | None) -> str:
    took = f"{ended.elapsed_s:.1f} s"
    if now is None:
        return f"{ended.environment} is gone, after {took}."
    degraded = f", but degraded: {now.degraded.rstrip('.')}" if now.degraded else ""
    return f"{now.name} is {now.status} after {took}{degraded}; it expires in {render.left(now.expires_in_s)}."


def _why(ended: OperationView, now: EnvironmentView | None) -> list[str]:
    """Each cause once, in at most three lines: the operation's own, then those of servers that it does not name."""
    told: dict[tuple[str, str], tuple[FailureView, list[str]]] = {}
    for failure in (ended.failure, *(server.failure for server in (now.servers if now else ()))):
        if failure:
            cause, servers = told.setdefault((failure.code, _generic(failure)), (failure, []))
            servers += [name for name in failure.servers if name not in (*cause.servers, *servers)]
    if not told:
        return [f"The {ended.kind} of {ended.environment} was {ended.state}."]
    return [line for cause, servers in told.values() for line in _cause_lines(cause, servers)]


def _generic(failure: FailureView) -> str:
    """The title without the names of servers: what fails on several of them for one reason is told once."""
    title = failure.title
    for name in sorted(failure.servers, key=len, reverse=True):
        title = title.replace(name, "")
    return title.strip(" :,and")


def _cause_lines(cause: FailureView, others: list[str]) -> list[str]:
    first, *rest = render.failure_lines(cause)
    return [f"{first} The same on {', '.join(others)}." if others else first, *rest]
