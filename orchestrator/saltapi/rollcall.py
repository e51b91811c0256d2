"""Which of many minions are there: one ping for all of them. Events are hints, the job cache is the truth."""

import time

from .hub import Hub, job_topic
from .minions import Minions
from .runners import Runners


class RollCall:
    """Asks minions whether they are there."""

    def __init__(self, hub: Hub, runners: Runners, minions: Minions) -> None:
        self._hub, self._runners, self._minions = hub, runners, minions

    def answering(self, servers: frozenset[str], seconds: float) -> frozenset[str]:
        """See `Salt.answering`."""
        until = time.monotonic() + seconds
        jid = self._minions.ask_all(sorted(servers), "test.ping") if servers else None
        if jid is None:
            return frozenset()
        self._listen(jid, servers, until)
        return servers & self._runners.lookup(jid).keys()

    def _listen(self, jid: str, servers: frozenset[str], until: float) -> None:
        """Return when every answer was heard, or when the time is over: the job cache is asked in either case."""
        silent = {job_topic(jid, server): server for server in servers}
        while silent and (left := until - time.monotonic()) > 0:
            waited = self._hub.wait(silent, 0, time.monotonic() + left, self._hub.generation)
            for topic in [topic for topic, server in silent.items() if any(_is_of(e.tag, server) for e in waited)]:
                del silent[topic]


def _is_of(tag: str, server: str) -> bool:
    return tag.endswith(f"/ret/{server}")
