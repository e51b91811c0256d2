"""The Flask application: `create_app(world)` puts the parts together, and each part says what it does."""

from importlib.metadata import version

from flask import Response
from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from orchestrator.chat.front import Chats
from orchestrator.commands import World

from . import auth, docs, health, metrics, problems
from .api import audit, chat, context, environments, jobs, leaks, operations, reaper, schedule, servers, templates
from .sse import Streams

MAX_BODY = 64 * 1024  # the largest request there is names a few branches

DESCRIPTION = """Short-lived, wired development environments on Salt.

Every path under /api needs a token: “Authorization: Bearer …”. What changes something answers 202 with an operation to
follow. Send an `Idempotency-Key` with it, and the same request sent twice is done once."""


def create_app(world: World, chats: Chats | None = None) -> OpenAPI:
    """The application over this world, and over its chats where it has some. Nothing connects or starts here."""
    app = OpenAPI(
        "brinepool",
        info=Info(title="Brinepool", version=version("brinepool"), description=DESCRIPTION),
        security_schemes={"token": {"type": "http", "scheme": "bearer"}},
        validation_error_callback=problems.from_validation,
        validation_error_model=problems.Problem,
        doc_ui=False,  # `docs` puts it where people look for it
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.json = _Json(app)
    context.install(app, world, Streams(stream_limit(world.settings.threads)), chats)
    problems.install(app)
    metrics.install(app, world)  # first, so that it also measures who is turned away
    auth.install(app, world)
    health.install(app, world, chats.problems if chats else list)
    docs.install(app)
    for noun in (environments, servers, templates, operations, jobs, reaper, leaks, schedule, audit, chat):
        app.register_api(noun.api)
    for paths in chats.blueprints() if chats else ():
        auth.leave_to_itself(app, paths.name)
        app.register_blueprint(paths)
    app.after_request(_harden)
    return app


class _Json(DefaultJSONProvider):
    """Members in the order in which they were written, and “ as itself."""

    sort_keys = False
    ensure_ascii = False


def stream_limit(threads: int) -> int:
    """How many of the server's threads may serve streams: three quarters, so that the rest stays free."""
    return max(1, threads * 3 // 4)


def _harden(response: Response) -> Response:
    """Nothing here is to be cached, framed, or taken for something else than it says."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; frame-ancestors 'none'"
    )
    return response
