"""Where events meet those who wait for them.

Events are kept for a while by *topic*, so that one that came before somebody began to wait still counts. What is not
about a job, a runner or a minion's start is not kept at all.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

_TOPICS = (
    (re.compile(r"salt/job/(\d+)/(?:ret|prog)/([^/]+)(?:/\d+)?"), "job/{}/{}"),
    (re.compile(r"salt/run/(\d+)/ret"), "run/{}"),
    (re.compile(r"salt/minion/([^/]+)/start"), "minion/{}"),
)
KEEP_EVENTS = 5_000
KEEP_BYTES = 16_000_000


@dataclass(frozen=True)
class Event:
    """One event of the master's bus. `seq` counts up in this process; `size` is what it costs to keep, in bytes."""

    seq: int
    tag: str
    data: dict[str, Any]
    size: int


def job_topic(jid: str, server: str) -> str:
    """Progress and return of one minion's job."""
    return f"job/{jid}/{server}"


def run_topic(jid: str) -> str:
    """The return of a runner."""
    return f"run/{jid}"


def minion_topic(server: str) -> str:
    """The start of a minion."""
    return f"minion/{server}"


def topic_of(tag: str) -> str | None:
    """The topic that a tag belongs to; None when nobody waits for such events."""
    for pattern, topic in _TOPICS:
        if match := pattern.fullmatch(tag):
            return topic.format(*match.groups())
    return None


class Hub:
    """Recent events by topic, within bounds of number and memory; any number of threads may wait.

    `generation` grows whenever the stream ends or begins: whoever finds it grown has perhaps missed something, and asks
    the job cache. `last_heard` is when any event at all arrived (monotonic).
    """

    def __init__(self, keep_events: int = KEEP_EVENTS, keep_bytes: int = KEEP_BYTES) -> None:
        self._news = threading.Condition()
        self._topics: dict[str, deque[Event]] = {}
        self._order: deque[str] = deque()
        self._bytes = 0
        self._keep_events, self._keep_bytes = keep_events, keep_bytes
        self.seq = 0
        self.generation = 0
        self.connected = False
        self.last_heard = 0.0

    def publish(self, tag: str, data: dict[str, Any], size: int) -> None:
        """Keep an event if it has a topic, and wake those who wait."""
        self.last_heard = time.monotonic()
        topic = topic_of(tag)
        if topic is None:
            return
        with self._news:
            self.seq += 1
            self._topics.setdefault(topic, deque()).append(Event(self.seq, tag, data, size))
            self._order.append(topic)
            self._bytes += size
            self._forget_oldest()
            self._news.notify_all()

    def set_connected(self, connected: bool) -> None:
        """The stream began or ended: events may have been lost."""
        with self._news:
            self.connected = connected
            self.generation += 1
            self._news.notify_all()

    def wait(self, topics: Collection[str], after: int, until: float, generation: int) -> list[Event]:
        """Events of these topics with a `seq` beyond `after`, in order; waits for the first until `until` (monotonic).

        Returns empty-handed when the time is over, and as soon as the generation is another one than `generation`.
        """
        with self._news:
            while True:
                events = self._beyond(topics, after)
                left = until - time.monotonic()
                if events or left <= 0 or self.generation != generation:
                    return events
                self._news.wait(left)

    def _beyond(self, topics: Collection[str], after: int) -> list[Event]:
        found = [event for topic in topics for event in self._topics.get(topic, ()) if event.seq > after]
        return sorted(found, key=lambda event: event.seq)

    def _forget_oldest(self) -> None:
        # The newest event stays, however big it is: somebody is about to read it.
        while len(self._order) > 1 and (len(self._order) > self._keep_events or self._bytes > self._keep_bytes):
            topic = self._order.popleft()
            events = self._topics[topic]
            self._bytes -= events.popleft().size
            if not events:
                del self._topics[topic]
