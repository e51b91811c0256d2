"""What must be true after a round. Pure: it is given what was seen, and says what is wrong.

`steady` is for when everything has come to rest and some environments still live; `empty` for when all were terminated.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

Row = Mapping[str, Any]
ENDED = ("succeeded", "failed", "cancelled")
_ONCE = ("operation.started", "operation.succeeded", "operation.failed", "operation.cancelled")
_RESTING = ("ready", "failed")
_STUMBLED = ("met a surprise", "Exception encountered", "Exception in thread")
_AFTER_CANCEL = 4.0  # seconds within which a cancelled job is ended, also by a Brinepool that was just killed


@dataclass(frozen=True)
class Violation:
    """What is wrong (`what`, a stable word) and with what."""

    what: str
    about: str


@dataclass(frozen=True)
class Run:
    """One highstate as the minion had it. `end`: done (its return is known) | lost | running; `at`: when it was."""

    server: str
    jid: str
    operation: str
    end: str
    at: float = 0.0


@dataclass(frozen=True)
class Start:
    """An app was started; `wanted`: what it runs since then, in the order of `Seen.starts`."""

    server: str
    machine: str
    operation: str
    wanted: str


@dataclass(frozen=True)
class Seen:
    """Everything that is compared, by server name where there is one.

    `operations`, `events`: of this round; `environments`, `servers`: those that have not ended. `machines`: id and name
    of each; `processes`: names that processes belong to; `notes`: the master's notes of where machines are.
    `doubles`: names that the cloud had to make a second machine for. `built`: how many it made at once, and the cap.
    `apps`: what each machine's app runs. `excused`: codes of failures that the round itself caused. `complaints`: lines
    in which Brinepool's own log tells of something that it had not foreseen.
    """

    operations: Sequence[Row]
    environments: Sequence[Row]
    servers: Sequence[Row]
    events: Sequence[Row]
    machines: Sequence[tuple[str, str]]
    keys: Mapping[str, str]
    records: Mapping[str, Row]
    notes: frozenset[str] | None = None
    processes: frozenset[str] | None = None
    doubles: Sequence[str] = ()
    built: tuple[int, int] = (0, 0)
    runs: Sequence[Run] = ()
    starts: Sequence[Start] = ()
    apps: Mapping[str, str] = field(default_factory=dict)
    excused: frozenset[str] = frozenset()
    complaints: Sequence[str] = ()


def steady(seen: Seen) -> list[Violation]:
    """Everything has come to rest: all worlds agree."""
    return [
        *_not_ended(seen), *_untrue_reasons(seen), *_twice_told(seen), *_unrest(seen), *_worlds(seen), *_doubles(seen),
        *_highstates(seen), *_apps(seen), *_contents(seen), *_stumbles(seen),
    ]  # fmt: skip


def empty(seen: Seen) -> list[Violation]:
    """Everything was terminated: nothing is left anywhere."""
    left = [Violation("environment not ended", f"{row['name']} is {row['status']}") for row in seen.environments]
    return [
        *_not_ended(seen), *_untrue_reasons(seen), *_twice_told(seen), *left, *_worlds(seen), *_doubles(seen),
        *_stumbles(seen),
    ]  # fmt: skip


def complaints(log: str) -> list[str]:
    """The lines of a log of Brinepool that tell of a defect of its own."""
    return [line.strip() for line in log.splitlines() if any(words in line for words in _STUMBLED)]


def _stumbles(seen: Seen) -> Iterator[Violation]:
    for line in seen.complaints:
        yield Violation("Brinepool stumbled", line)


def _not_ended(seen: Seen) -> Iterator[Violation]:
    for each in seen.operations:
        if each["state"] not in ENDED:
            yield Violation("operation not ended", f"{each['kind']} {each['id']} is {each['state']}")


def _untrue_reasons(seen: Seen) -> Iterator[Violation]:
    """An operation may fail only by what the round did to it."""
    for each in seen.operations:
        code = (each.get("failure") or {}).get("code", "")
        if each["state"] == "failed" and code not in seen.excused:
            told = (each.get("failure") or {}).get("title", "no reason")
            yield Violation("operation failed", f"{each['kind']} {each['id']}: {code}: {told}")


def _twice_told(seen: Seen) -> Iterator[Violation]:
    """What happened once was written down once."""
    ends = Counter((each["operation"], each["kind"]) for each in seen.events if each["kind"] in _ONCE)
    for (operation, kind), count in ends.items():
        if count > 1:
            yield Violation("event written twice", f"{kind} of {operation}, {count} times")
    runs = Counter((run.operation, run.server) for run in seen.runs)
    states = Counter(
        (each["operation"], each["server"], each["data"].get("n"), each["data"].get("state"))
        for each in seen.events
        if each["kind"] == "server.state_finished"
    )
    for (operation, server, n, _), count in states.items():
        if seen.runs and count > runs[operation, server]:
            yield Violation("event written twice", f"state {n} of {server}, {count} times, for {operation}")


def _unrest(seen: Seen) -> Iterator[Violation]:
    """Nothing is on its way when no operation is at work; only a removal that failed waits for the next one."""
    states = {each["id"]: each for each in seen.operations}
    for each in seen.environments:
        last = states.get(each["operation"], {})
        waits = each["status"] == "terminating" and last.get("state") == "failed"
        if each["status"] not in _RESTING and not waits:
            yield Violation("stuck", f"environment {each['name']} is {each['status']}")
    for server in seen.servers:
        if server["status"] not in (*_RESTING, "terminating"):
            yield Violation("stuck", f"server {server['name']} is {server['status']}")


def _worlds(seen: Seen) -> Iterator[Violation]:
    """Records, machines, keys, notes and processes are those of our servers, exactly."""
    # A server whose making failed may have got as far as a machine, and need not.
    unsure = {row["name"] for row in seen.servers if row["status"] in ("failed", "terminating")}
    ours = {row["name"] for row in seen.servers}
    worlds = {"machine": {name for _, name in seen.machines}, "key": set(seen.keys), "record": set(seen.records)}
    worlds |= {"note": set(seen.notes)} if seen.notes is not None else {}
    worlds |= {"process": set(seen.processes)} if seen.processes is not None else {}
    for kind, names in worlds.items():
        for name in sorted(names - ours):
            what = f": {seen.keys[name]}" if kind == "key" and seen.keys[name] else ""
            yield Violation(f"{kind} without server", f"{name}{what}")
        for name in sorted(ours - names - unsure):
            yield Violation(f"server without {kind}", name)
    ids = {name: machine for machine, name in seen.machines}
    for name, bearer in seen.keys.items():
        if bearer and name in ids and bearer != ids[name]:
            yield Violation("key of another machine", f"{name}: {bearer} instead of {ids[name]}")


def _doubles(seen: Seen) -> Iterator[Violation]:
    for name, count in Counter(name for _, name in seen.machines).items():
        if count > 1:
            yield Violation("server made twice", f"{count} machines are called {name}")
    for name in seen.doubles:
        yield Violation("server made twice", f"{name} was made while there was one")
    if seen.built[0] > seen.built[1]:
        yield Violation("cap exceeded", f"{seen.built[0]} servers were made at once, not {seen.built[1]}")


def _highstates(seen: Seen) -> Iterator[Violation]:
    """Each job runs once (again only when it died with its minion), and one whose return is known is not repeated."""
    for (server, jid), count in Counter((run.server, run.jid) for run in seen.runs if run.end != "lost").items():
        if count > 1:
            yield Violation("highstate ran twice for one jid", f"{jid} on {server}")
    done = Counter((run.server, run.operation) for run in seen.runs if run.end == "done")
    for (server, operation), count in done.items():
        if count > 1:
            yield Violation("highstate repeated", f"{count} times on {server} for {operation}")
    cancelled = {each["id"]: _moment(each["ended_at"]) for each in seen.operations if each["state"] == "cancelled"}
    for run in seen.runs:
        if run.end == "done" and run.operation in cancelled and run.at > cancelled[run.operation] + _AFTER_CANCEL:
            after = run.at - cancelled[run.operation]
            yield Violation("cancelled job went on", f"{run.jid} on {run.server}, {after:.1f} s for {run.operation}")
        if run.end == "running":
            yield Violation("highstate still runs", f"{run.jid} on {run.server} for {run.operation}")


def _moment(written: str) -> float:
    """A moment as the database has it."""
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()


def _apps(seen: Seen) -> Iterator[Violation]:
    """An app is started once for what an operation wants, and never goes back to what it ran before within one."""
    starts: dict[str, list[Start]] = defaultdict(list)
    for start in seen.starts:
        starts[start.machine].append(start)
    for machine, own in starts.items():
        for (operation, wanted), count in Counter((each.operation, each.wanted) for each in own).items():
            if count > 1:
                yield Violation("app restarted needlessly", f"{own[0].server} ({machine}): {wanted} for {operation}")
        for before, after in pairwise(own):
            if after.wanted == before.wanted:
                yield Violation("app restarted needlessly", f"{after.server} ({machine}) runs {after.wanted} already")
            if after.operation < before.operation:
                yield Violation("app of an older operation", f"{after.server}: {after.operation}")


def _contents(seen: Seen) -> Iterator[Violation]:
    """A ready server runs what our row says, under the address that our row says, with the siblings that there are."""
    ids = {name: machine for machine, name in seen.machines}
    environments = {row["id"]: row for row in seen.environments}
    for row in seen.servers:
        environment = environments.get(row["environment"])
        record = seen.records.get(row["name"])
        if environment is None or record is None or row["status"] != "ready" or environment["status"] != "ready":
            continue
        for field_ in ("branch", "address"):
            if record[field_] != row[field_]:
                yield Violation("record is wrong", f"{row['name']}: {field_} {record[field_]}, not {row[field_]}")
        running = seen.apps.get(ids.get(row["name"], ""), "")
        if running and not running.startswith(f"{row['branch']} "):
            yield Violation("app runs another branch", f"{row['name']} runs {running}, not {row['branch']}")
        yield from _wiring(row, record, _living(seen.servers, row["environment"]))


def _living(servers: Iterable[Row], environment: str) -> list[Row]:
    return [row for row in servers if row["environment"] == environment and row["target"] == "present"]


def _wiring(row: Row, record: Row, around: list[Row]) -> Iterator[Violation]:
    for role, addresses in record.get("siblings", {}).items():
        there = {f"{each['address']}:{each['port']}" for each in around if each["role"] == role and each["address"]}
        if set(addresses) != there:
            yield Violation("wiring is wrong", f"{row['name']}: {role} at {sorted(addresses)}, not {sorted(there)}")
