"""The orchestrator's own share of the time to ready, from Salt's own time stamps.

A server's own time is its boot (`salt/cloud/<id>/creating` to `salt/minion/<id>/start`) and its highstate, health check
included (`salt/job/<jid>/new` to its return). What the person waited beyond that of the server for which the sum is the
longest is ours: it is cut into pieces that add up to it, so that one sees where to save.
"""

from dataclasses import dataclass

from . import scenario
from .brinepool import Lap
from .events import Event, Events


@dataclass(frozen=True)
class ServerTimes:
    """One server's moments, as Salt stamped them, in seconds since 1970."""

    asked: float  # the master began to carry out our runner's create
    creating: float
    created: float
    started: float
    submitted: float
    returned: float

    @property
    def boot(self) -> float:
        """From the driver's begin to the minion's start event."""
        return self.started - self.creating

    @property
    def highstate(self) -> float:
        """From the job's publication to its return."""
        return self.returned - self.submitted


@dataclass(frozen=True)
class Share:
    """One environment's time to ready and what the longest server needed of it; `pieces` make up the difference."""

    whole: float
    longest: float
    pieces: dict[str, float]
    notes: dict[str, float]

    @property
    def ours(self) -> float:
        """As a fraction of the whole."""
        return (self.whole - self.longest) / self.whole


def share_of(lap: Lap, environment: str, events: Events) -> Share:
    """What Brinepool added to the environment that `lap` made. Raises BenchError when an event is missing."""
    times = {server: _times(server, events) for server in scenario.servers(environment)}
    longest = max(times.values(), key=lambda server: server.boot + server.highstate)
    pieces = {
        "the request: HTTP, branches looked up, rows written": lap.accepted - lap.asked,
        "accepted → the master runs brinepool.create": longest.asked - lap.accepted,
        "brinepool.create → the driver begins (record, key)": longest.creating - longest.asked,
        "minion's start event → highstate published": longest.submitted - longest.started,
        "highstate's return → ready event (other servers too)": lap.ready - longest.returned,
    }
    return Share(lap.seconds, longest.boot + longest.highstate, pieces, _notes(lap, longest, times, events))


def _times(server: str, events: Events) -> ServerTimes:
    highstate = events.one(r"salt/job/\d+/new", fun="brinepool.highstate", minions=[server])
    return ServerTimes(
        asked=_create(server, events).at,
        creating=events.one(f"salt/cloud/{server}/creating").at,
        created=events.one(f"salt/cloud/{server}/created").at,
        started=events.one(f"salt/minion/{server}/start").at,
        submitted=highstate.at,
        returned=events.one(f"salt/job/{highstate.data['jid']}/ret/{server}").at,
    )


def _create(server: str, events: Events) -> Event:
    """The runner's begin that made this server."""
    begun = events.of(r"salt/run/\d+/new", fun="runner.brinepool.create")
    return next(event for event in begun if event.data["fun_args"][0]["record"]["server"] == server)


def _notes(lap: Lap, longest: ServerTimes, times: dict[str, ServerTimes], events: Events) -> dict[str, float]:
    """What is not in the share and still worth knowing."""
    asked = sum(len(events.of(r"salt/run/\d+/new", fun=f"runner.{name}")) for name in ("jobs.lookup_jid",))
    asked += sum(len(events.of(r"salt/job/\d+/new", fun=name)) for name in ("saltutil.find_job", "test.ping"))
    return {
        "of the boot, in the driver": longest.created - longest.creating,
        "boot of the longest server": longest.boot,
        "highstate of the longest server": longest.highstate,
        "first to last minion started": max(t.started for t in times.values()) - min(t.started for t in times.values()),
        "last return → ready event": lap.ready - max(server.returned for server in times.values()),
        "writing the records (brinepool.put), beside the boot": _put_seconds(events),
        "questions asked into a silence (number)": asked,
    }


def _put_seconds(events: Events) -> float:
    begun = events.one(r"salt/run/\d+/new", fun="runner.brinepool.put")
    return events.one(f"salt/run/{begun.data['jid']}/ret").at - begun.at
