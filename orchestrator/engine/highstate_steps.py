"""The remote steps of a highstate: handing it over, following it to its return, and ending one that is not wanted."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.domain.durations import format_duration
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.failures import Failure, Subject, branch_missing, explain, never_started, no_return
from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.template import public_url
from orchestrator.ports import JobReturn, Ledger, SaltRefused, StateProgress, Superseded

from .machine_steps import template_of
from .patience import Data, allowed, answered, boot_log, catalogue, patiently, wanted
from .runtime import SLICE, current, parse, pause_if_stopping, seconds_until
from .stories import context, server_of
from .waiting import FOLLOWING, SUBMITTING

log = logging.getLogger(__name__)

_SILENCE = timedelta(seconds=12)  # a busy minion reports its first state well within this
_PING = 15.0  # seconds a minion gets to answer when its job stays silent
_KILL_AGAIN = 0.5  # seconds
_MANY = 10_000  # more events than an operation has


def submit_highstate(operation: str, server: str, jid: str, until: str) -> Data:
    """Hand the highstate to the minion under `jid`. → {} or {"failure"}.

    A job that an earlier process may have handed over already is first asked for: a minion that was restarted in
    between has forgotten the jid and would run it a second time. Nobody knows whether one that is not wanted any more
    was handed over, so it is ended, too.
    """
    salt, chosen, deadline = current().salt, current().chosen, parse(until)

    def attempt() -> Data:
        wanted(operation)
        if jid not in chosen and _is_known(server, jid):
            return {}
        salt.submit(server, jid, "highstate")
        return {}

    with _ended_if_superseded(operation, server, jid, deadline):
        return patiently(attempt, operation, server, deadline, SUBMITTING)


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
            answered(operation, server)
            if news.progress:
                heard.set()
                _tell(operation, server, news.progress)
            if news.returned is not None:
                return _told(operation, server, news.returned)
            if news.lost:
                return {"lost": True}
            wanted(operation)
            if not heard.is_set() and current().clock.now() - since > _SILENCE:
                heard.set()  # ask once only
                if not current().salt.minion_started(server, _PING):
                    return {"failure": never_started(server, _took(since), boot_log(server), catalogue()).to_data()}
        _kill(operation, server, jid, deadline)
        waited, reached = allowed(operation, FOLLOWING), _reached(operation, server)
        return {"failure": no_return(server, waited, boot_log(server), catalogue(), reached).to_data()}

    with _ended_if_superseded(operation, server, jid, deadline):
        return patiently(attempt, operation, server, deadline, FOLLOWING)


def let_another_end(operation: str) -> Data:
    """Give a highstate that runs already a moment to end. → {}"""
    current().stopping.wait(SLICE)
    wanted(operation)
    return {}


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


def _reached(operation: str, server: str) -> str:
    """How far its highstate came, as a sentence."""
    with current().store.transaction() as ledger:
        events = ledger.events(None, operation, 0, _MANY)
    ended = [each.data for each in events if each.server == server and each.kind == "server.state_finished"]
    if not ended:
        return "None of its steps ended."
    return f"The last of its steps that ended was “{ended[-1]['state']}” ({ended[-1]['n']} of {ended[-1]['of']})."


def _told(operation: str, server: str, returned: JobReturn) -> Data:
    with current().store.transaction() as ledger:
        subject, template = _subject(ledger, operation, server)
    causes = explain(returned.ret, subject, catalogue(), returned.retcode)
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
    repository = template_of(environment).roles[server.role].repository
    return Subject(name, server.role, server.branch, public_url(repository)), environment.template


def _took(since: datetime) -> str:
    return format_duration(current().clock.now() - since)
