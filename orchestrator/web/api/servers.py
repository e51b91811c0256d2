"""/api/v1/servers"""

from flask import Response
from pydantic import BaseModel, Field

from orchestrator.commands import servers as commands
from orchestrator.commands.views import Accepted, CreateServer, Deploy, LogView, ServerView, Terminate
from orchestrator.web.auth import actor

from .context import Confirmed, Idempotent, Name, accepted, answers, blueprint, found, world

api = blueprint("servers", "The machines of environments.")


class Servers(BaseModel):
    """Servers."""

    servers: list[ServerView]


class ListQuery(BaseModel):
    """Which servers: of this environment, or all."""

    environment: str | None = None


class LogQuery(BaseModel):
    """How many lines from the end."""

    lines: int = Field(100, ge=1, le=10_000)


@api.get("", responses=answers(200, Servers, 404))
def list_servers(query: ListQuery) -> Response:
    """List servers"""
    return found(Servers(servers=commands.list_all(world(), environment=query.environment)))


@api.post("", responses=answers(202, Accepted, 404, 409, 503))
def create_server(body: CreateServer, header: Idempotent) -> Response:
    """Create one server, as an environment with one role"""
    return accepted(commands.create(world(), actor(), body, key=header.key))


@api.get("/<name>", responses=answers(200, ServerView, 404))
def show_server(path: Name) -> Response:
    """Show a server"""
    return found(commands.show(world(), path.name))


@api.delete("/<name>", responses=answers(202, Accepted, 404, 409, 503))
def terminate_server(path: Name, query: Confirmed, header: Idempotent) -> Response:
    """Terminate a server; 409 when others need it, unless confirmed=true"""
    ask = Terminate(confirmed=query.confirmed)
    return accepted(commands.terminate(world(), actor(), path.name, ask, key=header.key))


@api.post("/<name>/deployments", responses=answers(202, Accepted, 404, 409, 503))
def deploy_to_server(path: Name, body: Deploy, header: Idempotent) -> Response:
    """Deploy a branch to a server"""
    return accepted(commands.deploy(world(), actor(), path.name, body, key=header.key))


@api.get("/<name>/logs", responses=answers(200, LogView, 404, 409, 503))
def show_log(path: Name, query: LogQuery) -> Response:
    """Show the end of an app's own log, masked"""
    return found(commands.logs(world(), path.name, lines=query.lines))
