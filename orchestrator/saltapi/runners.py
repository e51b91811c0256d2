"""Our runner `brinepool.*` on the master, and the job cache."""

import time
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.errors import Unavailable
from orchestrator.ports import SaltRefused

from .client import SaltClient
from .events import EventStream
from .hub import Hub, run_topic
from .suspense import Patience, Suspense

# Salt's own limit is a little shorter than ours, so that its 504 comes before our timeout.
_HTTP_MARGIN = 5.0
_LOOKUP_SECONDS = 20.0


class Runners:
    """Calls of runners: `run` for the quick ones, `run_async` for those whose end comes as an event."""

    def __init__(self, client: SaltClient, hub: Hub, stream: EventStream, patience: Patience) -> None:
        self._client, self._hub, self._stream, self._patience = client, hub, stream, patience
        self._asked_at: float | None = None  # when the job cache was last asked, while nothing was heard

    def run(self, function: str, seconds: float, **arguments: Any) -> dict[str, Any]:
        """The answer of `brinepool.<function>`. SaltRefused when it is an error."""
        return answer_of(function, self._sync(f"brinepool.{function}", seconds, arguments))

    def run_async(self, function: str, seconds: float, **arguments: Any) -> dict[str, Any]:
        """Like `run` for what takes long: no thread of salt-api and no connection is held meanwhile.

        Unavailable("salt-unanswered") when neither the event nor the job cache has the answer after `seconds`.
        """
        until = time.monotonic() + seconds
        started = self._client.call({"client": "runner_async", "fun": f"brinepool.{function}", "kwarg": arguments})
        if not (isinstance(started, dict) and started.get("jid")):
            raise Unavailable(
                "salt-unanswered", "Salt did not start the job; see the log of salt-api.", detail=f"{started}"
            )
        return answer_of(function, self._outcome(function, str(started["jid"]), seconds, until))

    def lookup(self, jid: str, *, missing: bool = False) -> dict[str, Any]:
        """What the job cache has of a job: returns by minion id. Empty when there is none (yet).

        `missing`: also the minions that were asked and have not returned, with `returns.NO_RETURN`.
        """
        began = time.monotonic()
        cached = self._sync("jobs.lookup_jid", _LOOKUP_SECONDS, {"jid": jid} | ({"missing": True} if missing else {}))
        self._suspect_a_hanging_stream(began)
        if not isinstance(cached, dict):
            raise Unavailable(
                "salt-unanswered", "Salt could not look into its job cache; see the master's log.", detail=f"{cached}"
            )
        return dict(cached["data"] if "outputter" in cached and isinstance(cached.get("data"), dict) else cached)

    def _suspect_a_hanging_stream(self, began: float) -> None:
        """A runner fires events of its own. A stream that has brought nothing since the call before this one hangs.

        Not since this one: its events and its answer come on different ways, and either may be first. Doubting too soon
        would cost the events that pass while the stream is opened anew.
        """
        before, self._asked_at = self._asked_at, began
        if before is not None and self._hub.connected and self._hub.last_heard < before:
            self._asked_at = None
            self._stream.doubt()

    def _outcome(self, function: str, jid: str, seconds: float, until: float) -> Any:
        suspense = Suspense(self._hub, self._patience)
        while True:
            events = self._hub.wait([run_topic(jid)], 0, min(until, suspense.due), suspense.generation)
            if events:
                return events[-1].data.get("return")
            late = time.monotonic() >= until
            if late or suspense.over():
                for cached in (suspense.ask(lambda: self.lookup(jid)) or {}).values():
                    return cached.get("return") if isinstance(cached, dict) else cached
            if late:
                suspense.give_up()
                raise Unavailable(
                    "salt-unanswered",
                    "Salt did not finish in time; try again.",
                    detail=f"brinepool.{function}, job {jid}",
                    unfinished=True,
                    out_for_s=seconds,
                )

    def _sync(self, function: str, seconds: float, arguments: Mapping[str, Any]) -> Any:
        low = {"client": "runner", "fun": function, "timeout": seconds, "kwarg": dict(arguments)}
        return self._client.call(low, seconds + _HTTP_MARGIN)


def answer_of(function: str, answer: Any) -> dict[str, Any]:
    """Our runner's answer, if it is a good one. SaltRefused with the runner's own error, or `runner-crashed`."""
    if isinstance(answer, dict) and answer.get("ok") is True:
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        raise SaltRefused(
            str(error.get("code", "runner-failed")), str(error.get("message", "")), str(error.get("detail", ""))
        )
    raise SaltRefused(
        "runner-crashed",
        f"Salt's master could not carry out brinepool.{function}; ask ops to look into its log, then try again.",
        str(answer),
    )
