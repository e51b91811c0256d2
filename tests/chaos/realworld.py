"""The real world: the whole embedded stack in a home of its own, with its processes, keys and folders."""

import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_urlsafe

import requests
import salt.config
import salt.payload

from orchestrator.bootstrap import SystemClock
from orchestrator.commands.tokens import hashed
from orchestrator.db.connect import connect
from orchestrator.db.store import SqlStore
from orchestrator.domain.errors import BrinepoolError
from orchestrator.embedded import home, launcher, stack
from orchestrator.saltext.stored import MACHINES, Stored
from orchestrator.settings import CHECKOUT, Settings
from tests.chaos.drive import Outcome, carry_out
from tests.chaos.master import RECORDS
from tests.chaos.plan import EVERYTHING, PEOPLE, REAL, Kill, Round, plan_round
from tests.chaos.rows import Row, Rows
from tests.chaos.verify import Run, Seen, Start, complaints

_LOOK_S = 0.3
_WRITTEN_S = 5.0  # within which an app that was started has said what it runs
_SWEEPS = 3  # the second one removes; another operation may have been at work on that name during the first
_SWEEP_S = 90.0
_STARTED = "--- started"  # what an app's start script says first
_SITE = ("envfiles", "examples", "failures", "salt")


def rounds(seed: int, numbers: Sequence[int], until: float, keep: Path | None = None) -> Iterator[Outcome | str]:
    """Carry out these rounds on one embedded stack; a text is what broke it. No new round begins after `until`."""
    folder = Path(tempfile.mkdtemp(prefix="brine-chaos-", dir=keep))
    world = RealWorld(folder)
    try:
        world.begin()
        for number in numbers:
            if time.time() > until:
                break
            yield carry_out(world, plan_round(seed, number, REAL))
    except Exception:  # noqa: BLE001  (whatever it is, it is told)
        yield traceback.format_exc()
    finally:
        world.close()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Counted:
    """How often an app was started, as far as noted; when it wrote what it runs, and when that was looked at last."""

    count: int = 0
    written: int = 0
    since: float = 0.0


class RealWorld:
    """See the module; the methods are those of drive.World."""

    name = REAL
    patience = 240.0
    pace = 6.0

    def __init__(self, folder: Path) -> None:
        self.tokens = {person: token_urlsafe(32) for person in PEOPLE}
        self.settings = Settings(home=folder / "home", site=_site(folder / "site"))
        self._lives = 0  # how often all sandboxes were killed: apps are started anew then
        self._looked = 0.0
        self._counted: dict[str, _Counted] = {}
        self._starts: list[Start] = []
        self._told: Counter[str] = Counter()

    def begin(self) -> None:
        self.home = home.claim(self.settings)
        stack.up(self.settings, lambda _: None)
        self.url, self._log = self.home.url, self.home.log / "brinepool.out"
        self.rows = Rows(self.home.root / "brinepool.sqlite")
        engine = connect(self.settings.database)
        with SqlStore(engine, SystemClock()).transaction() as ledger:
            for person, token in self.tokens.items():
                ledger.ensure_token(hashed(token), person, f"chaos-{person}")
        engine.dispose()
        self._opts = salt.config.master_config(str(self.home.etc / "master"))

    def close(self) -> None:
        stack.down(self.settings, lambda _: None)
        left = launcher.find({"BRINE_HOME": str(self.home.root)})
        home.release(self.home)
        assert left == [], left

    # Harm

    def arm(self, plan: Round) -> None:
        self._starts.clear()
        self._counted.clear()
        self._told = Counter()
        self._logged = self._log.stat().st_size

    def lay(self, kill: Kill) -> None:
        """Nothing can be told to die at a point here."""

    def stepped(self) -> bool:
        return False

    def has_died(self) -> bool:
        return False  # whatever dies is started again by its supervisor, and was killed by us

    def died_at_its_point(self) -> bool:
        return False

    def kill(self, kill: Kill) -> None:
        if kill.target == EVERYTHING:
            self._lives += 1
            for process in launcher.find({"BRINE_HOME": str(self.home.root)}):
                launcher.send(process.pid, signal.SIGKILL)
        elif kill.target == "minions":
            for sandbox in self._sandboxes():
                self._end("salt-minion", sandbox)
        else:
            self._end(kill.target, "")

    def revive(self, kill: Kill) -> None:
        """What supervisord does not do: everything anew."""
        if kill.target == EVERYTHING:
            time.sleep(kill.down)
            self._up()

    def calm(self) -> None:
        self._up()

    def _up(self) -> None:
        for attempt in range(3):
            try:
                stack.up(self.settings, lambda _: None)
                return
            except BrinepoolError:
                if attempt == 2:
                    raise

    def _end(self, program: str, sandbox: str) -> None:
        """Kill the process that a program began with; its children are its supervisor's business."""
        found = launcher.find({"BRINE_HOME": str(self.home.root), "BRINE_PROGRAM": program, "BRINE_SANDBOX": sandbox})
        for process in found:
            if process.pid == process.group:
                launcher.send(process.pid, signal.SIGKILL)

    # What is there

    def look(self) -> None:
        """Note which apps have been started since, and what for."""
        if time.monotonic() - self._looked < _LOOK_S:
            return
        self._looked = time.monotonic()
        for name in self._sandboxes():
            for log in (self.home.sandboxes / name / "srv").glob("*/app.log"):
                with suppress(OSError):
                    self._note_starts(name, log)

    def _note_starts(self, name: str, log: Path) -> None:
        """An app says in its log that it is started, and a moment later in a file what it is started from."""
        own = f"{name}@{(self.home.sandboxes / name / 'meta.json').stat().st_ino}"
        file = log.parent / "release.started"
        count, written = log.read_text(errors="replace").count(_STARTED), file.stat().st_mtime_ns
        known = self._counted.get(own, _Counted())
        new = count - known.count
        if new <= 0 or (written == known.written and time.monotonic() - known.since < _WRITTEN_S):
            self._counted[own] = replace(known, since=time.monotonic()) if new <= 0 else known
            return
        self._counted[own] = _Counted(count, written, time.monotonic())
        operation = next((row["operation"] for row in self._environments(name)), "")
        self._starts += [Start(name, f"{own}#{self._lives}", operation, file.read_text())] * new

    def _environments(self, server: str) -> Iterator[dict[str, str]]:
        yield from (row for row in self.rows.environments() if server.startswith(f"{row['name']}-"))

    def is_still(self) -> bool:
        status = stack.status(self.settings)
        return status.running and all(sandbox.state == "running" for sandbox in status.sandboxes)

    def messages(self) -> Counter[str]:
        return self._told

    def tidy(self) -> None:
        """Let sweeps remove keys that minions asked for when they had gone already; nothing else is left to them.

        A request to be let in may wait at a busy master until after its server was removed. It lets nobody in, and the
        sweep is there to remove it; that it does, on its second sighting, is part of what is shown.
        """
        for _ in range(_SWEEPS):
            late = self._late_keys()
            if not late:
                return
            self._told["keys that were asked for too late"] += len(late)
            self._sweep()

    def _late_keys(self) -> list[str]:
        stored, ours = Stored(self._opts), {row["name"] for row in self.rows.servers()}
        return [name for name in self._keys(stored) - ours if stored.key(name) == "pending"]

    def _sweep(self) -> None:
        headers = {"Authorization": f"Bearer {self.home.secret('admin-token')}"}
        with requests.Session() as session:
            session.trust_env = False
            run = session.post(f"{self.url}/api/v1/leaks", headers=headers, timeout=30).json()["id"]
            until = time.monotonic() + _SWEEP_S
            while time.monotonic() < until:
                found = session.get(f"{self.url}/api/v1/reaper/runs", params={"id": run}, headers=headers, timeout=30)
                if found.json().get("ended_at"):
                    return
                time.sleep(_LOOK_S)

    def seen(self, since_operation: str, since_event: int, excused: frozenset[str]) -> Seen:
        stored = Stored(self._opts)
        names = stored._cache.list(RECORDS) or []
        records = {name: stored.record(name) for name in names}
        events = self.rows.events(since_event)
        processes = launcher.find({"BRINE_HOME": str(self.home.root)})
        return Seen(
            operations=self.rows.operations(since_operation), environments=self.rows.environments(),
            servers=self.rows.servers(), events=events, machines=[(name, name) for name in self._sandboxes()],
            keys={name: self._bearer(stored, name) for name in self._keys(stored)},
            records={name: record for name, record in records.items() if record is not None},
            notes=frozenset(stored._cache.list(MACHINES) or []),
            processes=frozenset(each.marks["BRINE_SANDBOX"] for each in processes if "BRINE_SANDBOX" in each.marks),
            runs=list(self._runs(events)), starts=list(self._starts), excused=excused,
            complaints=complaints(self._log.read_bytes()[self._logged :].decode(errors="replace")),
        )  # fmt: skip

    def _sandboxes(self) -> list[str]:
        """The folders of servers. A claim that was cut off (`.making-…`) is none; the next claim clears it away."""
        return sorted(entry.name for entry in self.home.sandboxes.iterdir() if entry.is_dir() and entry.name[0] != ".")

    @staticmethod
    def _keys(stored: Stored) -> set[str]:
        return set(stored._keys.list("keys") or []) | set(stored._keys.list("denied_keys") or [])

    def _bearer(self, stored: Stored, name: str) -> str:
        """The name when the key that the master accepts is the one of this sandbox's minion; else what it is."""
        entry, file = stored._keys.fetch("keys", name) or {}, self.home.sandboxes / name / "etc" / "pki" / "minion.pub"
        with suppress(OSError):
            if entry.get("state") == "accepted" and file.read_text().split() == str(entry.get("pub", "")).split():
                return name
        return f"a key that is {stored.key(name) or 'gone'}"

    def _runs(self, events: Sequence[Row]) -> Iterator[Run]:
        """The highstates of the round, from the master's job cache; each belongs to whoever configured last."""
        configured = [
            (str(event["data"]["jid"]), str(event["server"]), str(event["operation"]))
            for event in events
            if event["kind"] == "server.configuring"
        ]
        first = min((jid for jid, _, _ in configured), default="")
        for file in (self.home.salt / "cache" / "jobs").glob("*/*/.load.p"):
            load = salt.payload.load(file.open("rb"))
            if load.get("fun") != "brinepool.highstate" or not first or str(load["jid"]) < first:
                continue
            for server in load["tgt"]:
                before = [each for each in configured if each[1] == server and each[0] <= str(load["jid"])]
                if before:
                    yield Run(server, str(load["jid"]), max(before)[2], _end(file.parent / server / "return.p"))


def _end(file: Path) -> str:
    """What came of a highstate. One that was turned away, because another was running, did nothing."""
    try:
        returned = salt.payload.load(file.open("rb"))
    except OSError:
        return "lost"
    return "lost" if "Another highstate" in str(returned)[:200] else "done"


def _site(folder: Path) -> Path:
    """What ops curate, with people of our own, and room for all that they make."""
    folder.mkdir(parents=True)
    for name in _SITE:
        (folder / name).symlink_to(CHECKOUT / name)
    (folder / "templates").mkdir()
    shop = (CHECKOUT / "templates" / "shop.yaml").read_text()
    shop = shop.replace("per_person: 3", "per_person: 20").replace("{default: 2, min: 1", "{default: 1, min: 1")
    shop = shop.replace("{boot: 10m, configure: 20m, health: 2m}", "{boot: 3m, configure: 3m, health: 1m}")
    (folder / "templates" / "shop.yaml").write_text(shop)
    people = "".join(f"  {person}: {{role: developer}}\n" for person in PEOPLE)
    (folder / "access.yaml").write_text(f"unknown: nothing\npeople:\n{people}")
    return folder
