"""Bringing one server to where it should be: its minion answers, then a highstate that succeeds."""

from datetime import timedelta

from dbos import DBOS

from orchestrator.domain.failures import Failure, leading, no_return
from orchestrator.domain.lifecycle import ServerStatus
from orchestrator.ports import Ledger

from .highstate_steps import follow_highstate, let_another_end, submit_highstate
from .machine_steps import await_minion
from .runtime import current, record, remote
from .slots import await_turn, no_turn, queue_deadline
from .stories import context, fail_server, server_of, server_story

_PATIENCE = 15  # how often a highstate that runs already is given a moment to end; one that was cancelled takes seconds
_ATTEMPTS = 3  # a job is lost when its minion restarts; more than that is not bad luck


@DBOS.workflow(name="boot_and_configure_server")
@server_story
def boot_and_configure_server(operation: str, server: str) -> None:
    """A new server: wait for its turn and for its minion, then configure it."""
    turn = remote(await_turn, operation, server, record(queue_deadline, operation))
    if "failure" in turn:
        record(no_turn, operation, server, turn)
        return
    waited = remote(await_minion, operation, server, record(boot_deadline, operation))
    if "failure" in waited:
        record(fail_server, operation, server, Failure.from_data(waited["failure"]))
        return
    _configure(operation, server, booted=True)


@DBOS.workflow(name="configure_server")
@server_story
def configure_server(operation: str, server: str) -> None:
    """A server that runs: configure it."""
    _configure(operation, server, booted=False)


def _configure(operation: str, server: str, booted: bool) -> None:
    job, lost, busy = record(_configuring, operation, server, booted), 0, 0
    while True:
        outcome = remote(submit_highstate, operation, server, job["jid"], job["until"])
        if "failure" not in outcome:
            outcome = remote(follow_highstate, operation, server, job["jid"], job["until"])
        lost, busy = lost + ("lost" in outcome), busy + ("busy" in outcome)
        if not {"lost", "busy"} & outcome.keys() or lost == _ATTEMPTS or busy == _PATIENCE:
            break
        if "busy" in outcome:
            remote(let_another_end, operation)
        job = job | record(_again, operation, server)
    record(_conclude, operation, server, outcome)


def boot_deadline(ledger: Ledger, operation: str) -> str:
    """Until when a server must have booted, ISO 8601; checkpointed, so that a crash does not extend it."""
    _, environment = context(ledger, operation)
    template = current().templates.current().templates.get(environment.template)
    return (current().clock.now() + (template.deadlines.boot if template else timedelta(minutes=10))).isoformat()


def configure_deadline(ledger: Ledger, operation: str) -> str:
    """Until when a highstate, health checks included, must have ended."""
    _, environment = context(ledger, operation)
    template = current().templates.current().templates.get(environment.template)
    span = template.deadlines.configure + template.deadlines.health if template else timedelta(minutes=20)
    return (current().clock.now() + span).isoformat()


def _configuring(ledger: Ledger, operation: str, server: str, booted: bool) -> dict[str, str]:
    """Choose the job id before anything is submitted under it. → {"jid", "until"}."""
    found, environment = context(ledger, operation)
    if booted:
        ledger.note(found, "server.booted", server, phase="booting")
    jid = _new_jid()
    ledger.move_server(
        environment.id, server, operation, ServerStatus.CONFIGURING, kind="server.configuring", jid=jid, failure=None
    )
    return {"jid": jid, "until": configure_deadline(ledger, operation)}


def _again(ledger: Ledger, operation: str, server: str) -> dict[str, str]:
    """Another job id, for a job that was lost. → {"jid"}."""
    _, environment = context(ledger, operation)
    jid = _new_jid()
    ledger.change_server(environment.id, server, operation, jid=jid)
    return {"jid": jid}


def _new_jid() -> str:
    jid = current().salt.new_jid()
    current().chosen.add(jid)
    return jid


def _conclude(ledger: Ledger, operation: str, server: str, outcome: dict[str, object]) -> None:
    failures = [Failure.from_data(data) for data in outcome.get("failures", ())]  # type: ignore[attr-defined]
    if "failure" in outcome:
        failures = [Failure.from_data(outcome["failure"])]  # type: ignore[arg-type]
    elif "lost" in outcome:
        failures = [no_return(server, "three attempts")]
    if failures:
        fail_server(ledger, operation, server, leading(failures))
        return
    found, environment = context(ledger, operation)
    now = current().clock.now()
    first = server_of(ledger, environment.id, server).ready_at or now
    ledger.move_server(
        found.environment, server, operation, ServerStatus.READY,
        kind="server.ready", commit=outcome.get("commit"), ready_at=first, failure=None,
        degraded=None, degraded_since=None,
    )  # fmt: skip
