"""`/healthz`: the process answers. `/readyz`: it can do its work, or what is missing, in sentences."""

from flask import Blueprint, Flask, Response, jsonify

from orchestrator.commands import World, health

from .problems import problem


def install(app: Flask, world: World) -> None:
    """Both pages; they need no token, so that a supervisor or a load balancer can ask."""
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def live() -> Response:
        return jsonify(health.live())

    @pages.get("/readyz")
    def ready() -> Response:
        missing = health.ready(world)
        if missing:
            return problem(503, "not-ready", " ".join(missing), missing=missing)
        return jsonify(ready=True)

    app.register_blueprint(pages)
