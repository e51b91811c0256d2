"""/api/v1/leaks"""

from urllib.parse import urlencode

from flask import Response

from orchestrator.commands import leaks as commands
from orchestrator.commands.leak_views import Leaks
from orchestrator.commands.views import RunView
from orchestrator.web.auth import actor

from .context import answers, begun, blueprint, found, world

api = blueprint("leaks", "What is left of servers, and servers that are not whole.")


@api.get("", responses=answers(200, Leaks, 503))
def show_leaks() -> Response:
    """Look now at what disagrees, and say what sweeps will do about it; it changes nothing"""
    return found(commands.found(world()))


@api.post("", responses=answers(202, RunView, 403))
def start_sweep() -> Response:
    """Start a sweep now, or join the one that is under way; for ops"""
    run = commands.sweep_now(world(), actor())
    return begun(run, f"/api/v1/reaper/runs?{urlencode({'id': run.id})}")
