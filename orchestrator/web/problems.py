"""Errors over HTTP: RFC 9457 problem documents with a stable `code`; the one place where an error becomes a status.

A person reads `detail`, a script reads `code`. Private detail and stack traces go to the log and nowhere else.
"""

import logging
import secrets
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, json, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.exceptions import HTTPException

from orchestrator.commands.views import FailureView
from orchestrator.domain.errors import BadInput, BrinepoolError, Conflict, NotAllowed, NotFound, Unavailable
from orchestrator.domain.failures import Failure

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Unauthenticated(NotAllowed):
    """Nobody knows who is asking: no token, or one that is not known. HTTP 401."""


class Problem(BaseModel):
    """What went wrong, as RFC 9457 writes it. More members may follow, such as `failure` or `nearest`."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = Field(description="What the status means.")
    status: int
    detail: str = Field(description="One sentence for a person, with what to do next.")
    code: str = Field(description="Stable; for scripts.")


STATUS: dict[type[BrinepoolError], int] = {
    Unauthenticated: 401,
    NotAllowed: 403,
    NotFound: 404,
    Conflict: 409,
    BadInput: 422,
    Unavailable: 503,
}

_SENTENCES = {
    400: ("bad-request", "The request could not be read."),
    404: ("no-such-path", "There is nothing at {path}; the paths are listed at /docs."),
    405: ("method-not-allowed", "{method} is not possible at {path}; the methods are listed at /docs."),
    413: ("too-large", "The request is too large."),
}


def problem(status: int, code: str, detail: str, /, **more: Any) -> Response:
    """A problem document as a response. `more` joins the document, and never replaces its own members."""
    document = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code).model_dump()
    return Response(json.dumps({**document, **more, **document}) + "\n", status=status, content_type=MEDIA_TYPE)


def install(app: Flask) -> None:
    """Let every error of this app answer with a problem document."""
    app.register_error_handler(BrinepoolError, _from_error)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(Exception, _from_surprise)


def from_validation(error: ValidationError) -> Response:
    """422 with the first wrong field named in one sentence, and every wrong field in `errors`."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    # A misspelt field is the reason why the right one is missing, so it is told first.
    found.sort(key=lambda item: item["type"] != "extra_forbidden")
    wrong = [{"field": ".".join(map(str, item["loc"])), "message": _sentence(item)} for item in found]
    return problem(422, "input-invalid", wrong[0]["message"], errors=wrong)


def _sentence(item: Any) -> str:
    field = ".".join(str(part) for part in item["loc"])
    if not field:
        return "Send a JSON object in the body, with Content-Type: application/json."
    if item["type"] == "missing":
        return f"The field “{field}” is missing."
    if item["type"] == "extra_forbidden":
        return f"There is no field “{field}”; the fields are listed at /docs."
    message = str(item["msg"])
    return f"The field “{field}” is wrong: {message[:1].lower()}{message[1:]}."


def _from_error(error: BrinepoolError) -> Response:
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if error.detail:
        log.info("%s: %s (%s)", error.code, error.message, error.detail)
    response = problem(status, error.code, error.message, **_plain(error.extra))
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="brinepool"'
    if "retry_after_s" in error.extra:
        response.headers["Retry-After"] = str(error.extra["retry_after_s"])
    return response


def _plain(extra: dict[str, object]) -> dict[str, Any]:
    """The extra data of an error as JSON takes it; a failure becomes its view."""
    failure = extra.get("failure")
    if isinstance(failure, Failure):
        return {**extra, "failure": FailureView.model_validate(failure.to_data()).model_dump(mode="json")}
    return extra


def _from_http(error: HTTPException) -> Response:
    """Flask's and Werkzeug's own: unknown path or method, a body that is too large."""
    status = error.code or 500
    code, sentence = _SENTENCES.get(status, ("http-error", str(error.description)))
    response = problem(status, code, sentence.format(path=request.path, method=request.method))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _from_surprise(error: Exception) -> Response:
    """Our own mistake: the person gets an id, the log gets the trace under the same id."""
    reference = secrets.token_hex(4)
    log.error("%s %s failed (%s)", request.method, request.path, reference, exc_info=error)
    sentence = f"Brinepool made a mistake of its own; its log tells more under {reference}."
    return problem(500, "internal-error", sentence, reference=reference)
