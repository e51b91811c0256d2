"""Asks the programs of the stack whether they really answer. Each probe returns None, or what is wrong."""

import socket
from collections.abc import Callable

import psutil
import requests

from orchestrator.domain.errors import Conflict

from .home import Home
from .programs import Port, Program

SECONDS = 5.0  # what a program on loopback may take to answer


def problem(home: Home, program: Program) -> str | None:
    """None when the program answers as it should; else what is wrong with it, in a few words."""
    for port in program.ports:
        if not listens(port):
            return f"nothing listens on {port}"
    try:
        return _ASK[program.name](home)
    except requests.Timeout:
        return f"does not answer within {SECONDS:.0f} s"
    except requests.RequestException as error:
        return f"does not answer ({type(error).__name__})"


def chats(home: Home) -> tuple[str, ...]:
    """A sentence for each chat that Brinepool does not reach; none when it does not answer itself."""
    try:
        found = requests.get(f"{home.url}/readyz", timeout=SECONDS).json().get("chats", ())
    except (requests.RequestException, ValueError):
        return ()
    return tuple(str(sentence) for sentence in found)


def listens(port: Port) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((port.address, port.number), timeout=SECONDS):
            return True
    except OSError:
        return False


def check_free(port: Port) -> None:
    """Raises Conflict when the port is taken, naming it, who has it, and the setting that moves it."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            trial.bind((port.address, port.number))
        except OSError as error:
            raise Conflict(
                "port-in-use",
                f"{port} is in use{_by_whom(port)}: end that, or set {port.setting} to another port.",
                detail=str(error),
            ) from error


def _by_whom(port: Port) -> str:
    """` by nginx (process 123)`, when we are allowed to see it."""
    try:
        listening = [found for found in psutil.net_connections("tcp") if found.status == psutil.CONN_LISTEN]
        pids = [found.pid for found in listening if found.pid and _covers(found.laddr, port)]
        return f" by {psutil.Process(pids[0]).name()} (process {pids[0]})" if pids else ""
    except psutil.Error:
        return ""


def _covers(local: tuple[object, ...], port: Port) -> bool:
    """Whether a socket bound to `local` keeps us from `port`."""
    return local[1:2] == (port.number,) and local[0] in (port.address, "0.0.0.0", "::")  # noqa: S104  (compared only)


def _master(home: Home) -> str | None:
    return None  # its ports are open; a login at salt-api, below, is answered by the master


def _salt_api(home: Home) -> str | None:
    account = {"username": "brinepool", "password": home.secret("salt-api"), "eauth": "sharedsecret"}
    answer = requests.post(f"{home.salt_api_url}/login", json=account, timeout=SECONDS)
    if not answer.ok:
        return f"refuses our login (HTTP {answer.status_code})"
    return None if _has_token(answer) else "answers nonsense to our login"


def _has_token(answer: requests.Response) -> bool:
    try:
        return isinstance(answer.json()["return"][0]["token"], str)
    except (ValueError, LookupError, TypeError):
        return False


def _brinepool(home: Home) -> str | None:
    answer = requests.get(f"{home.url}/healthz", timeout=SECONDS)
    return None if answer.ok else f"is not healthy (HTTP {answer.status_code})"


_ASK: dict[str, Callable[[Home], str | None]] = {
    "salt-master": _master,
    "salt-api": _salt_api,
    "brinepool": _brinepool,
}
