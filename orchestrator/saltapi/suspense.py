"""How long to believe in silence. The event bus is a hint, the job cache the truth; this decides when to ask for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.domain.errors import Unavailable

from .hub import Hub

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """In seconds: the `first` silence, growing by half each time up to `longest`; `blind` while there is no stream.

    An outage of Salt is borne for `outage` before whoever waits is told of it. A minion gets `answer` to say whether it
    runs a job, and is asked once more `again` later: one that has just been given a job may not have begun it yet.
    """

    first: float = 15.0
    longest: float = 30.0
    blind: float = 2.0
    outage: float = 6.0
    answer: float = 3.0
    again: float = 2.0


class Suspense:
    """One wait: when the silence has lasted long enough to ask, and what became of the asking."""

    def __init__(self, hub: Hub, patience: Patience) -> None:
        self._hub, self.patience = hub, patience
        self.generation = hub.generation
        self._out_since: float | None = None
        self._error: Unavailable | None = None
        self.heard()

    def heard(self) -> None:
        """A sign of life: be patient again."""
        self._pause = self.patience.first
        self.settle()

    def settle(self) -> None:
        """Wait for the pause in force, beginning now."""
        self.due = time.monotonic() + (self._pause if self._hub.connected else self.patience.blind)

    def hurry(self, seconds: float = 0.0) -> None:
        """Ask after `seconds`."""
        self.due = time.monotonic() + seconds

    def over(self) -> bool:
        """Whether to ask now: it was silent for long enough, or the stream was interrupted."""
        return time.monotonic() >= self.due or self._hub.generation != self.generation

    def ask(self, question: Callable[[], T]) -> T | None:
        """Carry out `question`. None while Salt is out, which raises Unavailable only when it lasts."""
        self.generation = self._hub.generation
        self._pause = min(self._pause * 1.5, self.patience.longest)
        self.settle()
        try:
            answer = question()
        except Unavailable as error:
            self._bear(error)
            return None
        self._out_since = self._error = None
        return answer

    def give_up(self) -> None:
        """The time of waiting is over: raise what kept us from the truth, if anything did."""
        if self._error is not None:
            raise self._lasting(self._error)

    def _bear(self, error: Unavailable) -> None:
        now = time.monotonic()
        self._out_since = self._out_since or now
        self._error = error
        # Waiting does not mend a refused account.
        if error.code == "salt-login-refused" or now - self._out_since >= self.patience.outage:
            raise self._lasting(error)

    def _lasting(self, error: Unavailable) -> Unavailable:
        """The error, with for how long it has been so (`out_for_s`)."""
        error.extra["out_for_s"] = round(time.monotonic() - (self._out_since or time.monotonic()), 1)
        return error
