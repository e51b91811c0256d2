"""Jobs on minions: publish one, follow it to its end, wait for a minion to be there."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.domain.errors import Unavailable
from orchestrator.ports import JobNews, JobReturn, SaltRefused

from .client import SaltClient
from .hub import Event, Hub, job_topic, minion_topic
from .returns import progress_of, retcode_of, return_of
from .runners import Runners
from .suspense import Patience, Suspense

# How often a minion has to say that it does not run a job.
_DENIALS = 2


class Minions:
    """Publishes jobs under ids of our own."""

    def __init__(self, client: SaltClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._last = datetime.min.replace(tzinfo=UTC)

    def new_jid(self) -> str:
        """The time to the microsecond, as Salt writes it; never the same or an earlier one in this process."""
        with self._lock:
            self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
            return f"{self._last:%Y%m%d%H%M%S%f}"

    def publish(self, server: str, jid: str, function: str, arguments: Mapping[str, Any] | None = None) -> None:
        """Hand a job to one minion; returns at once. SaltRefused("server-unknown") when the master has no key of it."""
        # A list as the target, because a glob or a compound would read more into a name than a name.
        low = {"client": "local_async", "tgt": [server], "tgt_type": "list", "fun": function, "jid": jid}
        published = self._client.call(low | ({"kwarg": dict(arguments)} if arguments else {}))
        if isinstance(published, dict) and published.get("jid") == jid:
            return
        if published == {}:
            raise SaltRefused("server-unknown", f"Salt knows no server {server}; it was terminated, or never made.")
        raise Unavailable(
            "salt-unanswered", "Salt did not take the job; see the log of salt-api.", detail=f"{function}: {published}"
        )

    def ask(self, server: str, function: str, *arguments: str) -> str | None:
        """Publish a question; its job id, or None when the master has no key of this minion (any more)."""
        return self.ask_all([server], function, *arguments)

    def ask_all(self, servers: Sequence[str], function: str, *arguments: str) -> str | None:
        """The same question to many minions at once; None when the master has no key of any of them."""
        jid = self.new_jid()
        low = {"client": "local_async", "tgt": list(servers), "tgt_type": "list", "fun": function, "jid": jid}
        published = self._client.call(low | {"arg": list(arguments)})
        return jid if published else None

    def resolve_nobody(self) -> None:
        """The cheapest question that needs the master and our account: a job for nobody."""
        self._client.call({"client": "local_async", "tgt": [], "tgt_type": "list", "fun": "test.ping"}, 10.0)


class JobWatch:
    """One minion's job, from its submission to its end. Used by one thread at a time."""

    def __init__(
        self,
        server: str,
        jid: str,
        hub: Hub,
        runners: Runners,
        minions: Minions,
        patience: Patience,
        *,
        witnessed: bool,
    ) -> None:
        """`witnessed`: the job is about to be submitted by this process."""
        self._server, self._jid = server, jid
        self._hub, self._runners, self._minions = hub, runners, minions
        self._suspense = Suspense(hub, patience)
        self._seq = 0
        self._told: set[str] = set()  # tags
        self._probe: str | None = None  # a find_job under way
        self._denied = False  # the minion said that it does not run the job; not yet checked against the cache
        self._denials = 0
        if not witnessed:
            self._suspense.hurry()  # it may have ended long ago: ask

    def news(self, seconds: float) -> JobNews:
        """See `Salt.news`."""
        until = time.monotonic() + seconds
        while True:
            news = self._listen(until)
            if news is None and self._suspense.over():
                news = self._suspense.ask(self._inquire)
            if news is not None:
                return news
            if time.monotonic() >= until:
                self._suspense.give_up()
                return JobNews()

    def _listen(self, until: float) -> JobNews | None:
        mine = job_topic(self._jid, self._server)
        answer = job_topic(self._probe, self._server) if self._probe else mine
        until = min(until, self._suspense.due)
        events = self._hub.wait({mine, answer}, self._seq, until, self._suspense.generation)
        if not events:
            return None
        self._seq = events[-1].seq
        about_job = [event for event in events if f"/{self._jid}/" in event.tag]
        if len(about_job) < len(events):
            returned = return_of(events[-1]) if events[-1] not in about_job else None
            self._weigh(returned.ret if returned else None)
        return self._told_by(about_job)

    def _told_by(self, events: list[Event]) -> JobNews | None:
        """News from events; repeated ones are none."""
        fresh = {event.tag: event for event in events if event.tag not in self._told}
        self._told.update(fresh)
        if fresh:
            self._suspense.heard()
            self._denials = 0
        progress = tuple(state for event in fresh.values() if (state := progress_of(event)))
        returned = next((found for event in fresh.values() if (found := return_of(event))), None)
        return JobNews(progress=progress, returned=returned) if progress or returned else None

    def _inquire(self) -> JobNews | None:
        """One step towards the truth: the job cache, then the minion, then the cache once more."""
        cached = self._runners.lookup(self._jid)
        if self._server in cached:
            return self._ended(cached[self._server])
        if self._denied:
            return self._count_denial()
        if self._probe is None:
            self._probe = self._minions.ask(self._server, "saltutil.find_job", self._jid)
            self._suspense.hurry(self._suspense.patience.answer)
            return None
        answers, self._probe = self._runners.lookup(self._probe), None
        if self._server in answers:
            self._weigh(answers[self._server])
        return None

    def _ended(self, ret: Any) -> JobNews:
        """The job cache has the return; what was heard while it was asked goes first, and knows the real retcode."""
        heard = self._listen(time.monotonic()) or JobNews()
        return heard if heard.returned else replace(heard, returned=JobReturn(ret=ret, retcode=retcode_of(ret)))

    def _weigh(self, running: Any) -> None:
        """The minion's answer to find_job: a description of the running job, or nothing."""
        self._probe = None
        if isinstance(running, dict) and running.get("jid") == self._jid:
            self._denials = 0
            self._suspense.settle()
        else:
            self._denied = True
            self._suspense.hurry()

    def _count_denial(self) -> JobNews | None:
        """The cache was empty after the minion said no. It has to say so twice before the job counts as lost."""
        self._denied = False
        self._denials += 1
        if self._denials >= _DENIALS:
            return JobNews(lost=True)
        self._suspense.hurry(self._suspense.patience.again)
        return None


class BootWatch:
    """One minion that is expected to start. Its start event counts when it came after `seq`."""

    def __init__(
        self,
        server: str,
        seq: int,
        hub: Hub,
        runners: Runners,
        minions: Minions,
        patience: Patience,
        *,
        witnessed: bool,
    ) -> None:
        """`witnessed`: the stream has been followed without a gap since `seq`, which was before the machine existed."""
        self._server, self._seq = server, seq
        self._hub, self._runners, self._minions = hub, runners, minions
        self._suspense = Suspense(hub, patience)
        self._ping: str | None = None
        if not witnessed:
            self._suspense.hurry()  # the minion may have started long ago: ask it

    def started(self, seconds: float) -> bool:
        """See `Salt.minion_started`."""
        until = time.monotonic() + seconds
        while True:
            topics = {minion_topic(self._server)} | ({job_topic(self._ping, self._server)} if self._ping else set())
            if self._hub.wait(topics, self._seq, min(until, self._suspense.due), self._suspense.generation):
                return True
            if self._suspense.over() and self._suspense.ask(self._answered):
                return True
            if time.monotonic() >= until:
                self._suspense.give_up()
                return False

    def _answered(self) -> bool:
        """Whether the last ping was answered, though no event said so; if not, ping again."""
        if self._ping and self._server in self._runners.lookup(self._ping):
            return True
        self._ping = self._minions.ask(self._server, "test.ping")
        return False
