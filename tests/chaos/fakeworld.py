"""The fake world: a Brinepool process in a home of its own, over the fake Salt in this process."""

import json
import os
import secrets
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from orchestrator.bootstrap import SystemClock
from orchestrator.commands.tokens import hashed
from orchestrator.db.connect import connect, migrate
from orchestrator.db.store import SqlStore
from orchestrator.embedded import home
from orchestrator.settings import Settings
from tests import programs
from tests.chaos import faults
from tests.chaos.child import Start
from tests.chaos.master import Trap
from tests.chaos.plan import EVERYTHING, FAKE, PEOPLE, Kill, Round
from tests.chaos.rows import Rows
from tests.chaos.salt import ChaosSaltApi
from tests.chaos.verify import Run, Seen, complaints
from tests.chaos.verify import Start as AppStart
from tests.chaos.zygote import Zygote

TEMPLATE = programs.roomy_shop(boot="60s", configure="60s", terminate="15s").replace("{default: 2,", "{default: 1,")
_START_S = 30.0
_CAP = 3
# What is left over is to be seen, not tidied up; and there are more servers to build than may be built at once.
_SETTINGS = {"sweep_every": "12h", "building_at_once": _CAP}


class FakeWorld:
    """See the module; the methods are those of drive.World."""

    name = FAKE
    patience = 90.0
    pace = 1.0

    def __init__(self, folder: Path, mutation: str = "") -> None:
        self.folder, self.mutation = folder, mutation
        self.tokens = {person: secrets.token_urlsafe(32) for person in PEOPLE}
        self.api = ChaosSaltApi(folder / "salt")
        self._zygote = Zygote()
        self._pid = 0
        self._point, self._log = folder / "point.json", folder / "brinepool.log"
        self._log.touch()
        (folder / "site" / "templates").mkdir(parents=True)
        (folder / "site" / "templates" / "shop.yaml").write_text(TEMPLATE)
        people = "".join(f"  {person}: {{role: developer}}\n" for person in PEOPLE)
        (folder / "site" / "access.yaml").write_text(f"unknown: nothing\npeople:\n{people}")

    def begin(self) -> None:
        """Start everything."""
        self.api.start()
        self._settings = {
            "home": str(self.folder / "home"), "site": str(self.folder / "site"), "salt_api_url": self.api.url,
            **{key: value for key, value in _SETTINGS.items() if key in Settings.model_fields},
        }  # fmt: skip
        self._home = home.claim(Settings(**self._settings))
        self.url = self._home.url
        self.rows = Rows(self._home.root / "brinepool.sqlite")
        engine = connect(Settings(**self._settings).database)
        migrate(engine)
        with SqlStore(engine, SystemClock()).transaction() as ledger:
            for person, token in self.tokens.items():
                ledger.ensure_token(hashed(token), person, f"chaos-{person}")
        engine.dispose()
        self._start()

    def close(self) -> None:
        """End everything, and leave nothing."""
        if self._pid:
            self._kill_brinepool()
        self._zygote.close()
        self.rows.close()
        self.api.stop()
        self.api.salt.close()
        home.release(self._home)

    # Harm

    def arm(self, plan: Round) -> None:
        """Let the round's faults begin."""
        salt = self.api.salt
        self._happened, self._logged = Counter(salt.happened), self._log.stat().st_size
        salt.highstates.clear()
        salt.cloud.doubles.clear()
        salt.cloud.peak = salt.cloud.making
        salt.misbehave(*faults.misbehaviours(plan.faults))
        self._stepped = 0

    def lay(self, kill: Kill) -> None:
        """Let Brinepool die at a point, or the master at a step."""
        moment = kill.moment
        if moment.where == "step":
            self.api.salt.master.trap = Trap(moment.what, moment.nth, lambda: self._step_on(kill.down))
            return
        new = self._point.with_suffix(".new")
        new.write_text(json.dumps({"point": moment.what, "nth": moment.nth}))
        new.rename(self._point)

    def _step_on(self, down: float) -> None:
        self._stepped += 1
        self.api.salt.kill_master(down)

    def stepped(self) -> bool:
        """Whether a trap in the master has sprung since it was asked last."""
        sprung, self._stepped = self._stepped > 0, 0
        return sprung

    def has_died(self) -> bool:
        """Whether Brinepool has ended by itself: at a point, or, which must not be, in another way."""
        return self._pid != 0 and self._zygote.ended(self._pid) is not None

    def died_at_its_point(self) -> bool:
        """After `has_died`: whether it was told to."""
        self._pid = 0
        return not self._point.exists()

    def kill(self, kill: Kill) -> None:
        """Kill what is to be killed."""
        salt = self.api.salt
        if kill.target in ("brinepool", EVERYTHING) and self._pid:
            self._kill_brinepool()
        if kill.target == "salt-master":
            salt.kill_master(kill.down)
        if kill.target == "minions":
            salt.kill_minions(kill.down)
        if kill.target == EVERYTHING:
            salt.kill_master(0.05 if kill.late else kill.down)
            if not kill.late:
                salt.kill_minions(kill.down)
        if kill.target in ("salt-api", EVERYTHING):
            self.api.stop()

    def revive(self, kill: Kill) -> None:
        """After a while, start again what does not come back by itself."""
        threading.Event().wait(kill.down)
        if kill.target in ("salt-api", EVERYTHING):
            self.api.start_anew()
        if kill.target == EVERYTHING and kill.late:
            self.api.salt.kill_minions(0.05)
        if not self._pid:
            self._start()

    def calm(self) -> None:
        """Nothing goes wrong from now on."""
        self._point.unlink(missing_ok=True)
        self.api.salt.behave()
        if not self._pid:
            self._start()

    def _kill_brinepool(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        while self._zygote.ended(self._pid) is None:
            time.sleep(0.002)
        self._pid = 0

    def _start(self) -> None:
        self._pid = self._zygote.start(Start(self._settings, str(self._log), str(self._point), self.mutation))

    # What is there

    def look(self) -> None:
        """The fake keeps its own diary."""

    def is_still(self) -> bool:
        """Whether nothing is under way outside of Brinepool."""
        return self.api.salt.is_still()

    def tidy(self) -> None:
        """Nothing may be left to a sweep here."""

    def messages(self) -> Counter[str]:
        """What happened to messages since the round was armed."""
        return faults.messages(self.api.salt.happened - self._happened)

    def seen(self, since_operation: str, since_event: int, excused: frozenset[str]) -> Seen:
        """Everything that is to be compared."""
        salt, banks = self.api.salt, self.api.salt.master.banks()
        records = {name: salt.master.record(name) for name in banks["records"]}
        return Seen(
            operations=self.rows.operations(since_operation), environments=self.rows.environments(),
            servers=self.rows.servers(), events=self.rows.events(since_event),
            machines=[(each.id, each.name) for each in list(salt.cloud.instances)],
            keys={name: salt.master.key(name) for name in banks["keys"]},
            records={name: record for name, record in records.items() if record is not None},
            notes=frozenset(banks["notes"]), doubles=list(salt.cloud.doubles),
            built=(salt.cloud.peak, _CAP),
            runs=[Run(each.server, each.jid, each.operation, each.end, each.at) for each in list(salt.highstates)],
            starts=[AppStart(s.server, s.instance, s.operation, s.wanted) for s in list(salt.starts)],
            apps={each.id: salt.app(each.id) for each in list(salt.cloud.instances)}, excused=excused,
            complaints=complaints(self._log.read_bytes()[self._logged :].decode(errors="replace")),
        )  # fmt: skip
