"""`brine server …`: single servers, and those of environments."""

import click

from orchestrator.commands.views import Accepted, CreateServer, Deploy, LogView, ServerView

from . import render
from .client import path
from .job import failure_option, show_failures
from .session import Session, json_option, pass_session
from .waiting import carry_on, confirmed, wait_option


@click.group()
def server() -> None:
    """Servers: create a single one, look at, deploy to, terminate."""


@server.command()
@click.argument("template")
@click.argument("role")
@click.option("--branch", "-b", metavar="BRANCH", help="Left out: the role's default.")
@click.option("--name", metavar="NAME", help="The name of its environment; left out: a generated one.")
@click.option("--use", metavar="ENV", help="The environment whose servers it needs.")
@click.option("--for", "ttl", metavar="DURATION", help="How long it lives, such as 2d.")
@wait_option
@json_option
@pass_session
def create(
    session: Session, template: str, role: str, branch: str | None, name: str | None, use: str | None,
    ttl: str | None, wait: bool,
) -> None:  # fmt: skip
    """Create one server.

    It is made from TEMPLATE for ROLE, as an environment of its own. Waits until it is ready.

    \b
    Examples:
      brine server create shop api --branch feature/tax
      brine server create shop web --use cart-test
    """
    ask = CreateServer(template=template, role=role, name=name, branch=branch, ttl=ttl, use=use)
    carry_on(session, session.client.post(Accepted, path("servers"), ask), wait)


@server.command("list")
@click.option("--env", "environment", metavar="ENV", help="Only the servers of this environment.")
@json_option
@pass_session
def list_all(session: Session, environment: str | None) -> None:
    """List servers.

    \b
    Examples:
      brine server list
      brine server list --env cart-test --json
    """
    found = session.client.many(ServerView, "servers", path("servers"), environment=environment)
    data = {"servers": [each.model_dump(mode="json") for each in found]}
    session.show(data, render.servers(found) if found else "There is no server.")


@server.command()
@click.argument("name")
@failure_option
@json_option
@pass_session
def show(session: Session, name: str, failure: str) -> None:
    """Show a server.

    \b
    Examples:
      brine server show cart-test-web-1
      brine server show cart-test-web-1 --failure full
    """
    found = session.client.one(ServerView, path("servers", name))
    if failure == "short" or not session.as_json:
        session.show(found, render.server(found))
    if found.failure and not session.as_json:
        session.say("\n" + "\n".join(render.failure_lines(found.failure)))
    if failure == "full":
        show_failures(session, found, [found])


@server.command()
@click.argument("name")
@click.argument("what")
@wait_option
@json_option
@pass_session
def deploy(session: Session, name: str, what: str, wait: bool) -> None:
    """Deploy a branch to a server.

    WHAT is a branch, or APP/BRANCH.

    \b
    Examples:
      brine server deploy cart-test-web-2 main
      brine server deploy cart-test-web-2 shop-web/feature/tax
    """
    carry_on(session, session.client.post(Accepted, path("servers", name, "deployments"), Deploy(what=what)), wait)


@server.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, also when others need it.")
@wait_option
@json_option
@pass_session
def terminate(session: Session, name: str, yes: bool, wait: bool) -> None:
    """Terminate a server; with the last one its environment ends.

    \b
    Example:
      brine server terminate cart-test-web-2
    """

    def ask(agreed: bool) -> Accepted:
        return session.client.delete(Accepted, path("servers", name), confirmed=str(agreed).lower())

    carry_on(session, confirmed(session, name, f"Terminate the server {name}?", yes, ask), wait)


@server.command()
@click.argument("name")
@click.option("--lines", "-n", type=click.IntRange(1, 10_000), default=100, show_default=True, help="From the end.")
@json_option
@pass_session
def logs(session: Session, name: str, lines: int) -> None:
    """Show the end of the app's own log.

    \b
    Example:
      brine server logs cart-test-api-1 --lines 20
    """
    found = session.client.one(LogView, path("servers", name, "logs"), lines=lines)
    if session.as_json:
        session.show(found)
        return
    for line in found.lines:
        click.echo(render.plain(line))
