"""HTTP for chat services that call us, as the rest of the HTTP door speaks it (which this layer may not import)."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from orchestrator.domain import signature
from orchestrator.domain.errors import BadInput, BrinepoolError, Conflict, NotAllowed, NotFound

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024

_STATUS: dict[type[BrinepoolError], int] = {NotAllowed: 401, NotFound: 404, Conflict: 409, BadInput: 422}


def answer_errors(blueprint: Blueprint) -> None:
    """Let errors of these paths answer with a problem document."""
    blueprint.register_error_handler(BrinepoolError, _from_error)
    blueprint.register_error_handler(RequestEntityTooLarge, _too_large)


def body_of_request() -> bytes:
    """The raw body of the request, of 64 KiB at most, wherever the application puts its own limit."""
    request.max_content_length = MAX_BODY
    return request.get_data(cache=True)


def json_response(status: int, data: Mapping[str, Any], media_type: str = "application/json") -> Response:
    """Data as the body of a response."""
    return Response(json.dumps(data) + "\n", status=status, content_type=media_type)


def sentence_of(error: ValidationError) -> str:
    """The first thing that is wrong, in one sentence; a misspelt field before one that is therefore missing."""
    found = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")[0]
    field = ".".join(map(str, found["loc"]))
    if not field:
        return "Send a JSON object; docs/chat-webhook.md has an example."
    if found["type"] == "missing":
        return f"The field “{field}” is missing."
    if found["type"] == "extra_forbidden":
        return f"There is no field “{field}”."
    reason = found["msg"].removeprefix("Value error, ")
    return f"The field “{field}” is wrong: {reason[:1].lower()}{reason[1:]}."


def _from_error(error: BrinepoolError) -> Response:
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 503)
    log.info("chat: %s refused: %s", request.path, error.code)
    response = _problem(status, error.code, error.message)
    if status == 401:
        response.headers["WWW-Authenticate"] = signature.HEADER
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _too_large(error: RequestEntityTooLarge) -> Response:
    return _problem(413, "too-large", f"The request is too large; a message has at most {MAX_BODY // 1024} KiB.")


def _problem(status: int, code: str, detail: str) -> Response:
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return json_response(status, {**document, "code": code}, "application/problem+json")
