"""A real Synapse (the Matrix homeserver) on a free loopback port, with SQLite in a folder of the test's."""

import base64
import hashlib
import hmac
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from ruamel.yaml import YAML

from . import install

PEER = "synapse"
SERVER = "brine.test"  # the part of its accounts and aliases after the colon
PATIENCE = 60.0
_RUNNING = pytest.StashKey["Synapse"]()
_ENOUGH = {"per_second": 10_000, "burst_count": 10_000}


class Synapse:
    """One homeserver. `start` returns when it answers; after `stop` it can be started again, as it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = SERVER
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.started_in_s = 0.0
        self._secret = secrets.token_hex()
        self._process: subprocess.Popen[bytes] | None = None
        self._configure()

    def start(self) -> None:
        """Start it and wait until it answers."""
        begun = time.monotonic()
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(install.python(PEER)), "-m", "synapse.app.homeserver", "-c", str(self.folder / "homeserver.yaml")],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            )
        self._wait_until_it_answers(begun + PATIENCE)
        self.started_in_s = time.monotonic() - begun

    def stop(self) -> None:
        """End it; safe to repeat."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def memory(self) -> int:
        """Its resident bytes."""
        assert self._process
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def account(self, name: str, password: str = "", admin: bool = False) -> "Person":
        """A new account, signed in."""
        password = password or secrets.token_hex(8)
        path = f"{self.url}/_synapse/admin/v1/register"
        nonce = requests.get(path, timeout=30).json()["nonce"]
        signed = "\0".join([nonce, name, password, "admin" if admin else "notadmin"])
        mac = hmac.new(self._secret.encode(), signed.encode(), hashlib.sha1).hexdigest()
        asked = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac}
        answer = requests.post(path, json=asked, timeout=30)
        answer.raise_for_status()
        return Person(self.url, answer.json()["user_id"], password, answer.json()["access_token"])

    @cached_property
    def admin(self) -> "Person":
        """Who runs it."""
        return self.account("root", admin=True)

    @contextmanager
    def limited(self, user: str, per_second: int, burst: int) -> Iterator[None]:
        """For a while, this account may send only so many messages."""
        path = f"/_synapse/admin/v1/users/{user}/override_ratelimit"
        self.admin.call("POST", path, {"messages_per_second": per_second, "burst_count": burst})
        try:
            yield
        finally:
            self.admin.call("DELETE", path)

    def _wait_until_it_answers(self, deadline: float) -> None:
        assert self._process
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError("Synapse did not start:\n" + (self.folder / "output.log").read_text()[-2000:])

    def _configure(self) -> None:
        key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        (self.folder / "signing.key").write_text(f"ed25519 a_test {key}\n")
        limits = ("rc_message", "rc_registration", "rc_admin_redaction", "rc_room_creation", "rc_reports")
        with (self.folder / "homeserver.yaml").open("w") as file:
            YAML().dump(
                {
                    "server_name": SERVER,
                    "public_baseurl": self.url,
                    "listeners": [self._listener()],
                    "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
                    "media_store_path": str(self.folder / "media"),
                    "pid_file": str(self.folder / "homeserver.pid"),
                    "signing_key_path": str(self.folder / "signing.key"),
                    "registration_shared_secret": self._secret,
                    "macaroon_secret_key": secrets.token_hex(),
                    "form_secret": secrets.token_hex(),
                    "bcrypt_rounds": 4,
                    "report_stats": False,
                    "caches": {"sync_response_cache_duration": "0s"},
                    "trusted_key_servers": [],
                    "federation_domain_whitelist": [],
                    **dict.fromkeys(limits, _ENOUGH),
                    "rc_login": {"address": _ENOUGH, "account": _ENOUGH, "failed_attempts": _ENOUGH},
                    "rc_joins": {"local": _ENOUGH, "remote": _ENOUGH},
                    "rc_joins_per_room": _ENOUGH,
                    "rc_invites": {"per_room": _ENOUGH, "per_user": _ENOUGH, "per_issuer": _ENOUGH},
                },
                file,
            )

    def _listener(self) -> dict[str, Any]:
        resources = [{"names": ["client", "health"]}]
        return {
            "port": self.port,
            "type": "http",
            "tls": False,
            "bind_addresses": ["127.0.0.1"],
            "resources": resources,
        }


class Person:
    """Somebody at a homeserver, as any Matrix client would be: plain HTTP, none of our code."""

    def __init__(self, url: str, user: str, password: str, token: str) -> None:
        self.url, self.user, self.password = url, user, password
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {token}"
        self.token = token

    def call(self, method: str, path: str, body: object = None, **query: str) -> dict[str, Any]:
        """One request → the answer; raises HTTPError with what the server said."""
        path = path if path.startswith("/_") else f"/_matrix/client/v3/{path}"
        answer = self._http.request(
            method, self.url + path, json={} if body is None else body, params=query, timeout=60
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text}", response=answer)
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def create_room(self, alias: str = "", invite: tuple[str, ...] = (), **asked: object) -> str:
        """A new room → its id."""
        named = {"room_alias_name": alias} if alias else {}
        body = {"preset": "private_chat", "invite": invite, **named, **asked}
        return str(self.call("POST", "createRoom", body)["room_id"])

    def join(self, room: str) -> None:
        """Accept an invitation."""
        self.call("POST", f"join/{room}")

    def send(self, room: str, content: dict[str, Any], kind: str = "m.room.message") -> str:
        """Send an event → its id."""
        return str(self.call("PUT", f"rooms/{room}/send/{kind}/{secrets.token_hex(8)}", content)["event_id"])

    def say(self, room: str, text: str, **more: object) -> str:
        """Say something → the id of the message."""
        return self.send(room, {"msgtype": "m.text", "body": text, **more})

    def put_state(self, room: str, kind: str, content: dict[str, Any]) -> None:
        """Set a state event (with an empty key)."""
        self.call("PUT", f"rooms/{room}/state/{kind}/", content)

    def events(self, room: str, kind: str = "m.room.message") -> list[dict[str, Any]]:
        """Every event of this kind in a room, oldest first."""
        found: list[dict[str, Any]] = []
        query = {"dir": "b", "limit": "200"}
        while True:
            page = self.call("GET", f"rooms/{room}/messages", **query)
            found += [event for event in page["chunk"] if event["type"] == kind]
            if "end" not in page:
                return found[::-1]
            query["from"] = page["end"]

    def members(self, room: str) -> list[str]:
        """Who is in a room, or invited."""
        found = self.call("GET", f"rooms/{room}/members")["chunk"]
        return [one["state_key"] for one in found if one["content"]["membership"] in ("join", "invite")]

    def joined(self) -> list[str]:
        """The rooms this account is in."""
        return list(self.call("GET", "joined_rooms")["joined_rooms"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def synapse(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Synapse]:
    """The one homeserver of the run, also when several modules import this."""
    if why := install.missing(PEER):
        pytest.skip(why)
    if running := pytestconfig.stash.get(_RUNNING, None):
        yield running
        return
    server = pytestconfig.stash[_RUNNING] = Synapse(tmp_path_factory.mktemp("synapse"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
        del pytestconfig.stash[_RUNNING]
