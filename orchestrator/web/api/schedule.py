"""/api/v1/schedule"""

from flask import Response
from pydantic import BaseModel

from orchestrator.commands import reaper as commands
from orchestrator.commands.views import JobView

from .context import answers, blueprint, found, world

api = blueprint("schedule", "What runs by itself, and when.")


class Schedule(BaseModel):
    """The scheduled jobs."""

    jobs: list[JobView]


@api.get("", responses=answers(200, Schedule))
def list_jobs() -> Response:
    """List the scheduled jobs, with the last run and the next"""
    return found(Schedule(jobs=commands.jobs(world())))
