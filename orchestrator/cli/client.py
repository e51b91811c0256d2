"""The HTTP client of the command line: finds the server and the token by itself, and turns problems into errors."""

import ipaddress
import re
from collections.abc import Generator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError
from requests.auth import AuthBase
from sseclient import Event, SSEClient
from ulid import ULID

from orchestrator.domain.errors import BadInput, BrinepoolError, Conflict, NotAllowed, NotFound, Unavailable
from orchestrator.embedded import home
from orchestrator.settings import Settings

CONNECT_S = 5
ANSWER_S = 60  # creating asks a git server for branches before it answers
SILENCE_S = 30  # the server says something on a stream at least every 10 s

_ERRORS: dict[int, type[BrinepoolError]] = {
    400: BadInput, 401: NotAllowed, 403: NotAllowed, 404: NotFound, 405: BadInput, 409: Conflict, 413: BadInput,
    422: BadInput, 503: Unavailable,
}  # fmt: skip

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

M = TypeVar("M", bound=BaseModel)


class ServerMistake(BrinepoolError):
    """The server answered that it made a mistake of its own."""


class _Bearer(AuthBase):
    """As an object, or requests would prefer what it finds in ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Client:
    """Speaks to one Brinepool server, as one person.

    Every method raises Unavailable when the server does not answer, NotAllowed when it does not know the token, and
    the error that its problem document stands for otherwise.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        self._session.headers["User-Agent"] = "brine/1"
        # A proxy of the environment cannot reach our loopback.
        self._session.trust_env = not _is_loopback(self.url)

    def one(self, model: type[M], path: str, **query: Any) -> M:
        """What is at `path`."""
        return self._read(model, self._send("GET", path, params=query))

    def many(self, model: type[M], member: str, path: str, **query: Any) -> list[M]:
        """The list called `member` at `path`."""
        found = self._json(self._send("GET", path, params=query)).get(member)
        if not isinstance(found, list):
            raise self._stranger()
        return [self._parse(model, item) for item in found]

    def post(self, model: type[M], path: str, body: BaseModel | None = None) -> M:
        """Ask for something to be done. Each call has a key of its own, so that no proxy does it twice."""
        content = body.model_dump(mode="json", exclude_none=True, by_alias=True) if body else None
        return self._read(model, self._send("POST", path, json=content, headers={"Idempotency-Key": str(ULID())}))

    def offer(self, model: type[M], path: str, body: BaseModel) -> M | None:
        """Hand something in that may be left unanswered; None when it is. The body says by itself what it is once."""
        response = self._send("POST", path, json=body.model_dump(mode="json", exclude_none=True))
        return None if response.status_code == 204 else self._read(model, response)

    def put(self, model: type[M], path: str, body: BaseModel) -> M:
        """Let something be so from now on."""
        return self._read(model, self._send("PUT", path, json=body.model_dump(mode="json", exclude_none=True)))

    def delete(self, model: type[M], path: str, **query: Any) -> M:
        """Ask for something to be terminated."""
        return self._read(model, self._send("DELETE", path, params=query, headers={"Idempotency-Key": str(ULID())}))

    def stream(self, path: str, after: int) -> Generator[Event]:
        """The events at `path` after `after`, until the stream ends. Raises Unavailable when it breaks off."""
        response = self._send(
            "GET", path, stream=True, headers={"Last-Event-ID": str(after)}, timeout=(CONNECT_S, SILENCE_S)
        )
        try:
            yield from SSEClient(response.iter_content(None)).events()
        except requests.RequestException as error:
            raise Unavailable("stream-broke", "The connection to Brinepool broke off.", detail=str(error)) from error
        finally:
            response.close()

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", (CONNECT_S, ANSWER_S))
        try:
            response = self._session.request(method, f"{self.url}{path}", allow_redirects=False, **options)
        except requests.ReadTimeout as error:
            sentence = f"Brinepool at {self.url} took the request and has not answered in time; look with brine status."
            raise Unavailable("server-slow", sentence) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            sentence = f"Brinepool does not answer at {self.url}; start it with brine up."
            raise Unavailable("server-unreachable", sentence, detail=str(error)) from error
        except (requests.RequestException, ValueError) as error:
            raise BadInput("url-invalid", f"“{self.url}” is not a URL of Brinepool; correct BRINE_URL.") from error
        if response.status_code >= 300:
            raise self._error(response)
        return response

    def _error(self, response: requests.Response) -> BrinepoolError:
        problem = self._json(response)
        if "code" not in problem or "detail" not in problem:
            return self._stranger()
        kind = _ERRORS.get(response.status_code, ServerMistake)
        if response.status_code == 401:  # the server speaks of headers; here it is a setting
            sentence = f"{self.url} does not know your token; check BRINE_TOKEN, or unset it to use this home's own."
            return NotAllowed(problem["code"], sentence)
        known = ("type", "title", "status", "detail", "code")
        extra = {f"{key}": value for key, value in problem.items() if key not in known and key.isidentifier()}
        return kind(problem["code"], problem["detail"], **extra)

    def _read(self, model: type[M], response: requests.Response) -> M:
        return self._parse(model, self._json(response))

    def _parse(self, model: type[M], data: Any) -> M:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise self._stranger() from error

    def _json(self, response: requests.Response) -> dict[str, Any]:
        try:
            found = response.json()
        except (requests.RequestException, ValueError) as error:
            raise self._stranger() from error
        return found if isinstance(found, dict) else {}

    def _stranger(self) -> Unavailable:
        sentence = f"What answers at {self.url} is not this version of Brinepool; check BRINE_URL, or restart it."
        return Unavailable("not-brinepool", sentence)


def path(*parts: str) -> str:
    """An API path. Raises BadInput for what can be no name, such as `..`, which would lead somewhere else."""
    for part in parts:
        if not _NAME.fullmatch(part):
            raise BadInput("name-invalid", f"“{part}” is not a name; names have letters, digits and hyphens.")
    return "/api/v1/" + "/".join(parts)


def connect(settings: Settings) -> Client:
    """The client for the server that is meant: BRINE_URL and BRINE_TOKEN, or what the home says."""
    return Client(settings.url or _home(settings).url, settings.token or _token(settings))


def _home(settings: Settings) -> home.Home:
    try:
        return home.find(settings)
    except NotFound as error:
        raise Unavailable(error.code, error.message) from error


def _token(settings: Settings) -> str:
    if settings.url:
        # The home's token must not go to whatever server BRINE_URL names.
        raise NotAllowed("no-token", f"Set BRINE_TOKEN to a token that {settings.url} knows.")
    try:
        return settings.admin_token_file.read_text().strip()
    except FileNotFoundError as error:
        raise Unavailable("no-token", f"There is no {settings.admin_token_file}; make it with brine up.") from error
    except OSError as error:
        sentence = f"You may not read {settings.admin_token_file}; set BRINE_TOKEN to a token of your own."
        raise NotAllowed("no-token", sentence) from error


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
