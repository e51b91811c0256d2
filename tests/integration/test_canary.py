"""Secrets of an env file are nowhere but where they must be, whatever fails: looked for in every byte that is left.

An app with a branch for each way to fail (`canary_app/`) shows the values of its env in every spelling, beside a word
that is no secret. Where that word is, output of the app came by; the secrets must not have come along.
"""

import json
import os
import random
import shutil
import signal
import string
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from ruamel.yaml import YAML

from orchestrator.settings import CHECKOUT
from tests.embedded import RunningStack, wait_for

from .canary_app.main.tell import NO_SECRET
from .test_brinepool import brine

APP = Path(__file__).parent / "canary_app"
ENV, SERVER = "bird", "bird-app-1"
CURATED = ("access.yaml", "failures", "salt")
# The only files that may hold a value: the minion's env file, and what the app itself writes.
MUST_HAVE_IT = {f"sandboxes/{SERVER}/srv/canary-app/.env", f"sandboxes/{SERVER}/srv/canary-app/app.log"}
TEMPLATE = {
    "name": "canary",
    "deadlines": {"boot": "2m", "configure": "2m", "health": "3s"},
    "roles": {
        "app": {
            "app": "canary-app",
            "repository": "https://git.example.org/canary/app.git",
            "profile": "small",
            "build": ["true", "exec python3 build.py"],
            "run": "exec python3 app.py",
            "port": 8000,
            "health": "/healthz",
        }
    },
}


def word() -> str:
    """Letters that are nowhere by chance, and that no spelling changes."""
    return "".join(random.choices(string.ascii_lowercase, k=12))  # noqa: S311


class Secrets:
    """One value with everything that is spelled in another way somewhere, one that looks like nothing, one in a URL."""

    def __init__(self) -> None:
        self.words = [word() for _ in range(6)]
        a, b, c, d, e, f = self.words
        self.canary = f"{a}/+ =&?%41'\"<{b}>\\$`#;\u00e9\u2028\U0001f426{c}"
        self.flavour = d
        self.database = f"postgres://shop:{e}%2F%40{f}@db.example.org:5432/shop"

    def env(self) -> str:
        quoted = self.canary.replace("\\", "\\\\").replace('"', '\\"')
        return f'CANARY="{quoted}"\nFLAVOUR={self.flavour}\nDATABASE_URL={self.database}\n'

    def found_in(self, data: bytes) -> list[str]:
        return [each for each in self.words if each.encode() in data.lower()]


class Watched:
    """The stack, and all that it ever told anybody: `told["where"]`."""

    def __init__(self, stack: RunningStack, site: Path, secrets: Secrets) -> None:
        self.stack, self.site, self.secrets = stack, site, secrets
        self.told: dict[str, bytes] = defaultdict(bytes)
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {stack.home.secret('admin-token')}"
        self.paths = self.http.get(f"{stack.home.url}/openapi.json", timeout=10).json()["paths"]

    def ask(self, path: str, method: str = "GET", body: Any = None, is_endless: bool = False) -> bytes:
        """What the API answers; of a stream that does not end what comes before some seconds of silence."""
        url, data = f"{self.stack.home.url}{path}", b""
        with self.http.request(method, url, json=body, stream=True, timeout=(10, 5 if is_endless else 60)) as answer:
            try:
                for chunk in answer.iter_content(None):
                    data += chunk
            except requests.ConnectionError:  # requests' word for a timeout in the middle
                assert is_endless, path
        self.told[f"{method} {path}"] += data
        return data

    def follow(self, accepted: bytes) -> dict[str, Any]:
        """The stream of an operation until it has ended; the operation."""
        operation = json.loads(accepted)["operation"]["id"]
        path = f"/api/v1/operations/{operation}/events"
        with self.http.get(f"{self.stack.home.url}{path}", stream=True, timeout=60) as answer:
            self.told[f"stream {path}"] = answer.content
        return json.loads(self.ask(f"/api/v1/operations/{operation}"))

    def deploy(self, branch: str) -> dict[str, Any]:
        return self.follow(self.ask(f"/api/v1/environments/{ENV}/deployments", "POST", {"what": branch}))

    def brine(self, *arguments: str) -> int:
        done = brine(self.stack, *arguments)
        self.told[f"brine {' '.join(arguments)}"] += (done.stdout + done.stderr).encode()
        return done.returncode

    def look_everywhere(self) -> None:
        """Everything that can be read about it, in all doors."""
        server = json.loads(self.ask(f"/api/v1/servers/{SERVER}"))
        for path, is_endless in self._readable(server):
            self.ask(path, is_endless=is_endless)
        for said in (f"why {ENV}", f"show {ENV}", f"show {SERVER}"):
            self.ask("/api/v1/chat", "POST", {"text": said})
        for arguments in (
            ("env", "show", ENV), ("env", "show", ENV, "--json"), ("env", "show", ENV, "--failure", "full"),
            ("env", "events", ENV), ("server", "logs", SERVER), ("job", server["jid"] or "20260101000000000000"),
        ):  # fmt: skip
            self.brine(*arguments)

    def _readable(self, server: dict[str, Any]) -> Iterator[tuple[str, bool]]:
        """Every path that can be GET, with our names in it, and whether it is a stream."""
        operation = json.loads(self.ask(f"/api/v1/environments/{ENV}"))["operation"]
        names = {"environments": ENV, "servers": SERVER, "templates": "canary"}
        for path, methods in self.paths.items():
            if "get" in methods and not ("{jid}" in path and not server["jid"]):
                noun = path.removeprefix("/api/v1/").split("/")[0]
                is_stream = "text/event-stream" in json.dumps(methods["get"]["responses"])
                yield path.format(name=names.get(noun), id=operation, jid=server["jid"]), is_stream


@contextmanager
def salts_events(watched: Watched) -> Iterator[None]:
    """Salt-api's event stream, as anybody with our account hears it."""
    home = watched.stack.home
    account = {"username": "brinepool", "password": home.secret("salt-api"), "eauth": "sharedsecret"}
    with requests.Session() as http:
        http.trust_env = False
        login = http.post(
            f"{home.salt_api_url}/login", json=account, headers={"Accept": "application/json"}, timeout=30
        )
        token = {"X-Auth-Token": login.json()["return"][0]["token"]}
        answer = http.get(f"{home.salt_api_url}/events", headers=token, stream=True, timeout=(10, 300))
        heard: list[bytes] = []
        thread = threading.Thread(target=_read_on, args=(answer, heard), daemon=True)
        thread.start()
        wait_for(lambda: heard)
        try:
            yield
        finally:
            answer.raw._fp.fp.raw._sock.shutdown(2)  # the reading thread is in the middle of it
            thread.join(10)
            watched.told["salt's events"] = b"".join(heard)


def _read_on(answer: requests.Response, heard: list[bytes]) -> None:
    try:
        for chunk in answer.iter_content(None):
            heard.append(chunk)
    except requests.RequestException:
        pass


@pytest.fixture(scope="module")
def watched(start_stack: Callable[..., RunningStack], tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A stack whose site has the app, its template and the secrets."""
    site, secrets = tmp_path_factory.mktemp("site"), Secrets()
    for name in CURATED:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, site / name)
    shutil.copytree(APP, site / "examples" / "canary-app")
    for folder in ("templates", "envfiles/canary"):
        (site / folder).mkdir(parents=True)
    with (site / "templates" / "canary.yaml").open("w") as file:
        YAML(typ="safe").dump(TEMPLATE, file)
    (site / "envfiles" / "canary" / "app.env").write_text(secrets.env())
    # Without the early check also what a highstate says of a misspelt branch is seen.
    return Watched(start_stack(site=site, early_branch_check=False), site, secrets)


@contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """The file with another text for a while."""
    before = path.read_text()
    path.write_text(text)
    yield
    path.write_text(before)


def fails(watched: Watched, branch: str, words: str) -> None:
    """The deploy fails, and is told. The words are somewhere in its job: it failed in the way that is meant."""
    assert watched.deploy(branch)["state"] == "failed", branch
    watched.look_everywhere()
    told = watched.ask(f"/api/v1/jobs/{json.loads(watched.ask(f'/api/v1/servers/{SERVER}'))['jid']}").decode()
    assert words in told, (branch, told)


def fail_in_every_way(watched: Watched) -> None:
    """One environment, made and changed in all the ways that fail."""
    env_file = watched.site / "envfiles" / "canary" / "app.env"
    formula = watched.site / "salt" / "states" / "app" / "env.sls"
    base = watched.stack.home.sandboxes / SERVER / "srv" / "canary-app"
    assert watched.brine("env", "create", "canary", ENV, "--branch", "build/prints") == 1
    assert watched.brine("env", "deploy", ENV, "health/page") == 1
    assert watched.brine("env", "deploy", ENV, "main") == 0
    watched.look_everywhere()
    for branch, words in (
        ("mian", "No revision matching"),
        ("build/prints", "It ended with exit code 3"),
        ("build/shells", "It ended with exit code 4"),
        ("build/raises", "RuntimeError"),
        ("build/killed", "It was killed (signal 9)"),
        ("start/raises", "Not healthy"),
        ("health/json", "Not healthy"),
        ("health/page", "Not healthy"),
        ("health/hangs", "Not healthy"),
        ("build/spoils", "canary-app"),
    ):
        fails(watched, branch, words)
    (base / "app.log").rmdir()
    a, *_ = watched.secrets.words
    for text, words in (
        (f"{watched.secrets.env()}this line is wrong, {a}\n", "line 4: write NAME=value"),
        (f'CANARY="{a} without an end\nFLAVOUR={a}\n', "line 1: write NAME=value"),
        (f'{watched.secrets.env()}KEY="{a}\\n{a}"\n', "The value of KEY has a line break"),
    ):
        with changed(env_file, text):
            fails(watched, "main", words)
    broken = formula.read_text() + "{{ pillar['brinepool']['env']['CANARY'].surely.missing }}\n"
    with changed(formula, broken):
        fails(watched, "main", "surely")
    killed_in_the_middle(watched, base)


def killed_in_the_middle(watched: Watched, base: Path) -> None:
    """The minion is killed while it builds; started again, it is asked again, and the build fails."""
    accepted = watched.ask(f"/api/v1/environments/{ENV}/deployments", "POST", {"what": "build/waits"})
    wait_for((base / "in-the-middle").exists)
    watched.look_everywhere()
    os.kill(watched.stack.main_process("salt-minion", SERVER), signal.SIGKILL)
    (base / "go-on").touch()
    assert watched.follow(accepted)["state"] == "failed"
    watched.look_everywhere()


def files_of(watched: Watched) -> Iterable[Path]:
    root = watched.stack.home.root
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.long
@pytest.mark.timeout(900)  # twenty deploys one after the other
def test_whatever_fails_no_secret_is_anywhere_but_on_its_own_machine(watched: Watched) -> None:
    home, secrets = watched.stack.home, watched.secrets
    with salts_events(watched):
        fail_in_every_way(watched)
    files = {str(path.relative_to(home.root)): path.read_bytes() for path in files_of(watched)}

    seen = NO_SECRET.encode()
    ways_out = ["salt's events", f"GET /api/v1/servers/{SERVER}", f"GET /api/v1/environments/{ENV}/events",
                f"GET /api/v1/servers/{SERVER}/logs", "POST /api/v1/chat", f"brine env show {ENV}",
                f"brine env show {ENV} --failure full", f"brine env show {ENV} --json",
                f"brine env create canary {ENV} --branch build/prints"]  # fmt: skip
    assert [way for way in ways_out if seen not in watched.told[way]] == [], "nothing came by there: nothing is shown"
    assert any(way.startswith("GET /api/v1/jobs/") and seen in told for way, told in watched.told.items())
    assert any(way.startswith("stream ") for way in watched.told)
    assert any(name.startswith("salt/cache/jobs/") and seen in data for name, data in files.items())
    assert any(name.startswith("brinepool.sqlite") and seen in data for name, data in files.items())
    assert {name for name in MUST_HAVE_IT if len(secrets.found_in(files[name])) < len(secrets.words)} == set()

    assert {way: found for way, told in watched.told.items() if (found := secrets.found_in(told))} == {}
    leaks = {name: found for name, data in files.items() if (found := secrets.found_in(data))}
    assert {name: found for name, found in leaks.items() if name not in MUST_HAVE_IT} == {}
