"""The remote steps: each calls Salt, is idempotent by the server's name, and returns plain data (checkpoints are JSON).

What goes wrong is returned as `{"failure": {...}}`, never raised: a checkpointed exception would come back as its name.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ulid import ULID

from orchestrator.domain import wiring
from orchestrator.domain.durations import format_duration
from orchestrator.domain.environment import Environment, Server
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.failures import (
    Catalogue,
    Failure,
    Subject,
    branch_missing,
    explain,
    never_started,
    no_return,
    salt_refused,
    unanswered,
)
from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.record import Record, record_for
from orchestrator.domain.template import Deadlines, Template, public_url
from orchestrator.ports import DATABASE_AWAY, JobReturn, Ledger, SaltRefused, StateProgress, Superseded

from .runtime import SLICE, current, parse, pause_if_stopping, seconds_until
from .stories import context, server_of, still_in_charge
from .waiting import (
    BOOTING,
    CLEARING,
    FOLLOWING,
    MAKING,
    REMOVING,
    SUBMITTING,
    WIRING,
    Phase,
    because,
    note_resumed,
    note_waiting,
    since_of,
)

log = logging.getLogger(__name__)

Data = dict[str, Any]
_SILENCE = timedelta(seconds=12)  # a busy minion reports its first state well within this
_PING = 15.0  # seconds a minion gets to answer when its job stays silent
_RUNNER = 60.0  # seconds
_KILL_AGAIN = 0.5  # seconds
_MANY = 10_000  # more events than an operation has


def create_machine(operation: str, server: str, until: str) -> Data:
    """Make the machine. → {"address", "port"} or {"failure"}."""
    deadline = parse(until)

    def attempt() -> Data:
        with current().store.transaction() as ledger:
            still_in_charge(ledger, operation)
            record, profile = _record(ledger, operation, server), _server(ledger, operation, server).profile
            since = _born(context(ledger, operation)[1])
        machine = current().salt.create(record, profile, _slice(deadline), since)
        return {"address": machine.address, "port": record.port}

    return _patiently(attempt, operation, server, deadline, MAKING)


def wire(operation: str, servers: Sequence[str], until: str) -> Data:
    """Write the records of `servers`, with their siblings' addresses. → {server: {} or {"failure"}}."""

    def put(names: Sequence[str]) -> Data:
        with current().store.transaction() as ledger:
            still_in_charge(ledger, operation)
            records = [_record(ledger, operation, name) for name in names]
        current().salt.put(records)
        return {}

    if not servers:
        return {}
    together = _patiently(partial(put, servers), operation, "", parse(until), WIRING)
    if "failure" not in together:
        return {server: {} for server in servers}
    # One record that is refused must not keep the others from theirs.
    return {server: _patiently(partial(put, [server]), operation, server, parse(until), WIRING) for server in servers}


def await_minion(operation: str, server: str, until: str) -> Data:
    """Wait until the minion answers. → {} or {"failure"}."""
    deadline = parse(until)

    def attempt() -> Data:
        while (left := seconds_until(deadline)) > 0:
            started = current().salt.minion_started(server, min(SLICE, left))
            _answered(operation, server)
            if started:
                return {}
            _wanted(operation)
        waited = _allowed(operation, BOOTING)
        return {"failure": never_started(server, waited, _boot_log(server), _catalogue()).to_data()}

    return _patiently(attempt, operation, server, deadline, BOOTING)


def submit_highstate(operation: str, server: str, jid: str, until: str) -> Data:
    """Hand the highstate to the minion under `jid`. → {} or {"failure"}.

    A job that an earlier process may have handed over already is first asked for: a minion that was restarted in
    between has forgotten the jid and would run it a second time. Nobody knows whether one that is not wanted any more
    was handed over, so it is ended, too.
    """
    salt, chosen, deadline = current().salt, current().chosen, parse(until)

    def attempt() -> Data:
        _wanted(operation)
        if jid not in chosen and _is_known(server, jid):
            return {}
        salt.submit(server, jid, "highstate")
        return {}

    with _ended_if_superseded(operation, server, jid, deadline):
        return _patiently(attempt, operation, server, deadline, SUBMITTING)


def follow_highstate(operation: str, server: str, jid: str, until: str) -> Data:
    """Follow the job to its return. → {"commit"}, {"failures": [...]}, {"failure"} or {"lost": True}.

    Beside `failures` there may be {"busy": True}: another highstate was running. One that is not wanted any more, or
    takes too long, is ended on its minion, so that nothing goes on there behind our back.
    """
    deadline, since = parse(until), current().clock.now()
    heard = threading.Event()

    def attempt() -> Data:
        while seconds_until(deadline) > 0:
            news = current().salt.news(server, jid, SLICE)
            _answered(operation, server)
            if news.progress:
                heard.set()
                _tell(operation, server, news.progress)
            if news.returned is not None:
                return _told(operation, server, news.returned)
            if news.lost:
                return {"lost": True}
            _wanted(operation)
            if not heard.is_set() and current().clock.now() - since > _SILENCE:
                heard.set()  # ask once only
                if not current().salt.minion_started(server, _PING):
                    return {"failure": never_started(server, _took(since), _boot_log(server), _catalogue()).to_data()}
        _kill(operation, server, jid, deadline)
        waited, reached = _allowed(operation, FOLLOWING), _reached(operation, server)
        return {"failure": no_return(server, waited, _boot_log(server), _catalogue(), reached).to_data()}

    with _ended_if_superseded(operation, server, jid, deadline):
        return _patiently(attempt, operation, server, deadline, FOLLOWING)


def let_another_end(operation: str) -> Data:
    """Give a highstate that runs already a moment to end. → {}"""
    current().stopping.wait(SLICE)
    _wanted(operation)
    return {}


def destroy_machine(operation: str, server: str, until: str) -> Data:
    """Remove the machine, its key and its record. → {} or {"failure"}."""
    deadline = parse(until)

    def attempt() -> Data:
        current().salt.destroy(server, operation, _slice(deadline))
        return {}

    return _patiently(attempt, operation, server, deadline, REMOVING)


def clear_machine(operation: str, server: str, until: str) -> Data:
    """Remove what is there of a server that this operation is about to make anew. → {} or {"failure"}.

    Under the id just before its own, which is later than all that made the server: its tombstone would keep the
    operation itself from making it.
    """
    deadline, before = parse(until), str(ULID.from_int(int(ULID.from_str(operation)) - 1))

    def attempt() -> Data:
        _wanted(operation)
        current().salt.destroy(server, before, _slice(deadline))
        return {}

    return _patiently(attempt, operation, server, deadline, CLEARING)


def _patiently(attempt: Callable[[], Data], operation: str, server: str, deadline: datetime, phase: Phase) -> Data:
    """Repeat `attempt` while Salt does not answer, until the deadline of `phase`; a refusal is an answer."""
    pause = 0.2
    try:
        while True:
            try:
                outcome = attempt()
            except SaltRefused as refused:
                outcome = {"failure": _refusal(server, refused).to_data()}
            except Unavailable as error:
                if error.code == DATABASE_AWAY:
                    raise
                _wanted(operation)
                if (left := seconds_until(deadline)) > 0:
                    _away(operation, server, error)
                    current().stopping.wait(min(pause, left))
                    pause_if_stopping()
                if seconds_until(deadline) <= 0:
                    return {"failure": _out_of_time(operation, server, phase, error).to_data()}
                pause = min(pause * 2, SLICE)
                continue
            _answered(operation, server)
            return outcome
    finally:
        current().outages.end(operation, server)


def _away(operation: str, server: str, error: Unavailable) -> None:
    """Salt is away: the operation says that it waits."""
    now = current().clock.now()
    since = since_of(error, now)
    if current().outages.begin(operation, server):
        with current().store.transaction() as ledger:
            note_waiting(ledger, operation, error, since, now)
        current().hub.notify()


def _answered(operation: str, server: str) -> None:
    """Salt answers: an operation that waited says that it goes on."""
    outages = current().outages
    if outages.end(operation, server) or outages.is_new(operation):
        with current().store.transaction() as ledger:
            note_resumed(ledger, operation, current().clock.now())
        current().hub.notify()


@contextmanager
def _ended_if_superseded(operation: str, server: str, jid: str, deadline: datetime) -> Iterator[None]:
    try:
        yield
    except Superseded:
        _kill(operation, server, jid, deadline)
        raise


def _kill(operation: str, server: str, jid: str, deadline: datetime) -> None:
    """End a highstate that nobody waits for any more; not on a server that is about to go anyway.

    While Salt does not answer it is tried again, until the moment at which the job should have ended by itself.
    """
    while _stays(operation):
        try:
            current().salt.kill(server, jid)
        except (SaltRefused, Unavailable) as error:
            if isinstance(error, Unavailable) and (left := seconds_until(deadline)) > 0:
                current().stopping.wait(min(_KILL_AGAIN, left))
                pause_if_stopping()
                continue
            log.warning("the highstate %s on %s could not be ended: %s", jid, server, error)
        return


def _stays(operation: str) -> bool:
    """Whether its environment is not on its way out."""
    with current().store.transaction() as ledger:
        _, environment = context(ledger, operation)
    return environment.status not in (EnvironmentStatus.TERMINATING, EnvironmentStatus.TERMINATED)


def _refusal(server: str, refused: SaltRefused) -> Failure:
    return salt_refused(server, refused.code, refused.message, refused.detail, _catalogue())


def _out_of_time(operation: str, server: str, phase: Phase, error: Unavailable) -> Failure:
    return unanswered(server, phase.undone, _allowed(operation, phase), error, because(error))


def _allowed(operation: str, phase: Phase) -> str:
    """How long a phase may take. Not how long it did: an earlier process may have begun it."""
    with current().store.transaction() as ledger:
        _, environment = context(ledger, operation)
    template = current().templates.current().templates.get(environment.template)
    return format_duration(phase.span(template.deadlines if template else Deadlines()))


def _reached(operation: str, server: str) -> str:
    """How far its highstate came, as a sentence."""
    with current().store.transaction() as ledger:
        events = ledger.events(None, operation, 0, _MANY)
    ended = [each.data for each in events if each.server == server and each.kind == "server.state_finished"]
    if not ended:
        return "None of its steps ended."
    return f"The last of its steps that ended was “{ended[-1]['state']}” ({ended[-1]['n']} of {ended[-1]['of']})."


def _catalogue() -> Catalogue:
    return current().failures.current().catalogue


def _boot_log(server: str) -> str:
    """The end of the minion's own log, as far as it can be had; not having it must not hide what happened."""
    try:
        return current().salt.boot_log(server)
    except (SaltRefused, Unavailable):
        return ""


def _slice(deadline: datetime) -> float:
    """How long one call to the master may take. A runner that was killed with its master never answers, so the call is
    repeated (it is idempotent) instead of waited for until the deadline."""
    return min(seconds_until(deadline), _RUNNER)


def _wanted(operation: str) -> None:
    pause_if_stopping()
    with current().store.transaction() as ledger:
        still_in_charge(ledger, operation)


def _is_known(server: str, jid: str) -> bool:
    news = current().salt.news(server, jid, SLICE)
    return news.returned is not None or not news.lost


def _tell(operation: str, server: str, progress: Sequence[StateProgress]) -> None:
    with current().store.transaction() as ledger:
        found, _ = context(ledger, operation)
        for state in progress:
            told = {"phase": "configuring", "state": state.name, "n": state.n, "of": state.of, "ok": state.ok}
            ledger.note(found, "server.state_finished", server, **told)
    current().hub.notify()


def _told(operation: str, server: str, returned: JobReturn) -> Data:
    with current().store.transaction() as ledger:
        subject, template = _subject(ledger, operation, server)
    causes = explain(returned.ret, subject, _catalogue(), returned.retcode)
    if not causes:
        return {"commit": deployed_commit(returned.ret)}
    busy = {"busy": True} if any(cause.code == "highstate-running" for cause in causes) else {}
    return {"failures": [_with_branches(cause, subject, template).to_data() for cause in causes]} | busy


def deployed_commit(ret: object) -> str | None:
    """The commit that the highstate checked out, as the state `brinepool_app.built` tells it in `data`."""
    for state in ret.values() if isinstance(ret, dict) else ():
        data = state.get("data") if isinstance(state, dict) else None
        if isinstance(data, dict) and data.get("commit"):
            return str(data["commit"])
    return None


def _with_branches(cause: Failure, subject: Subject, template: str) -> Failure:
    """A missing branch is told with the nearest ones; not knowing them must not hide the cause."""
    if cause.code != "branch-missing":
        return cause
    try:
        known = current().salt.branches(template, subject.role)
    except (SaltRefused, Unavailable):
        return cause
    return branch_missing(replace(subject, repository=known.repository, branches=known.names))


def _subject(ledger: Ledger, operation: str, name: str) -> tuple[Subject, str]:
    _, environment = context(ledger, operation)
    server = server_of(ledger, environment.id, name)
    repository = _template(environment).roles[server.role].repository
    return Subject(name, server.role, server.branch, public_url(repository)), environment.template


def _record(ledger: Ledger, operation: str, name: str) -> Record:
    _, environment = context(ledger, operation)
    server, template = server_of(ledger, environment.id, name), _template(environment)
    role = template.roles[server.role]
    around = ledger.servers(environment.id) + (ledger.servers(environment.uses) if environment.uses else [])
    base = record_for(
        operation, template.name, environment.name, name, server.role, role, server.branch,
        int(template.deadlines.health.total_seconds()),
    )  # fmt: skip
    return base.model_copy(update={"address": server.address, "siblings": wiring.siblings(role, around)})


def _born(environment: Environment) -> str:
    """The lowest operation id that its operations can have: ids begin with their time, and the environment's is first.
    https://github.com/ulid/spec: 10 characters of time, 16 of randomness."""
    return environment.id[:10].ljust(26, "0")


def _template(environment: Environment) -> Template:
    template = current().templates.current().templates.get(environment.template)
    if template is None:
        raise SaltRefused("template-unknown", f"The template “{environment.template}” is not there any more.")
    return template


def _server(ledger: Ledger, operation: str, name: str) -> Server:
    _, environment = context(ledger, operation)
    return server_of(ledger, environment.id, name)


def _took(since: datetime) -> str:
    return format_duration(current().clock.now() - since)
