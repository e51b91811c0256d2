"""The remote steps of a machine, its record and its minion.

Each is idempotent by the server's name, and returns plain data (checkpoints are JSON).
"""

from collections.abc import Sequence
from functools import partial

from ulid import ULID

from orchestrator.domain import wiring
from orchestrator.domain.environment import Environment, Server
from orchestrator.domain.failures import never_started
from orchestrator.domain.record import Record, record_for
from orchestrator.domain.template import Template
from orchestrator.ports import Ledger, SaltRefused

from .patience import Data, allowed, answered, boot_log, catalogue, one_call, patiently, wanted
from .runtime import SLICE, current, parse, seconds_until
from .stories import context, server_of, still_in_charge
from .waiting import BOOTING, CLEARING, MAKING, REMOVING, WIRING


def create_machine(operation: str, server: str, until: str) -> Data:
    """Make the machine. → {"address", "port"} or {"failure"}."""
    deadline = parse(until)

    def attempt() -> Data:
        with current().store.transaction() as ledger:
            still_in_charge(ledger, operation)
            record, profile = _record(ledger, operation, server), _server(ledger, operation, server).profile
            since = _born(context(ledger, operation)[1])
        machine = current().salt.create(record, profile, one_call(deadline), since)
        return {"address": machine.address, "port": record.port}

    return patiently(attempt, operation, server, deadline, MAKING)


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
    together = patiently(partial(put, servers), operation, "", parse(until), WIRING)
    if "failure" not in together:
        return {server: {} for server in servers}
    # One record that is refused must not keep the others from theirs.
    return {server: patiently(partial(put, [server]), operation, server, parse(until), WIRING) for server in servers}


def await_minion(operation: str, server: str, until: str) -> Data:
    """Wait until the minion answers. → {} or {"failure"}."""
    deadline = parse(until)

    def attempt() -> Data:
        while (left := seconds_until(deadline)) > 0:
            started = current().salt.minion_started(server, min(SLICE, left))
            answered(operation, server)
            if started:
                return {}
            wanted(operation)
        waited = allowed(operation, BOOTING)
        return {"failure": never_started(server, waited, boot_log(server), catalogue()).to_data()}

    return patiently(attempt, operation, server, deadline, BOOTING)


def destroy_machine(operation: str, server: str, until: str) -> Data:
    """Remove the machine, its key and its record. → {} or {"failure"}."""
    deadline = parse(until)

    def attempt() -> Data:
        current().salt.destroy(server, operation, one_call(deadline))
        return {}

    return patiently(attempt, operation, server, deadline, REMOVING)


def clear_machine(operation: str, server: str, until: str) -> Data:
    """Remove what is there of a server that this operation is about to make anew. → {} or {"failure"}.

    Under the id just before its own, which is later than all that made the server: its tombstone would keep the
    operation itself from making it.
    """
    deadline, before = parse(until), str(ULID.from_int(int(ULID.from_str(operation)) - 1))

    def attempt() -> Data:
        wanted(operation)
        current().salt.destroy(server, before, one_call(deadline))
        return {}

    return patiently(attempt, operation, server, deadline, CLEARING)


def _record(ledger: Ledger, operation: str, name: str) -> Record:
    _, environment = context(ledger, operation)
    server, template = server_of(ledger, environment.id, name), template_of(environment)
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


def template_of(environment: Environment) -> Template:
    """Its template as it is now. SaltRefused when there is none of that name any more."""
    template = current().templates.current().templates.get(environment.template)
    if template is None:
        raise SaltRefused("template-unknown", f"The template “{environment.template}” is not there any more.")
    return template


def _server(ledger: Ledger, operation: str, name: str) -> Server:
    _, environment = context(ledger, operation)
    return server_of(ledger, environment.id, name)
