"""The fake Salt of the chaos run: what tests/fakes has, with the real runner, and with parts that die and come back.

It keeps a diary of what it was made to do: highstates and starts of apps, for the verification.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.domain.record import Record
from tests.chaos.faults import DelaysEvents, MakesSlowly, StartsLate, TakesEffectButTimesOut, WorksSlowly
from tests.chaos.master import Cloud, Instance, Master, MasterKilled
from tests.fakes import misbehaviour as bad
from tests.fakes.highstate import STATES, highstate_of, progress_of
from tests.fakes.salt import _NEVER, Durations, FakeSalt, M, Machine
from tests.fakes.saltapi import FakeSaltApi

DURATIONS = Durations(create=0.03, boot=0.04, state=0.015)
_MASTER_PATIENCE = 10.0  # seconds for which minions try to hand in a return


@dataclass
class Highstate:
    """One run. `end`: running | done (the job cache has it) | lost (nobody will ever hear of it); `at`: since when."""

    server: str
    jid: str
    operation: str
    end: str = "running"
    at: float = 0.0


@dataclass(frozen=True)
class AppStart:
    """An app was started (again), because what it is to run had changed."""

    server: str
    instance: str
    operation: str
    wanted: str


class ChaosSalt(FakeSalt):
    """See the module. `happened`: how often which misbehaviour happened."""

    def __init__(self, folder: Path) -> None:
        super().__init__(DURATIONS, profiles=("small",))
        self.cloud = Cloud(self._making, born=self._born, died=self._died, refuses=self._refuses)
        self.master = Master(folder, self.cloud)
        self.cloud.key = self.master.accept
        self.happened: Counter[str] = Counter()
        self.highstates: list[Highstate] = []
        self.starts: list[AppStart] = []
        self._up = threading.Event()
        self._up.set()
        self._apps: dict[str, str] = {}  # by instance: what its app runs
        self._down = bad.MasterDown()
        self._accepted = 0  # runs of the runner that have not ended

    # Dying

    def kill_master(self, seconds: float) -> None:
        """The master dies with all its runs, and is back after a while."""
        self.master.killed()
        if self._up.is_set():
            self._up.clear()
            self.misbehave(self._down)
            self.end_streams()
            self._in_background(lambda: self._revive(seconds))

    def await_master(self) -> None:
        """Return when it is back."""
        self._up.wait(_MASTER_PATIENCE)

    def kill_minions(self, seconds: float) -> None:
        """Every minion dies with its jobs, and is back after a while, knowing nothing of them."""
        with self.lock:
            for machine in self.machines.values():
                machine.up = False
                self._lose(machine, machine.running)
                machine.seen.clear()
                machine.running.clear()
                machine.applying = ""
        self._in_background(lambda: self._restart_minions(seconds))

    def is_still(self) -> bool:
        """Whether nothing is under way: no run of the runner, no highstate, nobody who is down."""
        with self.lock:
            minions = all(machine.up and not machine.applying for machine in self.machines.values())
            return self._up.is_set() and self._accepted == 0 and minions

    def behave(self) -> None:
        """Let nothing go wrong from now on; a master that is down comes back in its time."""
        with self.lock:
            self._misbehaviours[:] = [one for one in self._misbehaviours if one is self._down]
        self.master.trap = None

    def does(self, kind: type[M], server: str = "", when: Callable[[M], bool] = lambda one: True) -> M | None:
        found = super().does(kind, server, when)
        if found is not None:
            self.happened[kind.__name__] += 1
        return found

    def misbehave(self, *misbehaviours: bad.Misbehaviour) -> None:
        super().misbehave(*misbehaviours)
        self.happened["HangsStream"] += sum(isinstance(one, bad.HangsStream) for one in misbehaviours)

    def _revive(self, seconds: float) -> None:
        self._closing.wait(seconds)
        with self.lock:
            self._misbehaviours[:] = [one for one in self._misbehaviours if one is not self._down]
        self._up.set()

    def _restart_minions(self, seconds: float) -> None:
        self._closing.wait(seconds)
        for name, machine in list(self.machines.items()):
            if not machine.up and self._may_speak(machine):
                self.start_minion(name)

    # Events and the clients of salt-api

    def fire(self, tag: str, data: Mapping[str, Any]) -> None:
        if late := self.does(DelaysEvents):
            self._in_background(lambda: self._fire_late(late.seconds, tag, data))
        else:
            super().fire(tag, data)

    def _fire_late(self, seconds: float, tag: str, data: Mapping[str, Any]) -> None:
        self._closing.wait(seconds)
        super().fire(tag, data)

    def runner(self, function: str, arguments: Mapping[str, Any], jid: str | None = None) -> Any:
        try:
            return super().runner(function, arguments, jid)
        except MasterKilled:  # salt-api waits for an answer that never comes, until whoever asked it hangs up
            raise ConnectionAbortedError from None

    def runner_async(self, function: str, arguments: Mapping[str, Any]) -> dict[str, str]:
        late = self.does(StartsLate, when=lambda one: one.function == function)
        jid, seconds = self.new_jid(), late.seconds if late else 0.0
        with self.lock:
            self._accepted += 1
        self._in_background(lambda: self._run_late(seconds, function, arguments, jid))
        return {"tag": f"salt/run/{jid}", "jid": jid}

    def _run_late(self, seconds: float, function: str, arguments: Mapping[str, Any], jid: str) -> None:
        life = self.master.life
        try:
            self._closing.wait(seconds)
            if life == self.master.life:
                self.runner(function, arguments, jid)
        finally:
            with self.lock:
                self._accepted -= 1

    def publish(self, targets: Sequence[str], function: str, arguments: Sequence[Any], jid: str) -> dict[str, Any]:
        for name in targets:
            if machine := self.machines.get(name):
                machine.key = "accepted" if self._may_speak(machine) else "denied"
        return super().publish(targets, function, arguments, jid)

    def _run(self, function: str, arguments: Mapping[str, Any]) -> Any:
        if function in ("brinepool.branches", "brinepool.boot_log") or not function.startswith("brinepool."):
            return super()._run(function, arguments)
        answer = self.master.call(function, arguments)
        unheard = self.does(TakesEffectButTimesOut, when=lambda one: one.function == function)
        return _NEVER if unheard else answer

    def _in_background(self, work: Callable[[], object]) -> None:
        def quietly() -> None:
            try:
                work()
            except (MasterKilled, ConnectionAbortedError):
                return  # nobody hears of it

        super()._in_background(quietly)

    # The cloud

    def _born(self, instance: Instance) -> None:
        machine = Machine(instance.name, instance.address, instance.profile, log=instance.id)
        with self.lock:
            self.machines[instance.name] = machine
        self._in_background(lambda: self._boot(machine))

    def _died(self, instance: Instance) -> None:
        with self.lock:
            found = self.machines.get(instance.name)
            if found is not None and found.log == instance.id:
                found.up = False
                self._lose(found, found.running)
                del self.machines[instance.name]

    def _making(self) -> float:
        slowly = self.does(MakesSlowly)
        return self.durations.create + (slowly.seconds if slowly else 0.0)

    def _refuses(self, verb: str, server: str) -> str:
        failure = self.does(bad.CreateFails if verb == "create" else bad.DestroyFails, server)
        return {"create": "quota exceeded", "destroy": "it is in use"}[verb] if failure else ""

    def _may_speak(self, machine: Machine) -> bool:
        """Whether the master has the key of this very machine."""
        return self.master.key(machine.server) == machine.log

    # Minions

    def start_minion(self, server: str) -> None:
        with self.lock:  # it may go at this very moment
            machine = self.machines.get(server)
            if machine is not None and self._may_speak(machine):
                super().start_minion(server)

    def _return(self, machine: Machine, jid: str, answer: dict[str, Any]) -> None:
        self._up.wait(_MASTER_PATIENCE)  # a minion hands its return in again when the master did not take it
        super()._return(machine, jid, answer)
        if answer["fun"] == "brinepool.highstate":
            for run in self.highstates:
                if (run.server, run.jid) == (machine.server, jid) and run.end == "running":
                    run.end = "done" if machine.server in self.jobs[jid].returns else "lost"
                    run.at = time.time()

    def _highstate(self, machine: Machine, jid: str) -> tuple[Any, int]:
        data = self.master.record(machine.server)
        if data is None:
            return ["Rendering SLS 'base:app' failed: there is no record of this server"], 1
        record = Record.model_validate(data)
        run = Highstate(machine.server, jid, record.operation)
        self.highstates.append(run)
        failure = self.does(bad.FailsDuringHighstate, machine.server)
        states = highstate_of(record, STATES, failure)
        slow = self.does(WorksSlowly, machine.server, when=WorksSlowly.is_due)
        for state in states.values():
            self._closing.wait(self.durations.state + (slow.seconds if slow else 0.0))
            if jid in machine.killed:
                run.end = "lost"  # unless it was known at once, as it is of one that had begun
                break
            if state["__id__"] == "service" and state["result"]:
                self._run_app(machine, record)
            self.fire(f"salt/job/{jid}/prog/{machine.server}/{state['__run_num__']}", progress_of(state, len(states)))
        return states, 0 if all(state["result"] for state in states.values()) else 2

    def _kill(self, machine: Machine, jid: str) -> str:
        with self.lock:
            said = super()._kill(machine, jid)
            self._lose(machine, machine.killed)
            return said

    def _lose(self, machine: Machine, jids: Set[str]) -> None:
        """These jobs end at this moment, whatever the threads that stand for them wait for."""
        machine.killed |= jids
        for run in list(self.highstates):
            if run.server == machine.server and run.jid in jids and run.end == "running":
                run.end = "lost"

    def _run_app(self, machine: Machine, record: Record) -> None:
        """The app is started when it does not run, or is to run something else now."""
        wanted = f"{record.branch} {sorted(record.siblings.items())}"
        if self._apps.get(machine.log) != wanted:
            self._apps[machine.log] = wanted
            self.starts.append(AppStart(machine.server, machine.log, record.operation, wanted))

    def app(self, instance: str) -> str:
        """What the app of that instance runs; "" for nothing."""
        return self._apps.get(instance, "")


class ChaosSaltApi(FakeSaltApi):
    """Its salt-api."""

    salt: ChaosSalt

    def __init__(self, folder: Path) -> None:
        super().__init__(ChaosSalt(folder))

    def start_anew(self) -> None:
        """Listen again after `stop`; a port that somebody else just used is waited for."""
        for _ in range(200):
            with suppress(OSError):
                self.start()
                return
            threading.Event().wait(0.05)
        raise TimeoutError("the port of the fake salt-api is not free again")
