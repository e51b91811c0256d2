"""The runner `brinepool`: all that the orchestrator may do on the master.

Every function takes keyword arguments, may be repeated with the same arguments, and returns data: `{"ok": True, ...}`
or `{"ok": False, "error": {"code", "message", "detail"}}`; none raises. Creating and destroying one name wait for each
other. The order of the steps makes a kill between any two of them harmless:

* create notes the record first (our mark, still without an address), then makes the machine, then writes the address;
  a record without an address or a machine without its key is work to complete.
* nothing is written over the record of a later operation: who asks may have been stopped for long, and taken over.
* destroy leaves its tombstone first, so that an older create that comes late cannot bring the server back; then the
  machine goes, then its keys, and last the record: whatever is left is still seen as ours and removed by repeating.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.saltext.answers import Refused, answer, without_login

if TYPE_CHECKING:  # each call is a process of its own: it imports only what it needs
    from orchestrator.domain.masking import Masker
    from orchestrator.domain.record import Record
    from orchestrator.saltext.pool import Pool
    from orchestrator.saltext.stored import Stored

log = logging.getLogger(__name__)

__virtualname__ = "brinepool"


def __virtual__() -> str:
    return __virtualname__


def create(record: dict[str, Any], profile: str, since: str = "") -> dict[str, Any]:
    """Make the server of a record: machine, key and record. Returns when the machine exists, not when it answers.

    What an operation before `since` has made was an earlier bearer's of the name; it is removed first.

    ok: `created` (False: it was there), `server`. Errors: record-invalid, profile-unknown, superseded, create-failed.

    CLI Example: salt-run brinepool.create record='{...}' profile=small
    """
    return answer("create-failed", "The server could not be created; ask ops.", lambda: _create(record, profile, since))


def destroy(server: str, operation: str) -> dict[str, Any]:
    """Remove a server: machine, keys, record. One that is not there is a success.

    ok: `existed`. Errors: destroy-failed; what is left is still listed by `inventory` and goes with the next destroy.

    CLI Example: salt-run brinepool.destroy server=cart-test-api-1 operation=01KB...
    """
    return answer(
        "destroy-failed", f"The server {server} could not be removed; try again.", lambda: _destroy(server, operation)
    )


def put(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the records of servers that exist. Errors: record-invalid, superseded (by a later operation); what stands
    before such a record in the list is written.

    CLI Example: salt-run brinepool.put records='[{...}]'
    """
    return answer("record-invalid", "The records could not be written; ask ops.", lambda: _put(records))


def inventory() -> dict[str, Any]:
    """All that bears our mark: machines, and keys or records whose machine is gone (state `unknown`).

    CLI Example: salt-run brinepool.inventory
    """
    return answer("inventory-failed", "The cloud could not be asked for its servers; try again.", _inventory)


def providers() -> dict[str, Any]:
    """Which cloud provider every salt-cloud profile is of. ok: `profiles`, profile → provider.

    CLI Example: salt-run brinepool.providers
    """
    sentence = "The cloud's profiles could not be read; ask ops."
    return answer("providers-failed", sentence, lambda: {"profiles": _pool().profiles()})


def boot_log(server: str, lines: int = 40) -> dict[str, Any]:
    """The last `lines` of what a server's machine says of itself: its console, as its cloud tells it. Masked.

    ok: `log`, "" when there is none: no such server of ours, or a cloud that cannot tell. No errors: whoever asks has
    a failure to explain already.

    CLI Example: salt-run brinepool.boot_log server=cart-test-api-1
    """
    try:
        return {"ok": True, "log": _boot_log(server, int(lines))}
    except (Exception, SystemExit):  # drivers leave in every way there is
        log.exception("brinepool: what %s says of itself cannot be told", server)
        return {"ok": True, "log": ""}


def branches(template: str, role: str = "") -> dict[str, Any]:
    """The branches at the remote of a role's repository: `repository` (without credentials), `default`, `branches`.

    Without a role: `roles`, the same for each of them. Errors: template-unknown, role-unknown, repository-unreachable.

    CLI Example: salt-run brinepool.branches template=shop role=api
    """
    from orchestrator.saltext.branches import all_branches
    from orchestrator.saltext.branches import branches as look

    options = __opts__["brinepool"]
    site, git_config = Path(options["site"]), Path(options.get("home", "")) / "etc" / "gitconfig"
    return answer(
        "repository-unreachable",
        "The branches could not be read; ask ops.",
        lambda: look(site, template, role, git_config) if role else all_branches(site, template, git_config),
    )


def _create(data: dict[str, Any], profile: str, since: str) -> dict[str, Any]:
    record, stored, pool = _record(data), _stored(), _pool()
    provider = pool.provider_of(profile)
    with stored.lock(record.server):
        if record.operation <= stored.destroyed_by(record.server):
            raise Refused("superseded", f"The server {record.server} was terminated by a later operation.")
        _check_order(record, stored)
        machine = _living(record, provider, stored, pool, since)
        created = machine is None
        if machine is None:
            machine = _make(record, provider, profile, stored, pool)
        if not machine["address"]:
            raise Refused("create-failed", f"The server {record.server} was made, but has no address; ask ops.")
        stored.put(record.model_copy(update={"address": machine["address"]}))
        return {"created": created, "server": _described(record.server, machine, stored)}


def _living(record: "Record", provider: str, stored: "Stored", pool: "Pool", since: str) -> dict[str, Any] | None:
    """The server's machine when it is whole, switched on if need be; None when there is one to be made.

    A half-made machine, one without its key, or an earlier bearer's, is removed: nothing in it can be trusted or used.
    """
    server, machine = record.server, pool.find(record.server, provider)
    if machine is None:
        return None
    ours = stored.record(server)
    if not ours:
        raise Refused(
            "create-failed",
            f"There is a machine {server} that Brinepool did not make; choose another name or remove it.",
        )
    if stored.key(server) == "accepted" and ours["operation"] >= since:
        if machine["state"] == "running":
            return machine
        if ours.get("address") and pool.start(server, provider):
            return machine | {"state": "running"}
    pool.destroy(server, provider)
    return None


def _make(record: "Record", provider: str, profile: str, stored: "Stored", pool: "Pool") -> dict[str, Any]:
    """Make the machine. Nobody who bore its name before may speak for it."""
    stored.forget_minion(record.server)
    stored.put(record.model_copy(update={"address": None}))
    stored.put_machine(record.server, provider, profile)
    return pool.create(record.server, profile)


def _destroy(server: str, operation: str) -> dict[str, Any]:
    _check_names(server, operation)
    stored, pool = _stored(), _pool()
    with stored.lock(server):
        record = stored.record(server)
        if record and record["operation"] > operation:
            raise Refused("destroy-failed", f"The server {server} belongs to a later operation; nothing was removed.")
        stored.bury(server, operation)
        provider = stored.machine(server).get("provider")
        if provider not in pool.providers() or server not in pool.names(provider):
            provider = pool.where(server)  # no note of it, or it is elsewhere: ask everywhere before calling it gone
        existed = bool(provider or record or stored.key(server))
        if provider:
            pool.destroy(server, provider)
        stored.forget_minion(server)
        stored.forget(server)
        return {"existed": existed}


def _put(records: list[dict[str, Any]]) -> dict[str, Any]:
    if not isinstance(records, list):
        raise Refused("record-invalid", "Give a list of records.")
    stored = _stored()
    for record in [_record(data) for data in records]:
        with stored.lock(record.server):
            # A destroy removes key and record, and so does salt-cloud with the key; asking the cloud is not needed.
            if not stored.record(record.server) or stored.key(record.server) != "accepted":
                raise Refused("record-invalid", f"There is no server {record.server} to write the record of.")
            _check_order(record, stored)
            stored.put(record)
    return {}


def _check_order(record: "Record", stored: "Stored") -> None:
    """Refuse what an operation wants that was stopped long ago and goes on now, when a later one has had its say."""
    known = stored.record(record.server)
    if known and known["operation"] > record.operation:
        raise Refused("superseded", f"The server {record.server} belongs to a later operation; nothing was written.")


def _inventory() -> dict[str, Any]:
    stored, pool = _stored(), _pool()
    machines = {name: machine for provider in pool.providers() for name, machine in pool.machines(provider).items()}
    known = stored.known()
    stored.drop_old_tombstones()
    ours = {name for name, machine in machines.items() if name in known or machine["provider"].endswith(":sandbox")}
    return {"servers": [_described(name, machines.get(name), stored) for name in sorted(known | ours)]}


def _boot_log(server: str, lines: int) -> str:
    from orchestrator.domain.masking import mask_secrets
    from orchestrator.domain.names import split_server_id

    stored = _stored()
    # Without our record it is somebody else's machine, or gone.
    data = stored.record(server) if isinstance(server, str) and split_server_id(server) else None
    if not data:
        return ""
    pool = _pool()
    provider = stored.machine(server).get("provider")
    if provider not in pool.providers():
        provider = pool.where(server)
    told = pool.console(server, provider) if provider else ""
    # Masked before it is cut: what looks like a key has a beginning.
    masked = mask_secrets(_masker(_record(data)).text(told)).splitlines()
    return "\n".join(masked[-lines:]) if lines > 0 else ""


def _masker(record: "Record") -> "Masker":
    """Knows the values of the server's env files. EnvFileError when they cannot be known."""
    from orchestrator.domain.masking import Masker
    from orchestrator.saltext.pillar.brinepool import layered

    return Masker(layered(_envfiles(), record.template, record.role).values())


def _envfiles() -> Path:
    """Where our ext_pillar reads them."""
    pillars = [entry["brinepool"] for entry in __opts__.get("ext_pillar", ()) if "brinepool" in entry]
    chosen = pillars[0].get("envfiles") if pillars and isinstance(pillars[0], dict) else None
    return Path(chosen or Path(__opts__["brinepool"]["site"]) / "envfiles")


def _described(server: str, machine: dict[str, Any] | None, stored: "Stored") -> dict[str, Any]:
    """A server as `inventory` and `create` show it."""
    noted = stored.machine(server)
    gone = {"address": None, "state": "unknown", "provider": noted.get("provider", ""), "profile": ""}
    shown = gone | (machine or {})
    return shown | {
        "server": server,
        "profile": shown["profile"] or noted.get("profile", ""),
        "key": stored.key(server),
        "record": stored.record(server) is not None,
    }


def _record(data: Any) -> "Record":
    """The validated record. Raises Refused("record-invalid") that names the field."""
    from pydantic import ValidationError

    from orchestrator.domain.record import Record

    try:
        return Record.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "record"
        message = f"The record is not valid: {field}: {first['msg']}."
        raise Refused("record-invalid", without_login(message)) from None


def _check_names(server: str, operation: str) -> None:
    """Refuse what cannot be a server's name before it becomes part of a path."""
    import re

    from orchestrator.domain.names import split_server_id

    if not isinstance(server, str) or len(server) > 80 or split_server_id(server) is None:
        raise Refused("destroy-failed", f"“{server}” is not the name of a server.")
    if not re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", str(operation)):
        raise Refused("destroy-failed", f"“{operation}” is not the id of an operation.")


def _stored() -> "Stored":
    from orchestrator.saltext.stored import Stored

    return Stored(__opts__)


def _pool() -> "Pool":
    from orchestrator.saltext.pool import Pool

    return Pool(__opts__)
