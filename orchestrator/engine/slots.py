"""Waiting for one's turn: how many servers a provider builds at once is capped, over all operations and processes.

Who is being built and who waits is said by the servers' rows, so it is exact also after a crash. A server has a turn
twice: for its machine, and for its boot and highstate; none is held while an environment waits for all its addresses,
so that two environments cannot keep each other waiting. The store ends a turn where a server comes to rest.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.caps import Cap, ahead_of, is_first_of_its_operation, let_in, place_in_line
from orchestrator.domain.durations import format_duration
from orchestrator.domain.environment import Operation, Server
from orchestrator.domain.failures import Failure
from orchestrator.domain.template import Template
from orchestrator.domain.wiring import depth
from orchestrator.ports import Ledger

from .runtime import SLICE, current, parse, pause_if_stopping, seconds_until
from .stories import context, fail_server, server_of, still_in_charge

QUEUED = "queued"  # the code of the `operation.waiting` that tells the position
_USUAL_PATIENCE = timedelta(hours=1)


def line_up(ledger: Ledger, operation: str, servers: Sequence[str]) -> None:
    """From now on these wait for their turn."""
    _, environment = context(ledger, operation)
    template = _template(environment.template)
    for each in ledger.servers(environment.id):
        if each.name in servers:
            rank = depth(each.role, template.roles) if template else 0
            place = place_in_line(operation, rank, each.name)
            ledger.change_server(environment.id, each.name, operation, place=place, building=False)


def queue_deadline(ledger: Ledger, operation: str) -> str:
    """Until when a turn must have come, ISO 8601."""
    _, environment = context(ledger, operation)
    template = _template(environment.template)
    return (current().clock.now() + (template.deadlines.queue if template else _USUAL_PATIENCE)).isoformat()


def await_turn(operation: str, server: str, until: str) -> dict[str, Any]:
    """Wait until it is the server's turn. → {} or {"failure"}. Raises Superseded."""
    deadline, since = parse(until), current().clock.now()
    with current().turns.waiting(server) as turn:
        while not _has_come(operation, server, since):
            left = seconds_until(deadline)
            if left <= 0:
                return {"failure": _never_came(operation, server, since).to_data()}
            turn.wait(min(SLICE, left))
            turn.clear()
            pause_if_stopping()
    return {}


def no_turn(ledger: Ledger, operation: str, server: str, outcome: dict[str, Any]) -> None:
    """Its turn did not come: it fails, and leaves the line."""
    failure = Failure.from_data(outcome["failure"])
    _, environment = context(ledger, operation)
    fail_server(ledger, operation, server, failure)
    ledger.change_server(environment.id, server, operation, place=None, building=False, failure=failure)


def _has_come(operation: str, server: str, since: datetime) -> bool:
    """Let in whoever is to be let in. → whether the server is. If not, its operation tells how many are ahead."""
    with current().store.transaction() as ledger:
        ledger.reaper.alone()
        still_in_charge(ledger, operation)
        found, environment = context(ledger, operation)
        mine = server_of(ledger, environment.id, server)
        cap = current().caps.of(mine.provider)
        line = ledger.line(mine.provider)
        entering = let_in(line, ledger.building(mine.provider), cap.building)
        for each in entering:
            _enter(ledger, each)
        came = mine.building or mine.name in {each.name for each in entering}
        told = not came and _tell_place(ledger, found, mine, line[len(entering) :], cap, since)
    current().turns.wake(each.name for each in entering)
    if entering or told:
        current().hub.notify()
    return came


def _enter(ledger: Ledger, server: Server) -> None:
    operation, _ = context(ledger, ledger.environment_by_id(server.environment).operation)
    ledger.change_server(server.environment, server.name, operation.id, building=True)
    waited = ledger.waiting(operation.id)
    if waited and waited.data.get("code") == QUEUED:
        took = current().clock.now() - datetime.fromisoformat(waited.data["since"])
        ledger.note(operation, "operation.resumed", state=f"its turn came after {format_duration(took)}")


def _tell_place(
    ledger: Ledger, operation: Operation, server: Server, line: Sequence[Server], cap: Cap, since: datetime
) -> bool:
    """Tell how many are ahead, where that has changed. → whether it has.

    Only while none of its servers is being built: it does not wait as long as something goes on.
    """
    if not is_first_of_its_operation(server, line):
        return False
    if any(each.building for each in ledger.servers(server.environment)):
        return False
    before, ahead = ledger.waiting(operation.id), ahead_of(operation.id, line)
    if before and before.data.get("code") == QUEUED:
        if before.data.get("ahead") == ahead:
            return False
        since = datetime.fromisoformat(before.data["since"])
    what = f"its turn, {_behind(ahead)} ({server.provider or 'the cloud'} builds {cap.building} servers at once)"
    ledger.note(
        operation, "operation.waiting",
        state=what, what=what, since=since.isoformat(), code=QUEUED, ahead=ahead, provider=server.provider,
    )  # fmt: skip
    return True


def _behind(ahead: int) -> str:
    if not ahead:
        return "which is next"
    return "behind 1 environment" if ahead == 1 else f"behind {ahead} environments"


def _never_came(operation: str, server: str, since: datetime) -> Failure:
    with current().store.transaction() as ledger:
        _, environment = context(ledger, operation)
        provider = server_of(ledger, environment.id, server).provider
    waited = format_duration(current().clock.now() - since)
    return Failure(
        code="turn-never-came",
        title=f"{server}: its turn to be built did not come within {waited}.",
        explanation=f"{provider or 'The cloud'} builds {current().caps.of(provider).building} servers at once.",
        action="Retry when less is going on; if this happens often, ask ops for a higher cap.",
        servers=(server,),
    )


def _template(name: str) -> Template | None:
    return current().templates.current().templates.get(name)
