"""Who is asking: a bearer token belongs to one person. Without one nothing answers, except what is listed here."""

from flask import Flask, g, request

from orchestrator.commands import World, permissions, tokens
from orchestrator.domain.environment import Actor
from orchestrator.domain.policy import Act

from .problems import Unauthenticated

# By endpoint, so that a path that looks like one of these is not open by accident.
OPEN = frozenset({"health.live", "health.ready", "docs.document", "docs.page", "swagger.swagger", "swagger.static"})


_KEY = "brinepool-own-checks"


def leave_to_itself(app: Flask, blueprint: str) -> None:
    """The paths of this blueprint check every request themselves, by its signature (chat services have no token)."""
    app.extensions.setdefault(_KEY, set()).add(blueprint)


def install(app: Flask, world: World) -> None:
    """Check every request before anything else looks at it, also one for a path that does not exist."""

    @app.before_request
    def authenticate() -> None:
        if request.endpoint in OPEN or request.blueprint in app.extensions.get(_KEY, ()):
            return
        person = tokens.person_of(world, _token())
        if person is None:
            raise Unauthenticated(
                "token-unknown",
                "This needs a token that Brinepool knows: send it as “Authorization: Bearer …”.",
            )
        g.actor = Actor(person, _door())
        permissions.check(world, g.actor, Act.LOOK)


def actor() -> Actor:
    """Who is asking, in a request that was let in."""
    found = g.actor
    assert isinstance(found, Actor)  # noqa: S101  (set by authenticate, or the request would not be here)
    return found


def _token() -> str:
    """The token that was sent, or "". The look-up takes place all the same, so that no failure is a cheaper one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _door() -> str:
    """Which front door it came through, for the record; the command line says so itself."""
    return "cli" if request.headers.get("User-Agent", "").startswith("brine/") else "api"
