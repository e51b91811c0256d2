"""`SaltApi`: the port `Salt` over salt-api. The event bus is a hint, the job cache the truth."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

from orchestrator.domain.errors import NotFound
from orchestrator.domain.record import Record
from orchestrator.ports import Branches, Job, JobNews, Machine, SaltRefused

from .client import SaltClient
from .events import EventStream
from .hub import Hub
from .minions import BootWatch, JobWatch, Minions
from .returns import job_of
from .rollcall import RollCall
from .runners import Runners
from .suspense import Patience

_BRANCHES_SECONDS = 60.0
_QUICK_SECONDS = 30.0
_PROVIDERS_SECONDS = 300.0  # ops change profiles rarely

V = TypeVar("V")


class SaltApi:
    """Implements `ports.Salt`, whose docstrings are the contract. Safe to share between threads.

    Nothing connects before the first call. `start` begins to follow the events at once; `close` ends everything.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: Callable[[], str],
        eauth: str = "sharedsecret",
        patience: Patience | None = None,
    ) -> None:
        self.hub = Hub()
        self._patience = patience or Patience()
        self._client = SaltClient(url, user, password, eauth)
        self._stream = EventStream(self._client, self.hub)
        self._runners = Runners(self._client, self.hub, self._stream, self._patience)
        self._minions = Minions(self._client)
        self._jobs: _Recent[JobWatch] = _Recent()
        self._boots: _Recent[BootWatch] = _Recent()
        self._providers = _Kept(self._ask_for_providers, _PROVIDERS_SECONDS)

    def start(self) -> None:
        """Follow the event stream from now on, and not only from the first wait."""
        self._stream.start()

    def close(self) -> None:
        """Stop following events and close all connections."""
        self._stream.close()
        self._client.close()

    def branches(self, template: str, role: str) -> Branches:
        """See `Salt.branches`."""
        answer = self._runners.run("branches", _BRANCHES_SECONDS, template=template, role=role)
        return _branches(answer)

    def all_branches(self, template: str) -> Mapping[str, Branches]:
        """See `Salt.all_branches`."""
        answer = self._runners.run("branches", _BRANCHES_SECONDS, template=template)
        return {role: _branches(found) for role, found in answer["roles"].items()}

    def providers(self) -> Mapping[str, str]:
        """See `Salt.providers`."""
        return self._providers.current()

    def create(self, record: Record, profile: str, seconds: float, since: str = "") -> Machine:
        """See `Salt.create`."""
        self._stream.start()
        # From here on every start event of this name is that of the machine made now.
        boot = self._boot(record.server, witnessed=self.hub.connected)
        self._boots.put(record.server, boot)
        arguments = {"record": record.model_dump(mode="json"), "profile": profile, "since": since}
        return machine_of(self._runners.run_async("create", seconds, **arguments)["server"])

    def destroy(self, server: str, operation: str, seconds: float) -> bool:
        """See `Salt.destroy`."""
        self._stream.start()
        self._boots.drop(server)
        return bool(self._runners.run_async("destroy", seconds, server=server, operation=operation)["existed"])

    def put(self, records: Sequence[Record]) -> None:
        """See `Salt.put`."""
        self._runners.run("put", _QUICK_SECONDS, records=[record.model_dump(mode="json") for record in records])

    def inventory(self) -> list[Machine]:
        """See `Salt.inventory`."""
        return [machine_of(server) for server in self._runners.run("inventory", _QUICK_SECONDS)["servers"]]

    def minion_started(self, server: str, seconds: float) -> bool:
        """See `Salt.minion_started`."""
        self._stream.start()
        boot = self._boots.get(server, lambda: self._boot(server, witnessed=False))
        started = boot.started(seconds)
        if started:
            self._boots.drop(server)
        return started

    def answering(self, servers: Collection[str], seconds: float) -> frozenset[str]:
        """See `Salt.answering`."""
        self._stream.start()
        return RollCall(self.hub, self._runners, self._minions).answering(frozenset(servers), seconds)

    def new_jid(self) -> str:
        """See `Salt.new_jid`."""
        return self._minions.new_jid()

    def submit(self, server: str, jid: str, function: str, argument: Mapping[str, Any] | None = None) -> None:
        """See `Salt.submit`. SaltRefused: `server-unknown` when the master has no key of this server."""
        self._stream.start()
        self._jobs.put(f"{jid}/{server}", self._job(server, jid, witnessed=True))
        self._minions.publish(server, jid, f"brinepool.{function}", argument)

    def news(self, server: str, jid: str, seconds: float) -> JobNews:
        """See `Salt.news`."""
        self._stream.start()
        job = self._jobs.get(f"{jid}/{server}", lambda: self._job(server, jid, witnessed=False))
        news = job.news(seconds)
        if news.returned or news.lost:
            self._jobs.drop(f"{jid}/{server}")
        return news

    def kill(self, server: str, jid: str) -> None:
        """See `Salt.kill`."""
        self._minions.ask(server, "saltutil.kill_job", jid)

    def job(self, jid: str) -> Job:
        """See `Salt.job`."""
        cached = self._runners.lookup(jid, missing=True)
        if not cached:
            raise NotFound("job-unknown", f"Salt knows no job {jid}; it keeps what was returned for 24 hours.")
        return job_of(jid, cached)

    def boot_log(self, server: str) -> str:
        """See `Salt.boot_log`."""
        return str(self._runners.run("boot_log", _QUICK_SECONDS, server=server).get("log", ""))

    def health(self) -> None:
        """See `Salt.health`."""
        self._minions.resolve_nobody()

    def _ask_for_providers(self) -> Mapping[str, str]:
        answer = self._runners.run("providers", _QUICK_SECONDS)
        return {str(profile): str(provider) for profile, provider in answer["profiles"].items()}

    def _boot(self, server: str, *, witnessed: bool) -> BootWatch:
        return BootWatch(
            server, self.hub.seq, self.hub, self._runners, self._minions, self._patience, witnessed=witnessed
        )

    def _job(self, server: str, jid: str, *, witnessed: bool) -> JobWatch:
        return JobWatch(server, jid, self.hub, self._runners, self._minions, self._patience, witnessed=witnessed)


def machine_of(server: Mapping[str, Any]) -> Machine:
    """A machine as our runner describes it."""
    try:
        return Machine(
            server=str(server["server"]),
            address=server.get("address") or None,
            state=str(server["state"]),
            provider=str(server.get("provider") or ""),
            profile=str(server.get("profile") or ""),
            key=str(server.get("key") or ""),
            record=bool(server.get("record")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise SaltRefused(
            "runner-crashed", "Salt described a server in a way that makes no sense; see its log.", str(server)
        ) from error


class _Recent(Generic[V]):
    """The state of waits that go on over several calls, by key; the least recently used go first."""

    def __init__(self, keep: int = 2_000) -> None:
        self._lock = threading.Lock()
        self._items: OrderedDict[str, V] = OrderedDict()
        self._keep = keep

    def get(self, key: str, make: Callable[[], V]) -> V:
        with self._lock:
            item = self._items.pop(key) if key in self._items else make()
            self._items[key] = item
            return item

    def put(self, key: str, item: V) -> None:
        with self._lock:
            self._items.pop(key, None)
            self._items[key] = item
            while len(self._items) > self._keep:
                self._items.popitem(last=False)

    def drop(self, key: str) -> None:
        with self._lock:
            self._items.pop(key, None)


class _Kept(Generic[V]):
    """What an expensive question was answered with, for a while."""

    def __init__(self, ask: Callable[[], V], seconds: float) -> None:
        self._ask, self._seconds = ask, seconds
        self._lock = threading.Lock()
        self._answer: V | None = None
        self._until = 0.0

    def current(self) -> V:
        with self._lock:
            if self._answer is None or time.monotonic() >= self._until:
                self._answer, self._until = self._ask(), time.monotonic() + self._seconds
            return self._answer


def _branches(answer: Mapping[str, Any]) -> Branches:
    return Branches(str(answer["repository"]), str(answer["default"]), tuple(sorted(answer["branches"])))
