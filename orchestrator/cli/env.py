"""`brine env …`: environments."""

import re

import click

from orchestrator.commands.views import (
    Accepted,
    CreateEnvironment,
    Deploy,
    EnvironmentView,
    EventView,
    Extend,
    HoldEnvironment,
    OperationView,
    ProtectEnvironment,
)  # fmt: skip

from . import render
from .client import path
from .job import failure_option, show_failures
from .moments import METAVAR, moment
from .session import Session, json_option, pass_session
from .waiting import carry_on, confirmed, wait_option, watch

PAGE = 1000
_FOR_ROLE = re.compile(r"(?P<role>[a-z][a-z0-9._-]*)=(?P<value>.+)")


@click.group()
def env() -> None:
    """Environments: create, look at, deploy to, terminate."""


@env.command()
@click.argument("template")
@click.argument("name", required=False)
@click.option("--branch", "-b", "branches", multiple=True, metavar="[ROLE=]BRANCH", help="For all roles, or for one.")
@click.option("--count", "-c", "counts", multiple=True, metavar="ROLE=N", help="How many servers of a role.")
@click.option("--for", "ttl", metavar="DURATION", help="How long it lives, such as 2d.")
@click.option("--use", metavar="ENV", help="The environment whose servers stand in for roles not made here.")
@wait_option
@json_option
@pass_session
def create(
    session: Session, template: str, name: str | None, branches: tuple[str, ...], counts: tuple[str, ...],
    ttl: str | None, use: str | None, wait: bool,
) -> None:  # fmt: skip
    """Create an environment from TEMPLATE.

    Waits until it is ready and shows how it goes.

    A plain --branch goes on every role whose repository has it; the others get their default.

    \b
    Examples:
      brine env create shop
      brine env create shop cart-test --branch feature/cart --for 2d
      brine env create shop --branch api=main --branch web=feature/cart --count web=3
    """
    branch, by_role = _branches(branches)
    ask = CreateEnvironment(
        template=template, name=name, branch=branch, branches=by_role, counts=_counts(counts), ttl=ttl, use=use
    )
    carry_on(session, session.client.post(Accepted, path("environments"), ask), wait)


@env.command("list")
@click.option("--ended", is_flag=True, help="Also those that are gone.")
@click.option("--owner", metavar="PERSON", help="Only this person's.")
@json_option
@pass_session
def list_all(session: Session, ended: bool, owner: str | None) -> None:
    """List environments.

    \b
    Examples:
      brine env list
      brine env list --json | jq -r '.environments[].name'
    """
    query = {"ended": str(ended).lower(), "owner": owner}
    found = session.client.many(EnvironmentView, "environments", path("environments"), **query)
    data = {"environments": [each.model_dump(mode="json") for each in found]}
    empty = "There is no environment; make one with: brine env create TEMPLATE"
    session.show(data, render.environments(found) if found else empty)


@env.command()
@click.argument("name")
@click.option("--follow", "-f", "keep", is_flag=True, help="Watch what is going on there, until it has ended.")
@failure_option
@json_option
@pass_session
def show(session: Session, name: str, keep: bool, failure: str) -> None:
    """Show an environment with its servers.

    \b
    Examples:
      brine env show cart-test
      brine env show cart-test --follow
      brine env show cart-test --failure full
    """
    _at_most_one("--follow", keep, "--failure full", failure == "full")
    found = session.client.one(EnvironmentView, path("environments", name))
    if keep:
        watch(session, session.client.one(OperationView, path("operations", found.operation)), name)
        return
    if failure == "short" or not session.as_json:
        session.show(found, render.environment(found), "", render.servers(found.servers))
    if found.failure and not session.as_json:
        session.say("\n" + "\n".join(render.failure_lines(found.failure)))
    if failure == "full":
        show_failures(session, found, found.servers)


@env.command()
@click.argument("name")
@click.argument("what")
@wait_option
@json_option
@pass_session
def deploy(session: Session, name: str, what: str, wait: bool) -> None:
    """Deploy a branch to an environment.

    WHAT is a branch, or one app's branch as APP/BRANCH.

    \b
    Examples:
      brine env deploy cart-test feature/tax
      brine env deploy cart-test shop-web/feature/tax
    """
    accepted = session.client.post(Accepted, path("environments", name, "deployments"), Deploy(what=what))
    carry_on(session, accepted, wait)


@env.command()
@click.argument("name")
@click.option("--by", metavar="DURATION", help="Such as 1d; left out: the template's step.")
@click.option("--until", metavar=METAVAR, help="Instead: until when, such as “2026-12-01 09:00”.")
@json_option
@pass_session
def extend(session: Session, name: str, by: str | None, until: str | None) -> None:
    """Let an environment live longer.

    \b
    Examples:
      brine env extend cart-test --by 1d
      brine env extend cart-test --until "2026-12-01 09:00"
    """
    _at_most_one("--by", by, "--until", until)
    ask = Extend(by=by, until=moment(until) if until else None)
    found = session.client.post(EnvironmentView, path("environments", name, "extensions"), ask)
    session.show(found, f"{name} expires in {render.left(found.expires_in_s)}.")


@env.command()
@click.argument("name")
@click.option("--for", "span", metavar="DURATION", help="Such as 4h; left out: as long as its template allows.")
@click.option("--release", is_flag=True, help="End a hold before its time.")
@json_option
@pass_session
def hold(session: Session, name: str, span: str | None, release: bool) -> None:
    """Keep an environment for debugging.

    \b
    Examples:
      brine env hold cart-test --for 4h
      brine env hold cart-test --release
    """
    _at_most_one("--for", span, "--release", release)
    there = path("environments", name, "hold")
    if release:
        _let_go(session, session.client.delete(EnvironmentView, there), "held")
    else:
        _show_kept(session, session.client.post(EnvironmentView, there, HoldEnvironment(for_=span)))


@env.command()
@click.argument("name")
@click.option("--for", "span", metavar="DURATION", help="Such as 7d; left out, and without --until: without end.")
@click.option("--until", metavar=METAVAR, help="Until when, such as “2026-12-01 09:00”.")
@click.option("--why", metavar="TEXT", help="What others are told.")
@click.option("--off", is_flag=True, help="Take a protection off.")
@json_option
@pass_session
def protect(session: Session, name: str, span: str | None, until: str | None, why: str | None, off: bool) -> None:
    """Keep an environment from the reaper. For ops.

    \b
    Examples:
      brine env protect cart-test --for 7d --why "shown to customers on friday"
      brine env protect cart-test --off
    """
    _at_most_one("--for", span, "--until", until, "--off", off)
    there = path("environments", name, "protection")
    if off:
        _let_go(session, session.client.delete(EnvironmentView, there), "protected")
        return
    ask = ProtectEnvironment(for_=span, until=moment(until) if until else None, why=why or "")
    _show_kept(session, session.client.post(EnvironmentView, there, ask))


@env.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, also when others need it.")
@wait_option
@json_option
@pass_session
def terminate(session: Session, name: str, yes: bool, wait: bool) -> None:
    """Terminate an environment and all its servers.

    \b
    Examples:
      brine env terminate cart-test
      brine env terminate cart-test --yes --no-wait
    """

    def ask(agreed: bool) -> Accepted:
        return session.client.delete(Accepted, path("environments", name), confirmed=str(agreed).lower())

    if not yes and session.interactive:
        found = session.client.one(EnvironmentView, path("environments", name))
        question = f"Terminate {name} ({found.template}, {found.servers_total} servers, owner {found.owner})?"
    else:
        question = ""
    carry_on(session, confirmed(session, name, question, yes, ask), wait)


@env.command()
@click.argument("name")
@wait_option
@json_option
@pass_session
def cancel(session: Session, name: str, wait: bool) -> None:
    """Cancel what is being done to an environment.

    A create is undone: the environment is terminated. A deploy or a retry leaves it failed, and a highstate that runs
    is ended.

    \b
    Example:
      brine env cancel cart-test
    """
    accepted = session.client.post(Accepted, path("environments", name, "cancel"))
    if not accepted.operation.state.ended:
        carry_on(session, accepted, wait)
        return
    failure = accepted.operation.failure
    told = render.failure_lines(failure) if failure else [f"The {accepted.operation.kind} of {name} was cancelled."]
    session.show(accepted, *told, f"{name} is {accepted.environment.status}.")


@env.command()
@click.argument("name")
@wait_option
@json_option
@pass_session
def retry(session: Session, name: str, wait: bool) -> None:
    """Try again what failed.

    \b
    Example:
      brine env retry cart-test
    """
    carry_on(session, session.client.post(Accepted, path("environments", name, "retries")), wait)


@env.command()
@click.argument("name")
@json_option
@pass_session
def events(session: Session, name: str) -> None:
    """List what happened to an environment, oldest first.

    \b
    Example:
      brine env events cart-test
    """
    found: list[EventView] = []
    while True:
        after = found[-1].seq if found else 0
        page = session.client.many(EventView, "events", path("environments", name, "events"), after=after, limit=PAGE)
        found += page
        if len(page) < PAGE:
            break
    session.show({"events": [each.model_dump(mode="json") for each in found]}, render.events(found))


def _at_most_one(*options: str | bool | None) -> None:
    """Refuse more than one of `"--by", by, "--until", until, …`."""
    given = [str(name) for name, value in zip(options[::2], options[1::2], strict=True) if value not in (None, False)]
    if len(given) > 1:
        raise click.UsageError(f"Say {' or '.join(given)}, not both.")


def _show_kept(session: Session, found: EnvironmentView) -> None:
    session.show(found, f"{found.name} is {' and '.join(render.kept(found))}.")


def _let_go(session: Session, found: EnvironmentView, was: str) -> None:
    session.show(found, f"{found.name} is not {was} any more; it expires in {render.left(found.expires_in_s)}.")


def _branches(given: tuple[str, ...]) -> tuple[str | None, dict[str, str]]:
    """`("main", "web=feature/cart")` → `("main", {"web": "feature/cart"})`."""
    by_role = {match["role"]: match["value"] for each in given if (match := _FOR_ROLE.fullmatch(each))}
    for_all = [each for each in given if not _FOR_ROLE.fullmatch(each)]
    if len(for_all) > 1:
        raise click.UsageError("Give one --branch for all roles, or name the role: --branch web=feature/cart.")
    return (for_all[0] if for_all else None), by_role


def _counts(given: tuple[str, ...]) -> dict[str, int]:
    """`("web=3",)` → `{"web": 3}`."""
    counts = {}
    for each in given:
        match = _FOR_ROLE.fullmatch(each)
        if match is None or not match["value"].isdecimal():
            raise click.UsageError(f"“{each}” is not a number of servers; write it like --count web=3.")
        counts[match["role"]] = int(match["value"])
    return counts
