"""A Salt that does everything at once, in this process, and a clock that a test moves: for a month within a minute.

No HTTP, no events and no job cache: `FakeSaltApi` is for what can go wrong there.
tests/contract/test_instant_contract.py runs the part of the port's contract that is left without them.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.domain.errors import NotFound, Unavailable
from orchestrator.domain.record import Record
from orchestrator.ports import Branches, Job, JobNews, JobReturn, Machine, SaltRefused, StateProgress
from tests.fakes.highstate import STATES, highstate_of
from tests.fakes.misbehaviour import FailsDuringHighstate


class Travelling:
    """The clock of a test: it stands until the test moves it, and only forwards."""

    def __init__(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def go(self, moment: datetime) -> datetime:
        """It is that moment now."""
        assert moment >= self._now, "time does not go backwards"
        self._now = moment.astimezone(UTC)
        return self._now

    def forward(self, span: timedelta) -> datetime:
        """So much later."""
        return self.go(self._now + span)


class InstantSalt:
    """Implements `ports.Salt`. Every machine runs as soon as it is made, and every job has returned as soon as it was
    submitted.

    Open to tests: `machines`, `records`, `destroyed` (who was removed by which operation, in order), `branches` (an
    empty tuple: the repository does not answer). `down`: it answers nobody. `returns`: cleared, jobs do not return
    until it is set again. `sick`: the servers on which a highstate fails.
    `silent`: those whose minion has died. `boot_logs`: what machines say of themselves.
    """

    def __init__(
        self, branches: Mapping[tuple[str, str], Sequence[str]], states: Sequence[str] = STATES,
        profiles: Sequence[str] = ("small", "medium"),
    ) -> None:  # fmt: skip
        self.branches_of = {key: tuple(names) for key, names in branches.items()}
        self.down = False
        self.sick: set[str] = set()
        self.silent: set[str] = set()
        self.boot_logs: dict[str, str] = {}
        self.returns = threading.Event()
        self.returns.set()
        self.machines: dict[str, Machine] = {}
        self.records: dict[str, Record] = {}
        self.destroyed: list[tuple[str, str]] = []
        self._states = tuple(states)
        self._profiles = set(profiles)
        self._tombstones: dict[str, str] = {}
        self._jobs: dict[str, tuple[str, list[StateProgress], JobReturn]] = {}
        self._last_jid = datetime.min.replace(tzinfo=UTC)
        self._addresses = 0
        self._lock = threading.Lock()

    def branches(self, template: str, role: str) -> Branches:
        every = self._of(template)
        if role not in every:
            raise SaltRefused("role-unknown", f"The template “{template}” has no role “{role}”.")
        return self._branches(template, role, every[role])

    def all_branches(self, template: str) -> Mapping[str, Branches]:
        return {role: self._branches(template, role, names) for role, names in self._of(template).items()}

    def providers(self) -> Mapping[str, str]:
        self.health()
        return dict.fromkeys(self._profiles, "sandbox")

    def create(self, record: Record, profile: str, seconds: float, since: str = "") -> Machine:
        self.health()
        with self._lock:
            if profile not in self._profiles:
                raise SaltRefused("profile-unknown", f"There is no salt-cloud profile “{profile}”.")
            if record.operation <= self._tombstones.get(record.server, ""):
                raise SaltRefused("superseded", f"{record.server} was terminated by a later operation.")
            if (before := self.records.get(record.server)) and before.operation < since:
                self.machines.pop(record.server, None)
            if record.server not in self.machines:
                self.machines[record.server] = self._made(record.server, profile)
            made = self.machines[record.server]
            self.records[record.server] = record.model_copy(update={"address": made.address})
            return made

    def destroy(self, server: str, operation: str, seconds: float) -> bool:
        self.health()
        with self._lock:
            self._tombstones[server] = max(operation, self._tombstones.get(server, ""))
            self.records.pop(server, None)
            self.silent.discard(server)
            existed = self.machines.pop(server, None) is not None
            if existed:
                self.destroyed.append((server, operation))
            return existed

    def put(self, records: Sequence[Record]) -> None:
        self.health()
        with self._lock:
            for record in records:
                if record.server not in self.machines:
                    raise SaltRefused("record-invalid", f"There is no server {record.server}.")
            self.records |= {record.server: record for record in records}

    def inventory(self) -> list[Machine]:
        self.health()
        with self._lock:
            return [self.machines[name] for name in sorted(self.machines)]

    def minion_started(self, server: str, seconds: float) -> bool:
        return server in self.answering([server], seconds)

    def answering(self, servers: Collection[str], seconds: float) -> frozenset[str]:
        self.health()
        with self._lock:
            up = {name for name, machine in self.machines.items() if machine.state == "running"}
            return frozenset(servers) & (up - self.silent)

    def new_jid(self) -> str:
        with self._lock:
            self._last_jid = max(datetime.now(UTC), self._last_jid + timedelta(microseconds=1))
            return f"{self._last_jid:%Y%m%d%H%M%S%f}"

    def submit(self, server: str, jid: str, function: str, argument: Mapping[str, Any] | None = None) -> None:
        self.health()
        with self._lock:
            if server not in self.machines:
                raise SaltRefused("server-unknown", f"The master knows no minion {server}.")
            if jid not in self._jobs:
                self._jobs[jid] = (server, *self._run(server, function))

    def news(self, server: str, jid: str, seconds: float) -> JobNews:
        self.health()
        if not self.returns.wait(seconds) and jid in self._jobs:
            return JobNews()
        with self._lock:
            if jid in self._jobs and self._jobs[jid][0] == server:
                _, progress, returned = self._jobs[jid]
                told = tuple(progress)
                progress.clear()  # whoever asks again, or later, gets the return alone
                return JobNews(told, returned)
            return JobNews(lost=server in self.machines)

    def kill(self, server: str, jid: str) -> None:
        self.health()
        with self._lock:
            if not self.returns.is_set() and self._jobs.get(jid, ("",))[0] == server:
                del self._jobs[jid]

    def job(self, jid: str) -> Job:
        self.health()
        with self._lock:
            if jid not in self._jobs:
                raise NotFound("job-unknown", f"Salt knows no job {jid}; it keeps what was returned for 24 hours.")
            server, _, returned = self._jobs[jid]
            return Job(jid, {server: returned if self.returns.is_set() else None})

    def boot_log(self, server: str) -> str:
        self.health()
        return self.boot_logs.get(server, "") if server in self.machines else ""

    def health(self) -> None:
        if self.down:
            raise Unavailable("salt-unreachable", "salt-api does not answer.")

    def _of(self, template: str) -> dict[str, tuple[str, ...]]:
        self.health()
        found = {role: names for (name, role), names in self.branches_of.items() if name == template}
        if not found:
            raise SaltRefused("template-unknown", f"There is no template “{template}”.")
        return found

    @staticmethod
    def _branches(template: str, role: str, names: Sequence[str]) -> Branches:
        if not names:
            raise SaltRefused("repository-unreachable", "The repository does not answer.")
        return Branches(f"https://git.example.org/{template}/{role}.git", "main", tuple(sorted(names)))

    def _made(self, server: str, profile: str) -> Machine:
        self._addresses += 1
        address = f"127.98.{self._addresses // 250 + 1}.{self._addresses % 250 + 1}"
        return Machine(server, address, "running", "instant", profile, "accepted", True)

    def _run(self, server: str, function: str) -> tuple[list[StateProgress], JobReturn]:
        if function != "highstate":
            return [], JobReturn("listening\n", 0)
        failure = FailsDuringHighstate(state=self._states[-1]) if server in self.sick else None
        states = highstate_of(self.records[server], self._states, failure)
        progress = [
            StateProgress(number, len(states), state["__id__"], state["result"])
            for number, state in enumerate(states.values(), 1)
        ]
        return progress, JobReturn(states, 2 if failure else 0)
