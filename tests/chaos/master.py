"""The master of the fake Salt: the real runner with Salt's real cache, over a cloud that would make a server twice.

Each thing that a run of the runner writes or asks of the cloud is a step; a master that is killed takes no further one,
and nobody hears of the run again. The kernel frees its locks.
"""

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import salt.config

from orchestrator.saltext.answers import Refused
from orchestrator.saltext.runners import brinepool as runner
from orchestrator.saltext.stored import MACHINES, TOMBSTONES, Stored

PROVIDER = "cloud:fake"
RECORDS = "brinepool/servers"


class MasterKilled(BaseException):
    """The master died in the middle of a run."""


@dataclass(frozen=True)
class Instance:
    """A machine of the cloud. Its minion has the key of this very machine, whatever others are called."""

    id: str
    name: str
    address: str
    profile: str


@dataclass
class Trap:
    """Where the master is to die: at the `left`th step of the function's runs from now on."""

    function: str
    left: int
    die: Callable[[], None]


class Master:
    """Runs `brinepool.*`. `killed()`: every run that is under way dies at its next step."""

    def __init__(self, folder: Path, cloud: "Cloud") -> None:
        self.opts = dict(salt.config.DEFAULT_MASTER_OPTS) | {
            "cachedir": str(folder / "cache"), "pki_dir": str(folder / "pki"), "__role": "master", "id": "chaos_master",
            "conf_file": str(folder / "master"), "user": "",
        }  # fmt: skip
        self.cloud = cloud
        # In reality each run is a process of its own. Salt's loader is not made for many threads that load at once.
        self._shared = Stored(self.opts)
        self.banks()
        self.accept("nobody", "")
        self.record("nobody")
        self._shared.forget_minion("nobody")
        self.trap: Trap | None = None
        self.life = 0  # which master it is; runs of an earlier one are dead
        self._run = threading.local()
        self._lock = threading.Lock()
        runner._stored = self._stored  # type: ignore[assignment]
        runner._pool = lambda: cloud.seen_by(self.step)  # type: ignore[assignment,return-value]

    def killed(self) -> None:
        """It is dead, and so is all that it did; another one may begin at once."""
        with self._lock:
            self.life += 1

    def call(self, function: str, arguments: Mapping[str, Any]) -> Any:
        """Run `brinepool.<function>` in this thread. MasterKilled when the master dies meanwhile."""
        self._run.life, self._run.function = self.life, function
        try:
            return getattr(runner, function.removeprefix("brinepool."))(**arguments)
        finally:
            del self._run.life

    def step(self) -> None:
        """Something is about to be written or asked. MasterKilled when this master is dead."""
        life = getattr(self._run, "life", None)
        if life is None:
            return
        with self._lock:
            trap = self.trap
            if trap and trap.function == self._run.function:
                trap.left -= 1
            dies = trap is not None and trap.left == 0
            if dies:
                self.trap = None
        if dies and trap is not None:
            trap.die()
        if life != self.life:
            raise MasterKilled

    # What the cache has, for the minions and for whoever compares

    def key(self, name: str) -> str:
        """The id of the instance whose minion may speak under this name; "" for nobody."""
        entry = self._shared._keys.fetch("keys", name)
        return str(entry["pub"]) if entry and entry.get("state") == "accepted" else ""

    def record(self, name: str) -> dict[str, Any] | None:
        """The record of that server."""
        return self._shared.record(name)

    def banks(self) -> dict[str, set[str]]:
        """The names in each bank."""
        stored = self._shared
        return {
            "keys": set(stored._keys.list("keys") or []) | set(stored._keys.list("denied_keys") or []),
            "records": set(stored._cache.list(RECORDS) or []),
            "notes": set(stored._cache.list(MACHINES) or []),
            "tombstones": set(stored._cache.list(TOMBSTONES) or []),
        }

    def accept(self, name: str, instance: str) -> None:
        """What salt-cloud does before it makes a machine."""
        self._shared._keys.store("keys", name, {"state": "accepted", "pub": instance})

    def _stored(self) -> Stored:
        stored = copy.copy(self._shared)
        stored._cache, stored._keys = _Stepping(stored._cache, self.step), _Stepping(stored._keys, self.step)
        return stored


class _Stepping:
    """Salt's cache, each write a step."""

    def __init__(self, cache: Any, step: Callable[[], None]) -> None:
        self._cache, self._step = cache, step

    def __getattr__(self, name: str) -> Any:
        if name in ("store", "flush"):
            self._step()
        return getattr(self._cache, name)


@dataclass
class Cloud:
    """A cloud to which a name is only a label: asked twice, it makes two machines. `doubles`: when it had to."""

    seconds: Callable[[], float]  # how long it takes to make a machine
    key: Callable[[str, str], None] = lambda name, instance: None
    born: Callable[[Instance], None] = lambda instance: None
    died: Callable[[Instance], None] = lambda instance: None
    refuses: Callable[[str, str], str] = lambda verb, name: ""
    instances: list[Instance] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0
    making: int = 0
    peak: int = 0  # how many were made at the same time, at most

    def seen_by(self, step: Callable[[], None]) -> "Pool":
        """The cloud as a run of the runner sees it."""
        return Pool(self, step)

    def make(self, name: str, profile: str) -> Instance:
        with self.lock:
            if any(each.name == name for each in self.instances):
                self.doubles.append(name)
            self.count += 1
            self.making += 1
            self.peak = max(self.peak, self.making)
            number = self.count
            address = f"127.{100 + number // 62500 % 100}.{number // 250 % 250 + 1}.{number % 250 + 1}"
            made = Instance(f"i-{number}", name, address, profile)
            self.key(name, made.id)
        threading.Event().wait(self.seconds())
        with self.lock:
            self.making -= 1
            self.instances.append(made)
            self.made.append(name)
        self.born(made)
        return made

    def remove(self, name: str) -> None:
        with self.lock:
            found = next((each for each in self.instances if each.name == name), None)
            if found is not None:
                self.instances.remove(found)
        if found is not None:
            self.died(found)


class Pool:
    """What `orchestrator.saltext.pool.Pool` offers to the runner."""

    def __init__(self, cloud: Cloud, step: Callable[[], None]) -> None:
        self._cloud, self._step = cloud, step

    def provider_of(self, profile: str) -> str:
        if profile != "small":
            raise Refused("profile-unknown", f"The master has no salt-cloud profile “{profile}”; ask ops for it.")
        return PROVIDER

    def providers(self) -> list[str]:
        return [PROVIDER]

    def profiles(self) -> dict[str, str]:
        return {"small": PROVIDER.partition(":")[0]}

    def machines(self, provider: str) -> dict[str, dict[str, Any]]:
        return {each.name: _described(each) for each in list(self._cloud.instances)}

    def names(self, provider: str) -> set[str]:
        return set(self.machines(provider))

    def find(self, server: str, provider: str) -> dict[str, Any] | None:
        return self.machines(provider).get(server)

    def where(self, server: str) -> str | None:
        return PROVIDER if server in self.names(PROVIDER) else None

    def create(self, server: str, profile: str) -> dict[str, Any]:
        with self._asked("create", server):
            return _described(self._cloud.make(server, profile))

    def start(self, server: str, provider: str) -> bool:
        return True

    def console(self, server: str, provider: str) -> str:
        return ""

    def destroy(self, server: str, provider: str) -> None:
        with self._asked("destroy", server):
            self._cloud.remove(server)

    @contextmanager
    def _asked(self, verb: str, server: str) -> Iterator[None]:
        """The cloud does what it was asked for, also when the master dies before it has answered."""
        self._step()
        if why := self._cloud.refuses(verb, server):
            raise Refused(f"{verb}-failed", f"The cloud did not let {server} be {verb}d; try again.", why)
        yield
        self._step()


def _described(instance: Instance) -> dict[str, Any]:
    return {"address": instance.address, "state": "running", "provider": PROVIDER, "profile": instance.profile}
