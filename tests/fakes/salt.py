"""An in-memory Salt: a master with our runner, a cloud, minions that run highstates, a job cache and an event bus."""

import fnmatch
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML

from orchestrator.domain.record import Record
from orchestrator.domain.template import Template
from tests.fakes import misbehaviour as bad
from tests.fakes.highstate import STATES, highstate_of, progress_of

M = TypeVar("M", bound=bad.Misbehaviour)
Event = tuple[str, dict[str, Any]]
NONSENSE = "nonsense"  # the tag of what is put on the stream as it is
TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


@dataclass(frozen=True)
class Durations:
    """How long things take, in seconds."""

    create: float = 0.01
    boot: float = 0.02
    state: float = 0.005
    branches: float = 0.0


@dataclass
class Machine:
    """A server of the fake cloud, with its key, its record and its minion."""

    server: str
    address: str
    profile: str
    key: str = "accepted"
    state: str = "running"
    up: bool = False
    log: str = ""  # what its cloud tells of its console
    seen: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    killed: set[str] = field(default_factory=set)
    applying: str = ""  # the job of the highstate that runs; a second one beside it is turned away


@dataclass
class Job:
    """An entry of the job cache: the returns by minion id."""

    fun: str
    target: str
    returns: dict[str, dict[str, Any]] = field(default_factory=dict)


class FakeSalt:
    """The state of the fake, open to tests: look at `machines`, `records`, `jobs`; set `branches`, `script`."""

    def __init__(self, durations: Durations | None = None, profiles: Sequence[str] = ("small", "medium")) -> None:
        self.durations = durations or Durations()
        self.profiles = set(profiles)
        self.machines: dict[str, Machine] = {}
        self.records: dict[str, Record] = {}
        self.tombstones: dict[str, str] = {}
        self.jobs: dict[str, Job] = {}
        self.branches = branches_of_templates(TEMPLATES)
        self.executed: list[tuple[str, str, str]] = []  # (server, function, jid) as minions began them
        self.events: list[Event] = []  # everything that was fired, sent or not
        self.lock = threading.RLock()
        self._states: dict[str, Sequence[str]] = {}
        self._misbehaviours: list[bad.Misbehaviour] = []
        self._readers: dict[SimpleQueue[Event | None], bool] = {}  # value: hangs
        self._closing = threading.Event()
        self._last_jid = datetime.min.replace(tzinfo=UTC)
        self._addresses = 0
        self._locks: dict[str, threading.Lock] = {}

    # What a test says

    def misbehave(self, *misbehaviours: bad.Misbehaviour) -> None:
        """Let these go wrong from now on."""
        with self.lock:
            self._misbehaviours += misbehaviours
            if any(isinstance(one, bad.HangsStream) for one in misbehaviours):
                self._readers = dict.fromkeys(self._readers, True)

    def behave(self) -> None:
        """Let nothing go wrong from now on."""
        with self.lock:
            self._misbehaviours.clear()

    def script(self, server: str, states: Sequence[str]) -> None:
        """The states that this server's highstate runs, by id, instead of the usual ones."""
        self._states[server] = tuple(states)

    def start_minion(self, server: str) -> None:
        """Connect the server's minion and fire its start event, as after a restart of the machine."""
        self.machines[server].up = True
        self.fire(
            f"salt/minion/{server}/start", {"id": server, "data": f"Minion {server} started", "cmd": "_minion_event"}
        )

    def close(self) -> None:
        """End everything that still runs in this Salt."""
        self._closing.set()
        self.end_streams()

    def does(self, kind: type[M], server: str = "", when: Callable[[M], bool] = lambda one: True) -> M | None:
        """The misbehaviour of this kind that applies now, counted as an occasion of it."""
        with self.lock:
            for one in self._misbehaviours:
                if isinstance(one, kind) and one.applies(server) and when(one):
                    one.happened()
                    return one
            return None

    # The event bus

    def fire(self, tag: str, data: Mapping[str, Any]) -> None:
        """Put an event on the bus."""
        with self.lock:
            event = (tag, {**data, "_stamp": datetime.now(UTC).isoformat()})
            self.events.append(event)
            if self.does(bad.DropsStream):
                self.end_streams()
            if self.does(bad.DropsEvents, when=lambda one: fnmatch.fnmatchcase(tag, one.pattern)):
                return
            for reader, hangs in self._readers.items():
                for _ in range(2 if self.does(bad.RepeatsEvents) else 1):
                    if not hangs:
                        reader.put(event)

    def say(self, text: str) -> None:
        """Put `text` on every open stream, as it is."""
        with self.lock:
            for reader in self._readers:
                reader.put((NONSENSE, {"text": text}))

    def unsaid(self) -> bool:
        """Whether something waits to be put on a stream."""
        with self.lock:
            return any(not reader.empty() for reader in self._readers)

    def listen(self) -> SimpleQueue[Event | None]:
        """A queue of all events from now on; None ends it."""
        reader: SimpleQueue[Event | None] = SimpleQueue()
        with self.lock:
            self._readers[reader] = False
        return reader

    def leave(self, reader: SimpleQueue[Event | None]) -> None:
        """Stop listening."""
        with self.lock:
            self._readers.pop(reader, None)

    def end_streams(self) -> None:
        """Close every event stream."""
        with self.lock:
            for reader in self._readers:
                reader.put(None)
            self._readers.clear()

    # The clients of salt-api

    def new_jid(self) -> str:
        with self.lock:
            self._last_jid = max(datetime.now(UTC), self._last_jid + timedelta(microseconds=1))
            return f"{self._last_jid:%Y%m%d%H%M%S%f}"

    def runner(self, function: str, arguments: Mapping[str, Any], jid: str | None = None) -> Any:
        """Run a runner to its end: an entry in the job cache, two events, and its return."""
        jid = jid or self.new_jid()
        load = {"fun": f"runner.{function}", "jid": jid, "user": "brinepool", "fun_args": [dict(arguments)]}
        self.fire(f"salt/run/{jid}/new", load)
        result = self._run(function, arguments)
        if result is _NEVER:
            return None
        done = {**load, "return": result, "success": not str(result).startswith("Exception occurred")}
        self.jobs[jid] = Job(function, "fake_master", {"fake_master": {"return": done}})
        self.fire(f"salt/run/{jid}/ret", done)
        return result

    def runner_async(self, function: str, arguments: Mapping[str, Any]) -> dict[str, str]:
        """Start a runner; what salt-api answers at once."""
        jid = self.new_jid()
        self._in_background(lambda: self.runner(function, arguments, jid))
        return {"tag": f"salt/run/{jid}", "jid": jid}

    def publish(self, targets: Sequence[str], function: str, arguments: Sequence[Any], jid: str) -> dict[str, Any]:
        """Hand a job to minions; what salt-api answers at once: `{}` when the master has a key of none of them."""
        known = [name for name in targets if (found := self.machines.get(name)) and found.key == "accepted"]
        if not known:
            return {}
        jid = jid or self.new_jid()
        self.jobs.setdefault(jid, Job(function, known[0]))
        self.fire(f"salt/job/{jid}/new", {"jid": jid, "fun": function, "minions": known, "arg": list(arguments)})
        for name in known:
            self._receive(self.machines[name], jid, function, arguments)
        return {"jid": jid, "minions": known}

    # The master

    def _run(self, function: str, arguments: Mapping[str, Any]) -> Any:
        if self.does(bad.RunnerCrashes):
            return f"Exception occurred in runner {function}: Traceback (most recent call last):\nZeroDivisionError"
        return {
            "brinepool.create": self._create, "brinepool.destroy": self._destroy, "brinepool.put": self._put,
            "brinepool.inventory": self._inventory, "brinepool.branches": self._branches,
            "brinepool.boot_log": self._boot_log, "brinepool.providers": self._providers,
            "jobs.lookup_jid": self._lookup_jid,
        }[function](**arguments)  # fmt: skip

    def _create(self, record: Mapping[str, Any], profile: str, since: str = "") -> Any:
        try:
            wanted = Record.model_validate(record)
        except ValidationError as error:
            return _error("record-invalid", "The record is not valid.", str(error))
        if profile not in self.profiles:
            return _error("profile-unknown", f"There is no salt-cloud profile “{profile}”.", "")
        with self._of_name(wanted.server):
            if wanted.operation <= self.tombstones.get(wanted.server, ""):
                return _error("superseded", f"{wanted.server} was terminated by a later operation.", "")
            if self._is_older(wanted):
                return _error("superseded", f"The server {wanted.server} belongs to a later operation.", "")
            if failure := self.does(bad.CreateFails, wanted.server):
                return _error("create-failed", f"The cloud could not make {wanted.server}.", failure.detail)
            if (before := self.records.get(wanted.server)) and before.operation < since:
                self.machines.pop(wanted.server, None)
            created = wanted.server not in self.machines
            machine = self.machines.get(wanted.server) or self._make(wanted.server, profile)
            self.records[wanted.server] = wanted.model_copy(update={"address": machine.address})
        if self.does(bad.CreateTakesEffectButTimesOut, wanted.server):
            return _NEVER
        return {"ok": True, "created": created, "server": self._describe(wanted.server)}

    def _make(self, server: str, profile: str) -> Machine:
        self._closing.wait(self.durations.create)
        with self.lock:
            self._addresses += 1
            machine = Machine(server, f"127.99.{self._addresses // 250 + 1}.{self._addresses % 250 + 1}", profile)
            self.machines[server] = machine
        if silent := self.does(bad.NeverComesUp, server):
            machine.log = silent.log
        else:
            self._in_background(lambda: self._boot(machine))
        return machine

    def _boot(self, machine: Machine) -> None:
        self._closing.wait(self.durations.boot)
        if self.machines.get(machine.server) is machine:
            self.start_minion(machine.server)

    def _destroy(self, server: str, operation: str) -> Any:
        with self._of_name(server):
            if self.does(bad.DestroyFails, server):
                return _error("destroy-failed", f"The cloud could not remove {server}.", "in use")
            self.tombstones[server] = max(operation, self.tombstones.get(server, ""))
            self.records.pop(server, None)
            return {"ok": True, "existed": self.machines.pop(server, None) is not None}

    def _put(self, records: Sequence[Mapping[str, Any]]) -> Any:
        try:
            wanted = [Record.model_validate(record) for record in records]
        except ValidationError as error:
            return _error("record-invalid", "The record is not valid.", str(error))
        for record in wanted:
            if record.server not in self.machines:
                return _error("record-invalid", f"There is no server {record.server}.", "")
            if self._is_older(record):
                return _error("superseded", f"The server {record.server} belongs to a later operation.", "")
        self.records.update({record.server: record for record in wanted})
        return {"ok": True}

    def _is_older(self, record: Record) -> bool:
        known = self.records.get(record.server)
        return known is not None and known.operation > record.operation

    def _inventory(self) -> Any:
        names = sorted({*self.machines, *self.records})
        return {"ok": True, "servers": [self._describe(name) for name in names]}

    def _providers(self) -> Any:
        return {"ok": True, "profiles": dict.fromkeys(sorted(self.profiles), "sandbox")}

    def _boot_log(self, server: str, lines: int = 40) -> Any:
        machine = self.machines.get(server)
        return {"ok": True, "log": "\n".join(machine.log.splitlines()[-lines:]) if machine else ""}

    def _branches(self, template: str, role: str = "") -> Any:
        self._closing.wait(self.durations.branches)
        if not role:
            answers = {name: self._branches(template, name) for known, name in self.branches if known == template}
            failed = [answer for answer in answers.values() if not answer["ok"]]
            return failed[0] if failed else {"ok": True, "roles": answers} if answers else self._unknown(template)
        if not any(name == template for name, _ in self.branches):
            return self._unknown(template)
        if (template, role) not in self.branches:
            return _error("role-unknown", f"The template “{template}” has no role “{role}”.", "")
        names = self.branches[template, role]
        if not names:
            return _error("repository-unreachable", "The repository does not answer.", "fatal: not found")
        url = f"https://git.example.org/{template}/{role}.git"
        return {"ok": True, "repository": url, "default": names[0], "branches": sorted(names)}

    @staticmethod
    def _unknown(template: str) -> Any:
        return _error("template-unknown", f"There is no template “{template}”.", "")

    def _lookup_jid(self, jid: str, missing: bool = False) -> Any:
        job = self.jobs.get(jid)
        returns = {name: entry["return"] for name, entry in job.returns.items()} if job else {}
        if missing and job and job.target not in returns:
            returns[job.target] = "Minion did not return"
        out = next((entry.get("out") for entry in job.returns.values()), None) if job else None
        return {"outputter": out, "data": returns} if out else returns

    def _describe(self, server: str) -> dict[str, Any]:
        machine = self.machines.get(server)
        if machine is None:
            return {"server": server, "address": None, "state": "unknown", "key": None, "record": True}
        return {
            "server": server, "address": machine.address, "state": machine.state, "provider": "sandbox",
            "profile": machine.profile, "key": machine.key, "record": server in self.records,
        }  # fmt: skip

    def _of_name(self, server: str) -> threading.Lock:
        with self.lock:
            return self._locks.setdefault(server, threading.Lock())

    # The minions

    def _receive(self, machine: Machine, jid: str, function: str, arguments: Sequence[Any]) -> None:
        with self.lock:
            if not machine.up or jid in machine.seen:
                return
            machine.seen.add(jid)
            machine.running.add(jid)
            self.executed.append((machine.server, function, jid))
        self._in_background(lambda: self._execute(machine, jid, function, arguments))

    def _execute(self, machine: Machine, jid: str, function: str, arguments: Sequence[Any]) -> None:
        if function.startswith("brinepool."):
            if self.does(bad.Dies, machine.server):
                machine.up = False
                return
            if self.does(bad.ForgetsJobs, machine.server):
                machine.seen.clear()
                machine.running.clear()
                return
        ret, retcode, out = self._call(machine, jid, function, arguments)
        if not self._closing.is_set() and jid not in machine.killed:
            self._return(machine, jid, {"fun": function, "return": ret, "retcode": retcode, "out": out})
        machine.running.discard(jid)

    def _call(self, machine: Machine, jid: str, function: str, arguments: Sequence[Any]) -> tuple[Any, int, str]:
        if function == "test.ping":
            return True, 0, "nested"
        if function == "saltutil.find_job":
            wanted = str(arguments[0])
            return {"jid": wanted, "pid": 4711} if wanted in machine.running else {}, 0, "nested"
        if function == "saltutil.kill_job":
            return self._kill(machine, str(arguments[0])), 0, "nested"
        if function == "brinepool.highstate":
            return *self._highstate_alone(machine, jid), "highstate"
        if function == "brinepool.logs":
            return "listening\n", 0, "nested"
        return f"'{function}' is not available.", 254, "nested"

    def _kill(self, machine: Machine, jid: str) -> str:
        with self.lock:
            if jid not in machine.running:
                return ""
            machine.killed.add(jid)
            machine.running.discard(jid)
            machine.applying = "" if machine.applying == jid else machine.applying
            return f"Signal 9 sent to job {jid} at pid 4711"

    def _highstate_alone(self, machine: Machine, jid: str) -> tuple[Any, int]:
        with self.lock:
            if machine.applying:
                return [bad.ANOTHER_RUNS], 1
            machine.applying = jid
        try:
            return self._highstate(machine, jid)
        finally:
            with self.lock:
                machine.applying = "" if machine.applying == jid else machine.applying

    def _highstate(self, machine: Machine, jid: str) -> tuple[Any, int]:
        if self.does(bad.RenderError, machine.server):
            return [bad.RenderError.MESSAGE], 1
        record = self.records[machine.server]
        failure = self.does(bad.FailsDuringHighstate, machine.server) or self._missing_branch(record)
        states = highstate_of(record, self._states.get(machine.server, STATES), failure)
        for state in states.values():
            self._closing.wait(self.durations.state)
            if jid in machine.killed:
                break
            self.fire(f"salt/job/{jid}/prog/{machine.server}/{state['__run_num__']}", progress_of(state, len(states)))
        return states, 0 if all(state["result"] for state in states.values()) else 2

    def _missing_branch(self, record: Record) -> bad.FailsDuringHighstate | None:
        names = self.branches.get((record.template, record.role))
        missing = names is not None and record.branch not in names
        return bad.FailsDuringHighstate(branch=record.branch) if missing else None

    def _return(self, machine: Machine, jid: str, answer: dict[str, Any]) -> None:
        if not answer["fun"].startswith("saltutil") and self.does(bad.LosesReturns, machine.server):
            return
        entry = {key: answer[key] for key in ("return", "retcode", "out")}
        self.jobs.setdefault(jid, Job(answer["fun"], machine.server)).returns.setdefault(machine.server, entry)
        about = {"jid": jid, "id": machine.server, "cmd": "_return", "success": answer["retcode"] == 0}
        self.fire(f"salt/job/{jid}/ret/{machine.server}", {**about, **answer})

    def _in_background(self, work: Callable[[], object]) -> None:
        if not self._closing.is_set():
            threading.Thread(target=work, daemon=True, name="fake-salt").start()


_NEVER = object()


def _error(code: str, message: str, detail: str) -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message, "detail": detail}}


def branches_of_templates(folder: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """For each role of the curated templates its default branch and those that the sample apps have."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        template = Template.model_validate(YAML(typ="safe").load(path))
        for name, role in template.roles.items():
            found[template.name, name] = (role.branch, "feature/cart", "feature/tax", "broken/build", "broken/health")
    return found


def wait_until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Return as soon as `condition` holds; fail after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)
