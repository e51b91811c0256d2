"""What the routes share: the world, the chats, the shapes of requests, and the ways of answering."""

from typing import Any, Protocol, cast

from flask import Flask, Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from orchestrator.chat.base import Desk
from orchestrator.chat.console import Console
from orchestrator.commands import World
from orchestrator.commands.views import Accepted
from orchestrator.domain.errors import Unavailable
from orchestrator.web.problems import MEDIA_TYPE, Problem
from orchestrator.web.sse import Streams

_EXTENSION = "brinepool"


class Name(BaseModel):
    """A name in a path."""

    name: str = Field(max_length=200)


class Idempotent(BaseModel):
    """`Idempotency-Key`: the same key with the same request again answers what the first one answered."""

    key: str | None = Field(None, alias="Idempotency-Key", min_length=1, max_length=200)


class Confirmed(BaseModel):
    """`confirmed=true`: also when others need it, or when it ends an environment."""

    confirmed: bool = False


class Chats(Protocol):
    """What the chat routes are made of."""

    @property
    def desk(self) -> Desk:
        """Who understands what people say."""

    @property
    def console(self) -> Console:
        """The console of `brine chat`."""


def install(app: Flask, world: World, streams: Streams, chats: Chats | None = None) -> None:
    """Keep the world where the routes of this app find it. Without `chats` the chat routes answer that they are off."""
    app.extensions[_EXTENSION] = (world, streams, chats)


def world() -> World:
    """The world of the app that answers this request."""
    return cast(World, current_app.extensions[_EXTENSION][0])


def desk() -> Desk:
    """The desk of the app that answers this request. Unavailable when it has none."""
    return _chats().desk


def console() -> Console:
    """The console of the app that answers this request. Unavailable when it has none."""
    return _chats().console


def _chats() -> Chats:
    chats = current_app.extensions[_EXTENSION][2]
    if chats is None:
        raise Unavailable("chat-off", "This Brinepool is served without chat; use the other paths.")
    return cast(Chats, chats)


def streams(app: Flask) -> Streams:
    """The streams that are open on this app."""
    return cast(Streams, app.extensions[_EXTENSION][1])


def blueprint(noun: str, description: str) -> APIBlueprint:
    """The routes of one noun."""
    return APIBlueprint(
        noun, __name__, url_prefix=f"/api/v1/{noun}", abp_tags=[Tag(name=noun, description=description)],
        abp_security=[{"token": []}], abp_responses=_problems(401, 422),
    )  # fmt: skip


def answers(status: int, what: type[BaseModel] | dict[str, Any], *problems: int) -> Any:
    """For the documentation: what a route answers, and which problems."""
    return {status: what, **_problems(*problems)}


def found(view: BaseModel) -> Response:
    """200 with a view."""
    return _json(view, 200)


def nothing() -> Response:
    """204: it was done, and there is nothing to say."""
    return Response(status=204)


def accepted(view: Accepted) -> Response:
    """202 with what was started, and where to follow it."""
    return begun(view, f"/api/v1/operations/{view.operation.id}")


def begun(view: BaseModel, location: str) -> Response:
    """The same for anything that has a place of its own."""
    response = _json(view, 202)
    response.headers["Location"] = location
    return response


def _json(view: BaseModel, status: int) -> Response:
    return Response(view.model_dump_json() + "\n", status=status, content_type="application/json")


def _problems(*statuses: int) -> dict[Any, Any]:
    schema = {"schema": Problem.model_json_schema()}
    return {status: {"content": {MEDIA_TYPE: schema}} for status in statuses}
