"""Creating an environment, and trying again: every server that is not ready is made and configured, in parallel."""

from typing import Any

from dbos import DBOS

from orchestrator.domain.failures import Failure
from orchestrator.domain.lifecycle import EnvironmentStatus, ServerStatus
from orchestrator.ports import Ledger

from .configure import boot_and_configure_server, boot_deadline, configure_deadline, configure_server
from .machine_steps import clear_machine, create_machine, wire
from .runtime import current, in_parallel, record, remote
from .slots import await_turn, line_up, no_turn, queue_deadline
from .stories import begin, context, fail_refused, fail_server, finish, operation_story, server_of, server_story


@DBOS.workflow(name="create_environment")
@operation_story
def create_environment(operation: str) -> None:
    """The story of an environment: machines, who is where, minions and highstates.

    A web server's highstate waits for the API server's *address*, not for its highstate: health checks at the end of
    both prove the wiring.
    """
    in_parallel(create_server, operation, record(_provision, operation))
    made = record(_made, operation)
    wired = remote(wire, operation, record(_with_needs, operation, made), record(configure_deadline, operation))
    in_parallel(boot_and_configure_server, operation, record(_wired, operation, made, wired))
    _rewire(operation, record(_dependents, operation, made))
    record(finish, operation)


def _rewire(operation: str, dependents: list[str]) -> None:
    """Servers that were ready before, and need one that was made anew: it may have another address."""
    if not dependents:
        return
    wired = remote(wire, operation, dependents, record(configure_deadline, operation))
    refused = record(fail_refused, operation, wired)
    in_parallel(configure_server, operation, [server for server in dependents if server not in refused])


@DBOS.workflow(name="create_server")
@server_story
def create_server(operation: str, server: str) -> None:
    """One machine, as far as its address."""
    turn = remote(await_turn, operation, server, record(queue_deadline, operation))
    if "failure" in turn:
        record(no_turn, operation, server, turn)
        return
    if record(_booting, operation, server):
        cleared = remote(clear_machine, operation, server, record(boot_deadline, operation))
        if "failure" in cleared:
            record(_created, operation, server, cleared)
            return
    outcome = remote(create_machine, operation, server, record(boot_deadline, operation))
    record(_created, operation, server, outcome)


def _provision(ledger: Ledger, operation: str) -> list[str]:
    begin(ledger, operation, EnvironmentStatus.PROVISIONING)
    found, _ = context(ledger, operation)
    servers = ledger.servers(found.environment)
    wanted = [each.name for each in servers if each.status is not ServerStatus.READY or each.degraded]
    line_up(ledger, operation, wanted)
    return wanted


def _booting(ledger: Ledger, operation: str, server: str) -> bool:
    """→ whether it is degraded: what is there of it is not trusted, and is made anew."""
    found, _ = context(ledger, operation)
    degraded = server_of(ledger, found.environment, server).degraded is not None
    ledger.move_server(
        found.environment, server, operation, ServerStatus.BOOTING, kind="server.booting", failure=None, jid=None
    )
    return degraded


def _created(ledger: Ledger, operation: str, server: str, outcome: dict[str, object]) -> None:
    found, environment = context(ledger, operation)
    if "failure" in outcome:
        fail_server(ledger, operation, server, Failure.from_data(outcome["failure"]))  # type: ignore[arg-type]
        return
    ledger.change_server(environment.id, server, operation, place=None, building=False, **outcome)  # its turn is over
    ledger.note(found, "server.created", server, phase="booting", **outcome)


def _made(ledger: Ledger, operation: str) -> list[str]:
    found, _ = context(ledger, operation)
    ledger.move_environment(found.environment, operation, EnvironmentStatus.CONFIGURING)
    return [server.name for server in ledger.servers(found.environment) if server.status is ServerStatus.BOOTING]


def _wired(ledger: Ledger, operation: str, made: list[str], outcomes: dict[str, dict[str, Any]]) -> list[str]:
    """→ those that can be booted and configured, which line up for it."""
    refused = fail_refused(ledger, operation, outcomes)
    left = [server for server in made if server not in refused]
    line_up(ledger, operation, left)
    return left


def _with_needs(ledger: Ledger, operation: str, made: list[str]) -> list[str]:
    """Those whose record must name siblings; the others' record is complete since they were created."""
    _, environment = context(ledger, operation)
    template = current().templates.current().templates.get(environment.template)
    roles = template.roles if template else {}
    servers = [server for server in ledger.servers(environment.id) if server.name in made]
    return [server.name for server in servers if server.role not in roles or roles[server.role].needs]


def _dependents(ledger: Ledger, operation: str, made: list[str]) -> list[str]:
    """The ready servers, other than those made now, whose role needs the role of one that was."""
    _, environment = context(ledger, operation)
    template = current().templates.current().templates.get(environment.template)
    servers = ledger.servers(environment.id)
    roles = {server.role for server in servers if server.name in made and server.status is ServerStatus.READY}
    return [
        server.name
        for server in servers
        if server.name not in made
        and server.status is ServerStatus.READY
        and template is not None
        and server.role in template.roles
        and roles & set(template.roles[server.role].needs.values())
    ]
