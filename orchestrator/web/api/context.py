"""What the routes share: the world, the shapes of requests, and the ways of answering."""

from typing import Any, cast

from flask import Flask, Response, current_app
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from orchestrator.commands import World
from orchestrator.commands.views import Accepted
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


def install(app: Flask, world: World, streams: Streams) -> None:
    """Keep the world where the routes of this app find it."""
    app.extensions[_EXTENSION] = (world, streams)


def world() -> World:
    """The world of the app that answers this request."""
    return cast(World, current_app.extensions[_EXTENSION][0])


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


def accepted(view: Accepted) -> Response:
    """202 with what was started, and where to follow it."""
    response = _json(view, 202)
    response.headers["Location"] = f"/api/v1/operations/{view.operation.id}"
    return response


def _json(view: BaseModel, status: int) -> Response:
    return Response(view.model_dump_json() + "\n", status=status, content_type="application/json")


def _problems(*statuses: int) -> dict[Any, Any]:
    schema = {"schema": Problem.model_json_schema()}
    return {status: {"content": {MEDIA_TYPE: schema}} for status in statuses}
