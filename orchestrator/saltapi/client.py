"""salt-api over HTTP: pepper's class, with what it lacks.

Pepper has no timeouts, opens a connection for each call, does not notice an expired token, and tells errors in words of
its own. `SaltClient` adds that here, in one place, and is safe to share between threads.
"""

import html
import ipaddress
import re
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ProtocolError

from orchestrator.domain.errors import BadInput, Unavailable

# Importing pepper replaces the default HTTPS context by one that verifies nothing, for every urllib user of this
# process, and warns about pkg_resources: undo the one, silence the other.
_verified_https = ssl._create_default_https_context
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pepper.libpepper import Pepper, PepperException
ssl._create_default_https_context = _verified_https

CONNECT_SECONDS = 5.0
LOGIN_SECONDS = 15.0
ANSWER_SECONDS = 30.0
_HEADERS = {"Accept": "application/json", "X-Requested-With": "XMLHttpRequest"}


def password_file(path: Path) -> Callable[[], str]:
    """A reader of the account's password, asked at each login, so that a changed secret needs no restart."""

    def read() -> str:
        try:
            return path.read_text().strip()
        except OSError as error:
            raise Unavailable(
                "salt-login-refused",
                "The password of the salt-api account cannot be read; `brine up` makes one, "
                "and BRINE_SALT_API_PASSWORD_FILE names another.",
                detail=str(error),
            ) from error

    return read


class SaltClient(Pepper):  # type: ignore[misc]  # (pepper has no types)
    """One account at one salt-api.

    Every method raises Unavailable: `salt-unreachable` (nothing listens, or salt-api says that the master is down),
    `salt-login-refused` (the account is refused, also after a fresh login), `salt-unanswered` (no answer in time, or
    one that makes no sense).
    """

    def __init__(self, url: str, user: str, password: Callable[[], str], eauth: str = "sharedsecret") -> None:
        try:
            super().__init__(url if url.endswith("/") else f"{url}/")
        except PepperException as error:
            raise BadInput(
                "setting-invalid", f"“{url}” is not the URL of a salt-api; write http://host:port."
            ) from error
        self._user, self._password, self._eauth = user, password, eauth
        self._session = _session(url)
        self._login_lock = threading.Lock()

    def call(self, low: Mapping[str, Any], seconds: float = ANSWER_SECONDS) -> Any:
        """Carry out one lowstate chunk and give back what Salt returned for it."""
        response = self._authorised(lambda token: self._send("POST", "/", token, data=[dict(low)], seconds=seconds))
        answer = self._decoded(response)["return"]
        return answer[0] if isinstance(answer, list) and answer else {}

    def stream(self, path: str, quiet_seconds: float) -> requests.Response:
        """An open answer that is still being sent; reading it fails when nothing comes for `quiet_seconds`."""
        response = self._authorised(lambda token: self._send("GET", path, token, seconds=quiet_seconds, stream=True))
        if response.status_code != requests.codes.ok:
            with response:
                self._check(response)
        return response

    def req(self, path: str, data: Any = None) -> Any:
        """Pepper's own way out, which its login takes: without a token, and without a second attempt."""
        method = "GET" if data is None else "POST"
        return self._decoded(self._send(method, path, None, data=data, seconds=LOGIN_SECONDS))

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _authorised(self, send: Callable[[str], requests.Response]) -> requests.Response:
        """Send with a token; on a 401 log in once more and send again. A second 401 is a refusal."""
        token = self._token(stale=None)
        response = send(token)
        if response.status_code == requests.codes.unauthorized:
            response.close()  # tokens expire, and a restarted salt-api has forgotten all of them
            response = send(self._token(stale=token))
        return response

    def _token(self, stale: str | None) -> str:
        """The token in force; a new one when there is none yet or the one in force is `stale`."""
        with self._login_lock:
            # Another thread may have logged in while this one waited: then its token is the one to use.
            if self.auth.get("token") in (None, stale):
                self.login(self._user, self._password(), self._eauth)
            return str(self.auth["token"])

    def login(self, username: str, password: str, eauth: str, **more: Any) -> Any:
        """Pepper's login; an answer without a token is `salt-unanswered`, and leaves the old token alone."""
        answer = self._send_auth("/login", username=username, password=password, eauth=eauth, **more)["return"]
        auth = answer[0] if isinstance(answer, list) and answer else None
        if not (isinstance(auth, dict) and isinstance(auth.get("token"), str)):
            raise self._nonsense("the login gave no token")
        self.auth = auth
        return auth

    def _send(
        self, method: str, path: str, token: str | None, *, seconds: float, data: Any = None, stream: bool = False
    ) -> requests.Response:
        headers = {"X-Auth-Token": token} if token else {}
        try:
            return self._once_more_when_stale(
                lambda: self._session.request(
                    method, self._construct_url(path), json=data, headers=headers, stream=stream,
                    timeout=(CONNECT_SECONDS, seconds), allow_redirects=False,
                )
            )  # fmt: skip
        except requests.ReadTimeout as error:
            raise self._unanswered(f"Salt did not answer within {seconds:.0f} s; try again.", error) from error
        except requests.RequestException as error:
            raise self._unreachable(error) from error

    @staticmethod
    def _once_more_when_stale(send: Callable[[], requests.Response]) -> requests.Response:
        """salt-api closes kept connections after 10 s of silence, perhaps just as one is used: then send again.

        Sending twice does no harm: everything that we ask of Salt is idempotent by name or by job id.
        """
        try:
            return send()
        except requests.ConnectionError as error:
            if not (error.args and isinstance(error.args[0], ProtocolError)):
                raise
            return send()

    def _decoded(self, response: requests.Response) -> dict[str, Any]:
        self._check(response)
        try:
            answer = response.json()
        except (ValueError, RecursionError) as error:  # the latter: nested too deep
            raise self._nonsense(response.text) from error
        if not isinstance(answer, dict) or "return" not in answer:
            raise self._nonsense(response.text)
        return answer

    def _check(self, response: requests.Response) -> None:
        """Turn every status but 200 into our own error."""
        status = response.status_code
        if status in (requests.codes.unauthorized, requests.codes.forbidden, requests.codes.bad_request):
            raise Unavailable(
                "salt-login-refused",
                f"salt-api refused the account “{self._user}”; "
                "check its password, and its rights in the master's external_auth.",
                detail=f"{status}: {_hint(response)}",
            )
        if status == requests.codes.service_unavailable:
            raise self._unreachable(_hint(response))
        if status == requests.codes.gateway_timeout:
            raise self._unanswered("The Salt master did not finish in time; try again.", _hint(response))
        if status == requests.codes.server_error:
            raise self._unanswered("Salt failed inside while doing that; its log says why.", _hint(response))
        if status != requests.codes.ok:
            raise self._nonsense(f"{status}: {_hint(response)}")

    def _unreachable(self, detail: object) -> Unavailable:
        return Unavailable(
            "salt-unreachable",
            f"Salt is not reachable at {self.api_url}; `brine status` says what runs, `brine up` starts it.",
            detail=str(detail),
        )

    @staticmethod
    def _unanswered(message: str, detail: object, **extra: object) -> Unavailable:
        return Unavailable("salt-unanswered", message, detail=str(detail), **extra)

    def _nonsense(self, text: str) -> Unavailable:
        return self._unanswered(
            f"What answers at {self.api_url} does not answer as salt-api should; check the address and salt-api's log.",
            text[:500],
            nonsense=True,
        )


def _hint(response: requests.Response) -> str:
    """The words of an error answer: its JSON `return`, or the paragraph of CherryPy's HTML page."""
    paragraph = re.search(r"<p>(.*?)</p>", response.text, re.DOTALL)
    return html.unescape(paragraph[1] if paragraph else response.text)[:500]


def _session(url: str) -> requests.Session:
    session = requests.Session()
    session.headers.update(_HEADERS)
    # The token travels in a header; a cookie jar would be shared, unguarded, by all threads.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A proxy from the environment cannot reach a loopback address.
    session.trust_env = not _is_loopback(urlsplit(url).hostname or "")
    for scheme in ("http://", "https://"):
        session.mount(scheme, _KeepAlive(pool_maxsize=32))
    return session


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _KeepAlive(HTTPAdapter):
    """TCP keepalive, so that the kernel notices a peer that vanished under a silent event stream."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        keepalive = [
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        ]
        super().init_poolmanager(*args, **kwargs, socket_options=[*HTTPConnection.default_socket_options, *keepalive])
