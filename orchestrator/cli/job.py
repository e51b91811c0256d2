"""`brine job JID`, and `--failure full`: all that Salt returned, for ops."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from orchestrator.commands.views import EnvironmentView, FailureView, SaltJobView, ServerView
from orchestrator.domain.errors import NotFound
from orchestrator.domain.jids import check_jid

from .client import path
from .job_render import job_lines
from .render import failure_lines, plain
from .session import F, Session, json_option, pass_session

Jobs = Mapping[str, SaltJobView | NotFound | None]  # by server: its job, or why there is none


@click.command()
@click.argument("jid")
@json_option
@pass_session
def job(session: Session, jid: str) -> None:
    """Show all that Salt returned for a job. For ops.

    JID is its id, as `brine env events NAME` and `brine server show NAME --json` have it. Salt keeps a job for a day.

    \b
    Examples:
      brine job 20261125093000123456
      brine job 20261125093000123456 --json | brine failures test -
    """
    found = _fetch(session, jid)
    session.show(found)
    if not session.as_json:
        _print(job_lines(found))


def failure_option(command: F) -> F:
    """Add `--failure` to a command."""
    option: Callable[[F], F] = click.option(
        "--failure", type=click.Choice(["short", "full"]), default="short", show_default=True,
        help="full: with all that Salt returned. For ops.",
    )  # fmt: skip
    return option(command)


def show_failures(session: Session, found: EnvironmentView | ServerView, servers: Sequence[ServerView]) -> None:
    """Below what is shown of it: for each server that failed all that Salt returned. NotAllowed below ops."""
    failed = [server for server in servers if server.failure]
    jobs = {server.name: _job_of(session, server) for server in failed}
    if session.as_json:
        session.show({**found.model_dump(mode="json"), "jobs": {name: _data(each) for name, each in jobs.items()}})
        return
    for server in failed:
        _print(["", *_whole(server, jobs[server.name])])
    if not failed:
        _print(["", *(_own_words(found.failure) if found.failure else ["Nothing failed there."])])


def _fetch(session: Session, jid: str) -> SaltJobView:
    return session.client.one(SaltJobView, path("jobs", check_jid(jid)))


def _job_of(session: Session, server: ServerView) -> SaltJobView | NotFound | None:
    if server.jid is None:
        return None
    try:
        return _fetch(session, server.jid)
    except NotFound as error:
        return error


def _data(job: SaltJobView | NotFound | None) -> dict[str, Any] | None:
    if isinstance(job, NotFound):
        return {"error": {"code": job.code, "message": job.message}}
    return job.model_dump(mode="json") if job else None


def _whole(server: ServerView, job: SaltJobView | NotFound | None) -> list[str]:
    assert server.failure is not None  # noqa: S101  (only those that failed come here)
    if isinstance(job, SaltJobView):
        return [*job_lines(job), *_more(server.failure)]
    why = job.message if job else "it failed before Salt was given a job."
    return [plain(f"{server.name}: {why}"), *_own_words(server.failure)]


def _own_words(failure: FailureView) -> list[str]:
    """A failure that has no job: all that is known of it."""
    evidence = [f"  {plain(line)}" for line in failure.evidence.splitlines()]
    return [*failure_lines(failure), *evidence, *_more(failure)]


def _more(failure: FailureView) -> list[str]:
    return [plain(f"More about it: {failure.link}")] if failure.link else []


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
