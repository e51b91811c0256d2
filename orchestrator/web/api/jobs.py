"""/api/v1/jobs"""

from flask import Response
from pydantic import BaseModel, Field

from orchestrator.commands import jobs as commands
from orchestrator.commands.views import SaltJobView
from orchestrator.web.auth import actor

from .context import answers, blueprint, found, world

api = blueprint("jobs", "What Salt returned, whole.")


class Jid(BaseModel):
    """A job id of Salt."""

    jid: str = Field(max_length=64)


@api.get("/<jid>", responses=answers(200, SaltJobView, 403, 404, 503))
def show_job(path: Jid) -> Response:
    """Show all that Salt returned for a job, masked; for ops"""
    return found(commands.show(world(), actor(), path.jid))
