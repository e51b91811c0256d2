"""Plain Salt: what somebody without Brinepool types, on the same master, the same sandbox driver and the same states.

It is given every advantage. What its states need to know is written into the master's cache for it, off the clock; it
begins the highstate at the very event of the last minion's start, where a person would look now and then; its states
fire no progress and mask nothing; nobody checks beforehand whether the branches exist.
"""

import json
import time
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import salt.config
from ulid import ULID

from orchestrator.curated.templates import CuratedFolder
from orchestrator.domain.record import Record, record_for
from orchestrator.domain.template import Template
from orchestrator.embedded import saltconfig
from orchestrator.embedded.home import Home
from orchestrator.saltext.stored import Stored

from . import scenario
from .events import Events
from .installation import BenchError, Installation

# `salt` ends as soon as everybody has returned, however long it may wait. Its own 5 s are too short: while minions
# with stock settings begin their highstates they do not answer its questions, and it gives up.
_TIMEOUT = 300


class PlainSalt:
    """`salt-cloud` and `salt`, with the cloud configuration in the folder `etc`."""

    def __init__(self, installed: Installation, events: Events, etc: Path) -> None:
        self._installed, self._home, self._events, self._etc = installed, installed.home, events, etc
        self._stored = Stored(salt.config.master_config(str(installed.home.etc / "master")))

    def create(self, environment: str) -> float:
        """`salt-cloud -m MAP -P`, the minions' start, `salt -L ... state.apply`. → seconds, without writing records."""
        servers = scenario.servers(environment)
        map_file = self._map(environment, servers)
        start = time.monotonic()
        self._cloud("-m", str(map_file), "-P", "-y")
        made = time.monotonic()
        self._put(environment, servers)
        written = time.monotonic() - made
        self._events.wait(f"salt/minion/{server}/start" for server in servers)
        self._apply(servers)
        return time.monotonic() - start - written

    def destroy(self, environment: str) -> None:
        """Remove the servers and what was written for them."""
        servers = scenario.servers(environment)
        self._cloud("-d", "-y", *servers)
        for server in servers:
            self._stored.forget_minion(server)
            self._stored.forget(server)

    def deploy(self, server: str, branch: str) -> float:
        """`salt SERVER state.apply`, after the record names another branch. → seconds, without writing the record."""
        record = Record.model_validate(self._stored.record(server))
        self._stored.put(record.model_copy(update={"branch": branch}))
        start = time.monotonic()
        self._apply([server])
        return time.monotonic() - start

    def _cloud(self, *arguments: str) -> None:
        self._installed.run("salt-cloud", "-c", str(self._etc), "--out=json", *arguments)

    def _apply(self, servers: Iterable[str]) -> None:
        """One highstate on all of them, as one command. Raises BenchError unless every state of all succeeded."""
        wanted = list(servers)
        target = [wanted[0]] if len(wanted) == 1 else ["-L", ",".join(wanted)]
        options = ["-c", str(self._home.etc), "--static", "--out=json", f"--timeout={_TIMEOUT}"]
        returned = json.loads(self._installed.run("salt", *options, *target, "state.apply"))
        for server in wanted:
            _succeeded(server, returned.get(server))

    def _map(self, environment: str, servers: Iterable[str]) -> Path:
        profile = self._template.roles["api"].profile
        path = self._home.root / f"{environment}.map"
        path.write_text(json.dumps({profile: list(servers)}))  # JSON is YAML
        return path

    def _put(self, environment: str, servers: dict[str, str]) -> None:
        """The records of the servers, with their addresses and their siblings', as our runner writes them."""
        addresses = {server: self._address(server) for server in servers}
        for server, role in servers.items():
            self._stored.put(self._record(environment, server, role, addresses))

    def _record(self, environment: str, server: str, role: str, addresses: dict[str, str]) -> Record:
        curated, health = self._template.roles[role], int(self._template.deadlines.health.total_seconds())
        siblings = {
            needed: [
                f"{addresses[other]}:{self._template.roles[needed].port}"
                for other, its_role in scenario.servers(environment).items()
                if its_role == needed
            ]
            for needed in curated.needs.values()
        }
        base = record_for(
            str(ULID()), self._template.name, environment, server, role, curated, scenario.BRANCHES[role], health
        )
        return base.model_copy(update={"address": addresses[server], "siblings": siblings})

    def _address(self, server: str) -> str:
        return str(json.loads((self._home.sandboxes / server / "meta.json").read_text())["address"])

    @cached_property
    def _template(self) -> Template:
        return CuratedFolder(self._home.site / "templates").current().templates[scenario.TEMPLATE]


def tuned_settings(home: Home) -> Path:
    """The cloud configuration that Brinepool itself uses: our minion settings."""
    return home.etc


def stock_settings(home: Home) -> Path:
    """A second cloud configuration in the home, with what a minion needs to work at all and nothing else of ours.

    Salt's own defaults are in force for everything that salt/cloud/cloud.conf sets (the size of keys among them).
    Where the master is and which service module a sandbox needs (in the provider, linked) is no tuning.
    """
    tuned = saltconfig.cloud(home)
    needed = {key: tuned["minion"][key] for key in ("master", "master_port", "publish_port")}
    folder = home.root / "etc-stock"
    folder.mkdir()
    for name in ("master", *saltconfig.CURATED):
        (folder / name).symlink_to(home.etc / name)
    stock = {"minion": needed} | {key: tuned[key] for key in ("log_file", "cachedir", "sandbox")}
    (folder / "cloud").write_text(json.dumps(stock))  # JSON is YAML
    return folder


def _succeeded(server: str, states: Any) -> None:
    """Raises BenchError unless that is a whole highstate without a failure."""
    if not isinstance(states, dict) or len(states) < scenario.STATES:
        raise BenchError(f"{server} did not return a whole highstate: {states}")
    failed = [f"{key}: {state['comment']}" for key, state in states.items() if state["result"] is not True]
    if failed:
        raise BenchError(f"The highstate of {server} failed: {'; '.join(failed)}")
