"""/api/v1/reaper"""

from urllib.parse import urlencode

from flask import Response
from pydantic import BaseModel, Field

from orchestrator.commands import reaper as commands
from orchestrator.commands.views import Plan, RunView
from orchestrator.domain.errors import NotFound
from orchestrator.web.auth import actor

from .context import answers, begun, blueprint, found, world

api = blueprint("reaper", "How environments end by themselves.")


class RunQuery(BaseModel):
    """Which run: its `id`, as it was answered."""

    id: str = Field(max_length=100)


@api.get("/plan", responses=answers(200, Plan))
def show_plan() -> Response:
    """Show what a run would do now, and why; it changes nothing"""
    return found(commands.plan(world()))


@api.post("/runs", responses=answers(202, RunView, 403, 409))
def start_run() -> Response:
    """Start a run now; for ops"""
    run = commands.reap_now(world(), actor())
    return begun(run, f"/api/v1/reaper/runs?{urlencode({'id': run.id})}")


@api.get("/runs", responses=answers(200, RunView, 404))
def show_run(query: RunQuery) -> Response:
    """Show a run of a scheduled job, with what it did"""
    run = commands.run(world(), query.id)
    if run is None:
        raise NotFound("run-unknown", f"There is no run “{query.id}”; the schedule shows the last one of each job.")
    return found(run)
