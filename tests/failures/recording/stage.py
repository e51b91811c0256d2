"""The embedded stack that failures are produced on: a site of its own, one environment of three servers, one account.

Everything that a case changes is put back before the next one: states, pillar, env files, branches, the app, the
sandbox's home.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests
from ruamel.yaml import YAML
from salt.client import LocalClient

from orchestrator.domain.record import Record, record_for
from orchestrator.domain.template import Template
from orchestrator.embedded import home, saltconfig, stack
from orchestrator.settings import CHECKOUT, Settings
from tests.embedded import RunningStack, wait_for

from . import repository
from .case import NOT_STATES

SITE = ("access.yaml", "envfiles", "examples", "failures", "salt", "templates")
SERVERS = {"cart-test-api-1": "api", "cart-test-web-1": "web", "cart-test-web-2": "web"}
ACCOUNT = "recorder"  # may do everything
READER = "reader"  # may do next to nothing
GIT_HOST = saltconfig.GIT_HOST


class NotProduced(Exception):
    """The failure did not come about; the sentence says why."""


@dataclass(frozen=True)
class Overlay:
    """Where a case's own files lie, before those of the site."""

    states: Path
    pillar: Path


@dataclass(eq=False)
class Stage:
    """A running stack, its servers, and how Salt is asked."""

    running: RunningStack
    root: Path
    overlay: Overlay
    http: requests.Session = field(default_factory=requests.Session)
    operations: Iterator[str] = field(default_factory=lambda: iter(f"01KB{number:022d}" for number in range(1, 10_000)))
    records: dict[str, Record] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    settings_of_case: dict[str, Any] = field(default_factory=dict)

    @property
    def home(self) -> home.Home:
        return self.running.home

    def sandbox(self, server: str) -> Path:
        return self.home.sandboxes / server

    def create(self, server: str, role: str) -> None:
        """The server of the environment, its minion answering."""
        self.make(server, role)
        self.running.await_minion(server)

    def make(self, server: str, role: str) -> None:
        """Make the server; its minion is not waited for."""
        template = Template.model_validate(YAML(typ="safe").load(self.root / "site" / "templates" / "shop.yaml"))
        record = record_for(next(self.operations), "shop", "cart-test", server, role, template.roles[role], "main", 20)
        answer = self.runner("brinepool.create", record=record.model_dump(mode="json"), profile="small")
        if not answer.get("ok"):
            raise NotProduced(f"The server {server} could not be made: {answer}")
        self.records[server] = record.model_copy(update={"address": answer["server"]["address"]})

    def destroy(self, server: str) -> None:
        self.runner("brinepool.destroy", server=server, operation=next(self.operations))
        self.records.pop(server, None)

    def put(self, server: str, changes: Mapping[str, Any]) -> Record:
        """The usual record of the server with these changes is its record now."""
        usual = self.records[server].model_dump(mode="json")
        record = Record.model_validate(usual | {"operation": next(self.operations)} | dict(changes))
        answer = self.runner("brinepool.put", records=[record.model_dump(mode="json")])
        if answer != {"ok": True}:
            raise NotProduced(f"The record was refused: {answer}")
        return record

    def call(self, servers: list[str], function: str, arguments: Any = (), keywords: Any = None, seconds: int = 120):
        """What each server returned, in full: {server: {ret, retcode, out, ...}}."""
        with LocalClient(str(self.home.etc / "master")) as client:
            answer = client.cmd(
                servers, function, list(arguments), seconds, "list", kwarg=dict(keywords or {}), full_return=True
            )
        if missing := [server for server in servers if not isinstance(answer.get(server), dict)]:
            raise NotProduced(f"No return from {', '.join(missing)}: {answer}")
        return answer

    def publish(self, server: str, function: str, arguments: Any = (), keywords: Any = None) -> str:
        """Start a job and return its id."""
        with LocalClient(str(self.home.etc / "master")) as client:
            return str(client.cmd_async([server], function, list(arguments), "list", kwarg=dict(keywords or {})))

    def runner(self, function: str, **keywords: Any) -> Any:
        return self.low({"client": "runner", "fun": function, "kwarg": keywords})["return"][0]

    def low(self, chunk: Mapping[str, Any]) -> Any:
        """What salt-api answers to a lowstate chunk, as a document."""
        answer = self.request("POST", "/", json=[dict(chunk)])
        try:
            return answer.json()
        except ValueError:
            raise NotProduced(f"salt-api answered {answer.status_code}: {answer.text[:300]}") from None

    def request(self, method: str, path: str, user: str = ACCOUNT, token: str = "", **more: Any) -> requests.Response:
        """One request to salt-api, as JSON, logged in as `user` unless it is "" or there is a token already."""
        headers = {"Accept": "application/json"} | more.pop("headers", {})
        if token or user:
            headers["X-Auth-Token"] = token or self._token(user)
        url = self.home.salt_api_url + path
        return self.http.request(method, url, headers=headers, timeout=120, allow_redirects=False, **more)

    def _token(self, user: str) -> str:
        if user not in self.tokens:
            login = {"username": user, "password": self.home.secret("salt-api"), "eauth": "sharedsecret"}
            answer = self.http.post(f"{self.home.salt_api_url}/login", json=login, timeout=30)
            self.tokens[user] = answer.json()["return"][0]["token"]
        return self.tokens[user]

    def shell(self, line: str, server: str, case: Path, check: bool = True) -> int:
        """Run a shell line for a case. Raises NotProduced when it fails and that is not allowed."""
        done = subprocess.run(
            ["/bin/bash", "-c", line], env=self.environment(server, case), cwd=self.root, capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip
        if check and done.returncode:
            raise NotProduced(f"The line “{line}” ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.returncode

    def environment(self, server: str, case: Path) -> dict[str, str]:
        """What shell lines of a case know."""
        sandbox, record = self.sandbox(server), self.records.get(server)
        own = {
            "HOME": sandbox / "home", "SANDBOX": sandbox, "ADDRESS": record.address if record else "",
            "REPOS": self.home.repos, "SITE": self.root / "site", "ETC": self.home.etc, "CASE": case,
        }  # fmt: skip
        return saltconfig.sandbox_environment(self.home) | {key: str(value) for key, value in own.items()}

    @contextmanager
    def beside(self, line: str, until: str, server: str, case: Path) -> Iterator[None]:
        """A shell line runs in the background, from when `until` holds; its whole process group ends with this."""
        running = subprocess.Popen(
            ["/bin/bash", "-c", line], env=self.environment(server, case), cwd=self.root, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await_that(lambda: self.shell(until, server, case, check=False) == 0, f"“{until}” never held")
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def set_scene(self, case: Path, settings: Mapping[str, Any]) -> None:
        """Put the files of a case where Salt finds them, and nothing else of another case anywhere."""
        for folder, source in ((self.overlay.states, case), (self.overlay.pillar, case / "pillar")):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for path in sorted(source.iterdir()) if source.is_dir() else ():
                if path.name not in NOT_STATES:
                    _copy(path, folder / path.name)
        for name, part in (("envfiles", "envfiles"), ("cloud", "salt/cloud")):
            there = self.root / "site" / part
            shutil.rmtree(there)
            _copy(CHECKOUT / part, there)
            if (case / name).is_dir():
                _copy(case / name, there)
        self._forget()
        self._configure(settings)

    def _forget(self) -> None:
        """What the master and the minions remember of files of an earlier case, and what the apps left."""
        for part in ("file_lists", "roots"):
            shutil.rmtree(self.home.salt / "cache" / part, ignore_errors=True)
        for server in SERVERS:
            sandbox = self.sandbox(server)
            if any((sandbox / "services.d").iterdir()):
                self._remove_apps(sandbox)
            for part in ("home", "tmp", "cache/files", "srv"):
                shutil.rmtree(sandbox / part, ignore_errors=True)
                (sandbox / part).mkdir(parents=True, exist_ok=True)

    def _remove_apps(self, sandbox: Path) -> None:
        """End the apps of a server, as if there had been none."""
        for definition in (sandbox / "services.d").glob("*.conf"):
            definition.unlink()
        command = [str(self.home.bin / "supervisorctl"), "-c", str(sandbox / "supervisord.conf"), "update"]
        subprocess.run(command, capture_output=True, check=False, timeout=60)

    def _configure(self, settings: Mapping[str, Any]) -> None:
        """Restart the master when this case wants other settings than the one before it."""
        if dict(settings) == self.settings_of_case:
            return
        self.settings_of_case = dict(settings)
        write_settings(self.home, self.overlay, self.root / "site", settings)
        before = self.running.main_process("salt-master")
        os.kill(before, signal.SIGKILL)  # supervisord starts it again, with what was written
        await_that(lambda: self._new_master(before), "the master did not start again")
        for server in SERVERS:
            self.running.await_minion(server)

    def _new_master(self, before: int) -> bool:
        self.running.up()
        return self.running.main_process("salt-master") != before


def await_that(condition: Callable[[], Any], otherwise: str, seconds: float = 60) -> Any:
    """The first true answer. Raises NotProduced with the sentence when there is none in time."""
    try:
        return wait_for(condition, seconds)
    except AssertionError:
        raise NotProduced(f"Within {seconds:.0f} s {otherwise}.") from None


@contextmanager
def stage(root: Path, say: Callable[[str], None]) -> Iterator[Stage]:
    """A stack with its servers in the folder `root`; nothing of it is left afterwards."""
    for name in SITE:
        if (CHECKOUT / name).exists():
            _copy(CHECKOUT / name, root / "site" / name)
    overlay = Overlay(root / "site" / "salt" / "case", root / "site" / "salt" / "case-pillar")
    chosen = Settings(home=root / "home", site=root / "site")
    claimed = home.claim(chosen)
    write_settings(claimed, overlay, root / "site", {})
    running = RunningStack(chosen, claimed)
    try:
        stack.up(chosen, say)
        made = Stage(running, root, overlay)
        made.http.trust_env = False  # no proxy leads to a loopback address
        made.http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the token would come along in a cookie
        repository.settle(claimed)
        say("making the servers")
        for server, role in SERVERS.items():  # one after the other, so that each always has the same address
            made.make(server, role)
        for server in SERVERS:
            running.await_minion(server)
        yield made
    finally:
        stack.down(chosen, say)
        home.release(claimed)


def write_settings(there: home.Home, overlay: Overlay, site: Path, settings: Mapping[str, Any]) -> None:
    """The master's further settings: rights for the recorder, the case's own files first, and no caches of lists."""
    folder = there.etc / "master.d"
    folder.mkdir(exist_ok=True)
    own = {
        "external_auth": {
            "sharedsecret": {
                "brinepool": saltconfig.rights(),
                ACCOUNT: [".*", "@runner", "@wheel", "@jobs", "@events"],
                READER: [{"*": ["test.ping"]}, {"@runner": ["jobs.lookup_jid"]}],
            }
        },
        "file_roots": {"base": [str(overlay.states), str(site / "salt" / "states")]},
        "pillar_roots": {"base": [str(overlay.pillar), str(site / "salt" / "pillar")]},
        "fileserver_list_cache_time": 0,
    }
    with (folder / "recording.conf").open("w") as file:
        YAML(typ="safe", pure=True).dump(own | dict(settings), file)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
