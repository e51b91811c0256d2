"""From a record to a wired page, with Salt alone: salt-run and salt, no orchestrator anywhere."""

import json
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from ruamel.yaml import YAML

from orchestrator.domain.record import Record, record_for
from orchestrator.domain.template import Template
from orchestrator.settings import CHECKOUT
from tests.embedded import RunningStack, wait_for

pytestmark = pytest.mark.long

SECRET = "sample-only-not-a-password"  # in envfiles/shop/api.env
OPERATIONS = iter(f"01KB{number:022d}" for number in range(1, 100))


class Shop:
    """An environment made by hand, as the orchestrator would make it, with salt-run and salt."""

    def __init__(self, stack: RunningStack, name: str, template: str = "shop") -> None:
        self.stack, self.name = stack, name
        self.template = Template.model_validate(YAML(typ="safe").load(CHECKOUT / "templates" / f"{template}.yaml"))

    def record(self, role: str, number: int, branch: str = "main", **changes: object) -> Record:
        server = f"{self.name}-{role}-{number}"
        made = record_for(
            next(OPERATIONS), self.template.name, self.name, server, role, self.template.roles[role], branch, 30
        )
        return made.model_copy(update=changes)

    def run(self, function: str, **arguments: object) -> dict:
        texts = [f"{key}={json.dumps(value)}" for key, value in arguments.items()]
        return json.loads(self.stack.run("salt-run", "--out=json", f"brinepool.{function}", *texts).stdout)

    def create(self, *records: Record) -> list[Record]:
        """The servers of the records, their minions answering; the records with their addresses."""
        with ThreadPoolExecutor() as pool:
            made = list(pool.map(lambda record: self.run("create", record=dump(record), profile="small"), records))
            assert all(answer["ok"] and answer["created"] for answer in made), made
            list(pool.map(lambda record: self.stack.await_minion(record.server), records))
        return [
            record.model_copy(update={"address": answer["server"]["address"]})
            for record, answer in zip(records, made, strict=True)
        ]

    def put(self, record: Record, **changes: object) -> Record:
        changed = record.model_copy(update={"operation": next(OPERATIONS), **changes})
        assert self.run("put", records=[dump(changed)]) == {"ok": True}
        return changed

    def highstate(self, record: Record) -> "Run":
        answer = self.stack.run("salt", "--out=json", "-t", "60", record.server, "brinepool.highstate")
        return Run(json.loads(answer.stdout)[record.server], answer.returncode)

    def deploy(self, record: Record, **changes: object) -> tuple[Record, "Run"]:
        changed = self.put(record, **changes)
        return changed, self.highstate(changed)


class Run:
    """What a highstate returned, by state id."""

    def __init__(self, returned: dict, returncode: int) -> None:
        assert isinstance(returned, dict), returned
        self.returned, self.returncode = returned, returncode
        self.states = {state["__id__"]: state for state in returned.values()}
        self.ok = all(state["result"] for state in returned.values())

    def root_causes(self) -> list[str]:
        return [
            id_
            for id_, state in self.states.items()
            if state["result"] is False and state.get("__state_ran__") is not False
        ]

    def changed(self) -> set[str]:
        return {id_ for id_, state in self.states.items() if state["changes"]}


def dump(record: Record) -> dict:
    return record.model_dump(mode="json")


def get(record: Record, path: str = "/") -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{record.address}:{record.port}{path}", timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def wired(record: Record, api: Record) -> Record:
    return record.model_copy(update={"siblings": {"api": [f"{api.address}:{api.port}"]}})


def test_an_environment_is_wired_deployed_and_leaves_nothing(stack):
    shop = Shop(stack, "wired")
    api, web = shop.create(shop.record("api", 1), shop.record("web", 1))
    web = shop.put(web, siblings={"api": [f"{api.address}:{api.port}"]})
    with ThreadPoolExecutor() as pool:  # the web server does not wait for the API's highstate, only for its address
        runs = list(pool.map(shop.highstate, [web, api]))
    assert [run.root_causes() for run in runs] == [[], []]
    assert "Pickled lemons" in get(web)
    assert f"Products from <b>http://{api.address}:8000</b>: branch <b>main</b>" in get(web)
    assert oct((stack.home.sandboxes / api.server / "srv" / "shop-api" / ".env").stat().st_mode)[-3:] == "600"

    again = shop.highstate(web)
    assert (again.ok, again.changed()) == (True, set())

    web, other = shop.deploy(web, branch="feature/cart")
    assert other.ok, other.root_causes()
    assert {"checkout", "build", "service"} <= other.changed()
    assert other.states["build"]["data"]["commit"] == other.states["checkout"]["changes"]["revision"]["new"]
    assert "Add to cart" in get(web)

    for record in (api, web):
        assert shop.run("destroy", server=record.server, operation=next(OPERATIONS)) == {"ok": True, "existed": True}
    assert shop.run("inventory") == {"ok": True, "servers": []}
    history = {"tombstones", "jobs"}  # what was done stays known for a while
    traces = [path for path in stack.home.salt.rglob("*wired-*") if not history & set(path.parts)]
    assert traces == []
    assert not stack.accepted_keys() & {api.server, web.server}
    assert not any((stack.home.sandboxes / record.server).exists() for record in (api, web))
    assert stack.processes(sandbox=api.server) == []


def test_failures_show_their_root_cause_and_the_next_deploy_repairs(stack):
    shop = Shop(stack, "broken")
    (api,) = shop.create(shop.record("api", 1))
    assert shop.highstate(api).ok

    _, run = shop.deploy(api, branch="no/such-branch")
    assert (run.root_causes(), run.returncode != 0) == (["checkout"], True)
    assert run.states["checkout"]["comment"] == "No revision matching 'no/such-branch' exists in the remote repository"
    assert run.states["health"]["__state_ran__"] is False

    _, run = shop.deploy(api, branch="broken/build")
    assert run.root_causes() == ["build"]
    assert "brinepool-sample-that-does-not-exist" in run.states["build"]["comment"]
    assert "Step 2 of 2" in run.states["build"]["comment"]
    assert run.states["build"]["data"]["commit"]

    _, run = shop.deploy(api, branch="broken/health", health_deadline=2)
    assert run.root_causes() == ["health"]
    assert "needs schema 4: run the migration first" in run.states["health"]["comment"]

    _, run = shop.deploy(api, run="echo the disk is full; exit 3", health_deadline=60)
    assert run.root_causes() == ["health"]
    assert "the disk is full" in run.states["health"]["comment"]

    _, run = shop.deploy(api)
    assert run.ok, run.root_causes()
    assert '"Pickled lemons"' in get(api, "/products")


def test_local_changes_and_locks_of_a_killed_git_do_not_stop_a_deploy(stack):
    shop = Shop(stack, "dirty")
    (api,) = shop.create(
        shop.record("api", 1, build=(), run="exec python3 -m http.server --bind $HOST $PORT", health="/")
    )
    assert shop.highstate(api).ok
    checkout = stack.home.sandboxes / api.server / "srv" / "shop-api" / "checkout"
    (checkout / "app.py").write_text("changed by hand")
    (checkout / ".git" / "index.lock").touch()
    (checkout / ".git" / "refs" / "heads" / "deployed.lock").touch()
    api, run = shop.deploy(api, branch="feature/tax")
    assert run.ok, run.root_causes()
    assert "changed by hand" not in (checkout / "app.py").read_text()
    assert "RATE = 0.19" in (checkout / "prices.py").read_text()


def test_a_killed_highstate_is_completed_by_the_next(stack):
    """Killed after the build and before the restart: what runs is compared with what was built."""
    shop = Shop(stack, "killed")
    (api,) = shop.create(
        shop.record("api", 1, build=(), run="exec python3 -m http.server --bind $HOST $PORT", health="/")
    )
    assert shop.highstate(api).ok
    started = stack.home.sandboxes / api.server / "srv" / "shop-api" / "release.started"
    started.write_text(started.read_text().replace('"commit": "', '"commit": "0'))
    run = shop.highstate(api)
    assert (run.ok, run.changed()) == (True, {"build", "service"})
    assert shop.highstate(api).changed() == set()


@pytest.mark.parametrize("code", [0, 1])
def test_no_value_leaves_the_minion(stack, code):
    """Printed by a build, a start and a health check, whether they work or fail."""
    shop = Shop(stack, f"secret{code}")
    build = (f"echo $DATABASE_PASSWORD; env; exit {code}",)
    run = 'env; set -x; : "$DATABASE_PASSWORD"; exec python3 -m http.server --bind $HOST $PORT'
    (api,) = shop.create(shop.record("api", 1, build=build, run=run, health=f"/{'no-such-page' if code else ''}"))
    listen = [str(stack.home.bin / "salt-run"), "-c", str(stack.home.etc), "state.event", "pretty=False"]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as bus:
        try:
            wait_for(lambda: stack.run("salt-run", "--out=json", "event.send", "content/listening").returncode == 0)
            shop.highstate(api)
            failing = shop.put(api, build=(), health_deadline=1)
            second = shop.highstate(failing)
            logs = stack.call(api.server, "brinepool.logs", "lines=100")
            stack.run("salt-run", "event.send", "content/ended")
            heard = _until(bus, "content/ended")
        finally:
            bus.terminate()
    assert "/prog/" in heard
    assert "DATABASE_PASSWORD=***" in logs
    home = stack.home.sandboxes / api.server
    assert SECRET in (home / "srv" / "shop-api" / "app.log").read_text()  # the app did print it
    for text in (heard, logs, json.dumps(second.returned)):
        assert SECRET not in text
    cached = [path for path in (stack.home.salt / "cache" / "jobs").rglob("*") if path.is_file()]
    written = cached + list(stack.home.log.iterdir()) + list((home / "log").iterdir())
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


def _until(bus, tag: str) -> str:
    heard = []
    for line in bus.stdout:
        heard.append(line)
        if line.startswith(tag):
            return "".join(heard)
    raise AssertionError("the event bus ended: " + "".join(heard))


def test_an_app_without_python_gets_its_wiring_at_build_time(stack):
    notes = Shop(stack, "notes", template="notes")
    data, site = notes.create(notes.record("data", 1), notes.record("site", 1))
    site = notes.put(site, siblings={"data": [f"{data.address}:8000"]})
    assert notes.highstate(data).ok
    assert notes.highstate(site).ok
    assert f'<iframe src="http://{data.address}:8000/notes.txt"' in get(site)
    assert "Lemons keep for a year." in get(data, "/notes.txt")
    site, run = notes.deploy(site, siblings={"data": ["127.0.0.9:8000"]})
    assert run.ok, "another address is another build"
    assert "http://127.0.0.9:8000/notes.txt" in get(site)


def test_branches_come_from_the_template_s_repository(stack):
    answer = Shop(stack, "none").run("branches", template="shop", role="web")
    assert answer["ok"]
    assert {"main", "feature/cart", "feature/tax", "broken/build", "broken/health"} <= set(answer["branches"])
    assert (answer["default"], answer["repository"]) == ("main", "https://git.example.org/shop/web.git")


def test_the_env_file_has_the_values_and_the_return_has_none(stack, tmp_path):
    shop = Shop(stack, "env")
    (api,) = shop.create(shop.record("api", 1, build=(), run="true"))
    answer = stack.call(api.server, "state.single", "brinepool_app.env_file", str(tmp_path / ".env"))
    (state,) = answer.values()
    assert state["result"] is True
    assert SECRET not in json.dumps(answer)
    assert f"DATABASE_PASSWORD={SECRET}\n" in (tmp_path / ".env").read_text()
