"""The ways in which a failure is produced. Each gives the part of a recording that Salt said."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from . import repository
from .case import Call, Case, Highstate
from .stage import GIT_HOST, SERVERS, NotProduced, Stage, await_that

LOG_LINES = 40
HIGHSTATE_SECONDS = 180
BOOT_SECONDS = 150  # a minion tries for a minute before it complains of its master
DISPOSABLE = "cart-test-web-9"


def produce(case: Case, folder: Path, stage: Stage) -> dict[str, Any]:
    """What Salt said. Raises NotProduced."""
    ways: dict[str, Callable[[Case, Path, Stage], dict[str, Any]]] = {
        "apply": _apply, "call": _call, "highstate": _highstate, "low": _low,
        "request": _request, "job": _job, "silence": _silence,
    }  # fmt: skip
    chosen = [way for way in ways if getattr(case, way) is not None]
    if len(chosen) != 1:
        raise NotProduced(f"case.yaml has to say exactly one of {', '.join(ways)}.")
    stage.set_scene(folder, case.master)
    with _prepared(case, folder, stage):
        return ways[chosen[0]](case, folder, stage)


@contextmanager
def _prepared(case: Case, folder: Path, stage: Stage) -> Iterator[None]:
    """What case.yaml has before, beside and after the failure itself."""
    server = _first(case)
    with ExitStack() as undo:
        for line in case.after:
            undo.callback(stage.shell, line, server, folder, check=False)
        if not case.highstate:  # else when the app is deployed
            undo.enter_context(_broken(case, folder, stage))
        yield


@contextmanager
def _broken(case: Case, folder: Path, stage: Stage) -> Iterator[None]:
    server = _first(case)
    for line in case.before:
        stage.shell(line, server, folder)
    with ExitStack() as undo:
        if case.meanwhile:
            undo.enter_context(stage.beside(case.meanwhile.run, case.meanwhile.until, server, folder))
        yield


def _first(case: Case) -> str:
    return next(iter(SERVERS)) if case.server in ("*", "") else case.server


def _servers(case: Case) -> list[str]:
    return list(SERVERS) if case.server == "*" else [_first(case)]


def _apply(case: Case, folder: Path, stage: Stage) -> dict[str, Any]:
    names = [case.apply] if isinstance(case.apply, str) else list(case.apply or ())
    return _returned(case, stage, Call(function="state.apply", arguments=(",".join(names),), keywords=case.keywords))


def _call(case: Case, folder: Path, stage: Stage) -> dict[str, Any]:
    assert case.call
    return _returned(case, stage, case.call)


def _known(case: Case, stage: Stage) -> dict[str, list[str]]:
    """The branches that there are, when the case is about one."""
    name = case.repository.removeprefix(GIT_HOST)
    there = case.kind == "git" and (stage.home.repos / name / "HEAD").is_file()
    return {"branches": repository.listed(stage.home, name)} if there else {}


def _returned(case: Case, stage: Stage, call: Call) -> dict[str, Any]:
    servers = _servers(case)
    full = stage.call(servers, call.function, call.arguments, call.keywords, case.timeout)
    return _of_minions(case, full) | _known(case, stage)


def _of_minions(case: Case, full: Mapping[str, Any]) -> dict[str, Any]:
    first = next(iter(full.values()))
    one = case.server != "*"
    return {
        "ret": first["ret"] if one else {server: answer["ret"] for server, answer in sorted(full.items())},
        "retcode": max(answer.get("retcode", 0) for answer in full.values()),
        "out": first.get("out", "nested"),
    }


def _highstate(case: Case, folder: Path, stage: Stage) -> dict[str, Any]:
    """The formula, on an app whose branch is broken."""
    wanted = case.highstate
    assert wanted
    servers = _servers(case)
    # Not the usual build, which takes its time, unless the case asks for it.
    record = {"branch": "feature/cart", "build": [], "health_deadline": 3} | wanted.record
    name = str(record.get("repository", f"{GIT_HOST}shop/api.git")).removeprefix(GIT_HOST)
    with ExitStack() as undo:
        if (stage.home.repos / name).is_dir():
            undo.enter_context(_pushed(wanted, record, name, folder, stage))
            known = repository.listed(stage.home, name)
        else:
            known = []
        if wanted.deployed is not None:
            _deploy(stage, servers, {"branch": "main", "build": []} | wanted.deployed)
        undo.enter_context(_broken(case, folder, stage))
        for server in servers:
            stage.put(server, record)
        full = stage.call(servers, "brinepool.highstate", seconds=HIGHSTATE_SECONDS)
    about = {"branch": record["branch"], "repository": record.get("repository", f"{GIT_HOST}{name}")}
    return _of_minions(case, full) | about | ({"branches": known} if case.kind == "git" else {})


@contextmanager
def _pushed(wanted: Highstate, record: Mapping[str, Any], name: str, folder: Path, stage: Stage) -> Iterator[None]:
    app = folder / "app"
    branch = record["branch"] if wanted.push else ""
    files = app if app.is_dir() else None
    with repository.branches(stage.home, name, branch, files, wanted.branches):
        yield


def _deploy(stage: Stage, servers: list[str], record: Mapping[str, Any]) -> None:
    for server in servers:
        stage.put(server, record)
    for server, answer in stage.call(servers, "brinepool.highstate", seconds=HIGHSTATE_SECONDS).items():
        if answer.get("retcode"):
            raise NotProduced(f"The earlier highstate of {server} failed: {json.dumps(answer['ret'])[:2000]}")


def _low(case: Case, folder: Path, stage: Stage) -> dict[str, Any]:
    low = case.low or {}
    try:
        return {"ret": stage.low(low)}
    finally:
        if server := low.get("kwarg", {}).get("record", {}).get("server"):
            stage.destroy(server)  # what a create that failed has left


def _request(case: Case, folder: Path, stage: Stage) -> dict[str, Any]:
    asked = case.request
    assert asked
    more: dict[str, Any] = {"headers": asked.headers}
    if asked.body is not None:
        more["data"] = asked.body
    elif asked.json_body is not None:
        more["json"] = asked.json_body
    answer = stage.request(asked.method, asked.path, asked.user, asked.token, **more)
    headers = {"Content-Type": answer.headers.get("Content-Type", "")}
    return {"ret": {"status": answer.status_code, "headers": headers, "body": answer.text}}


def _job(case: Case, folder: Path, stage: Stage) -> dict[str, Any]:
    """A job, as the job cache tells of it afterwards."""
    job = case.job
    assert job
    if job.break_it:
        with _disposable(stage) as server:
            jid = _published(job.call, server, stage)
            _break(stage, server, folder, job.until, job.break_it)
            return _asked(job.ask, jid, stage)
    server = _first(case)
    jid = _published(job.call, server, stage)
    await_that(lambda: server in stage.runner("jobs.list_job", jid=jid).get("Result", {}), "the job did not return")
    return _asked(job.ask, jid, stage)


def _published(call: Call, server: str, stage: Stage) -> str:
    return stage.publish(server, call.function, call.arguments, call.keywords)


def _asked(ask: str, jid: str, stage: Stage) -> dict[str, Any]:
    if ask == "get":
        return {"ret": stage.request("GET", f"/jobs/{jid}").json()}
    return {"ret": stage.low({"client": "runner", "fun": f"jobs.{ask}", "kwarg": {"jid": jid}})}


@contextmanager
def _disposable(stage: Stage) -> Iterator[str]:
    """A server of its own, because it is broken for good."""
    server = DISPOSABLE
    stage.create(server, "web")
    try:
        yield server
    finally:
        stage.destroy(server)


def _break(stage: Stage, server: str, folder: Path, until: str, lines: tuple[str, ...]) -> None:
    await_that(lambda: stage.shell(until, server, folder, check=False) == 0, f"“{until}” never held")
    for line in lines:
        stage.shell(line, server, folder)


def _silence(case: Case, folder: Path, stage: Stage) -> dict[str, Any]:
    """A server that does not answer, with the end of its log."""
    silence = case.silence
    assert silence
    with _disposable(stage) as server, _asking(stage, server, silence.asked) as asking:
        log = stage.sandbox(server) / "log" / silence.log
        _break(stage, server, folder, silence.until, silence.break_it)
        await_that(lambda: silence.heard in _read(log), f"the log has no “{silence.heard}”", BOOT_SECONDS)
        ret = _answer(asking, server)
        return {"ret": ret, "log": "\n".join(_read(log).splitlines()[-LOG_LINES:])}


@contextmanager
def _asking(stage: Stage, server: str, asked: tuple[str, ...]) -> Iterator[subprocess.Popen[str] | None]:
    if not asked:
        yield None
        return
    command = [str(stage.home.bin / "salt"), "-c", str(stage.home.etc), "--out=json", "-t", "4", server, *asked]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def _answer(asking: subprocess.Popen[str] | None, server: str) -> Any:
    if asking is None:
        return None
    said = asking.communicate(timeout=90)[0]
    return json.loads(said[said.index("{") : said.rindex("}") + 1])[server]


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
