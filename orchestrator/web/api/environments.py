"""/api/v1/environments"""

from flask import Response
from pydantic import BaseModel, Field

from orchestrator.commands import cancelling, reaper
from orchestrator.commands import environments as commands
from orchestrator.commands.views import (
    Accepted,
    CreateEnvironment,
    Deploy,
    EnvironmentView,
    EventView,
    Extend,
    HoldEnvironment,
    ProtectEnvironment,
    Terminate,
)
from orchestrator.web.auth import actor

from .context import Confirmed, Idempotent, Name, accepted, answers, blueprint, found, world

api = blueprint("environments", "Running copies of templates.")


class Environments(BaseModel):
    """Environments, without their servers."""

    environments: list[EnvironmentView]


class Events(BaseModel):
    """What happened, oldest first."""

    events: list[EventView]


class ListQuery(BaseModel):
    """Which environments. `ended`: also those that are gone. `owner`: only this person's."""

    ended: bool = False
    owner: str | None = None


class EventsQuery(BaseModel):
    """Events after the one with this `seq`, at most `limit`."""

    after: int = Field(0, ge=0)
    limit: int = Field(200, ge=1, le=1000)


@api.get("", responses=answers(200, Environments))
def list_environments(query: ListQuery) -> Response:
    """List environments"""
    return found(Environments(environments=commands.list_all(world(), ended=query.ended, owner=query.owner)))


@api.post("", responses=answers(202, Accepted, 404, 409, 503))
def create_environment(body: CreateEnvironment, header: Idempotent) -> Response:
    """Create an environment from a template"""
    return accepted(commands.create(world(), actor(), body, key=header.key))


@api.get("/<name>", responses=answers(200, EnvironmentView, 404))
def show_environment(path: Name) -> Response:
    """Show an environment with its servers"""
    return found(commands.show(world(), path.name))


@api.delete("/<name>", responses=answers(202, Accepted, 404, 409, 503))
def terminate_environment(path: Name, query: Confirmed, header: Idempotent) -> Response:
    """Terminate an environment; 409 when others need it, unless confirmed=true"""
    ask = Terminate(confirmed=query.confirmed)
    return accepted(commands.terminate(world(), actor(), path.name, ask, key=header.key))


@api.post("/<name>/deployments", responses=answers(202, Accepted, 404, 409, 503))
def deploy_to_environment(path: Name, body: Deploy, header: Idempotent) -> Response:
    """Deploy a branch, or app/branch, to an environment"""
    return accepted(commands.deploy(world(), actor(), path.name, body, key=header.key))


@api.post("/<name>/extensions", responses=answers(200, EnvironmentView, 404, 409))
def extend_environment(path: Name, body: Extend) -> Response:
    """Let an environment live longer, by a span or until a moment"""
    return found(commands.extend(world(), actor(), path.name, body))


@api.post("/<name>/hold", responses=answers(200, EnvironmentView, 403, 404, 409))
def hold_environment(path: Name, body: HoldEnvironment) -> Response:
    """Keep an environment for debugging, as long as its template allows at most"""
    return found(reaper.hold(world(), actor(), path.name, body))


@api.delete("/<name>/hold", responses=answers(200, EnvironmentView, 403, 404, 409))
def release_environment(path: Name) -> Response:
    """End a hold before its time"""
    return found(reaper.release(world(), actor(), path.name))


@api.post("/<name>/protection", responses=answers(200, EnvironmentView, 403, 404, 409))
def protect_environment(path: Name, body: ProtectEnvironment) -> Response:
    """Keep an environment from the reaper, until a moment or without end; for ops"""
    return found(reaper.protect(world(), actor(), path.name, body))


@api.delete("/<name>/protection", responses=answers(200, EnvironmentView, 403, 404, 409))
def unprotect_environment(path: Name) -> Response:
    """Take a protection off; for ops"""
    return found(reaper.unprotect(world(), actor(), path.name))


@api.post("/<name>/retries", responses=answers(202, Accepted, 404, 409, 503))
def retry_environment(path: Name, header: Idempotent) -> Response:
    """Try again what failed"""
    return accepted(commands.retry(world(), actor(), path.name, key=header.key))


@api.post("/<name>/cancel", responses=answers(202, Accepted, 403, 404, 409))
def cancel_operation_of_environment(path: Name) -> Response:
    """Cancel what is being done: a create is terminated, a deploy or a retry leaves the environment failed"""
    return accepted(cancelling.cancel(world(), actor(), path.name))


@api.get("/<name>/events", responses=answers(200, Events, 404))
def list_events(path: Name, query: EventsQuery) -> Response:
    """List what happened to an environment"""
    return found(Events(events=commands.events(world(), path.name, after=query.after, limit=query.limit)))
