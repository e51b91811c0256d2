"""`/healthz`: the process answers. `/readyz`: it can do its work, or what is missing, in sentences.

`salt` is the state of salt-api by itself: answers, unreachable, login-refused, slow, nonsense. Operations wait for it.
A chat that is away keeps nobody from working, so it is told (`chats`) and does not count.
"""

from collections.abc import Callable

from flask import Blueprint, Flask, Response, jsonify

from orchestrator.commands import World, health

from .problems import problem


def install(app: Flask, world: World, chat_problems: Callable[[], list[str]]) -> None:
    """Both pages; they need no token, so that a supervisor or a load balancer can ask."""
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def live() -> Response:
        return jsonify(health.live())

    @pages.get("/readyz")
    def ready() -> Response:
        found = health.ready(world)
        if found.missing:
            return problem(503, "not-ready", " ".join(found.missing), missing=found.missing, salt=found.salt)
        return jsonify(ready=True, chats=chat_problems(), salt=found.salt)

    app.register_blueprint(pages)
