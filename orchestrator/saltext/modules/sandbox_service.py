"""Salt's `service` for a sandbox: the same states as on a systemd machine, carried out by the sandbox's supervisord.

In force where the minion's configuration says `providers: {service: sandbox_service}`. A service is defined by a
section `[program:NAME]` in `services.d/*.conf` of the sandbox. A definition that was written or changed is read when
the service is started or restarted, so no state needs to know about it. Reload is restart: programs differ in what they
understand.

As with systemd, a service counts as started when its process was; that it stays up and works is for the health state
to say, which need not wait for `startsecs` to pass. Functions raise CommandExecutionError with a sentence when the
service is not defined, cannot be started, has ended at once, or the supervisor does not answer.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from salt.exceptions import CommandExecutionError

__virtualname__ = "sandbox_service"

UP = ("RUNNING", "STARTING")
BUSY = ("RUNNING", "STARTING", "BACKOFF", "STOPPING")  # states in which supervisor refuses to start or to remove
SETTLE_SECONDS = 60.0
POLL_SECONDS = 0.05
LAST_WORDS = 2000  # characters of the log that tell why a service ended


def __virtual__() -> str | tuple[bool, str]:
    """Never instead of a machine's own service module: only where the configuration asks for it by name."""
    if __virtualname__ in (__opts__.get("providers") or {}).values():
        return __virtualname__
    return False, "only for sandboxes (providers: {service: sandbox_service})"


def start(name: str) -> bool:
    """Start the service, with its definition as it is now; one that runs is left alone."""
    with _supervisor() as supervisor:
        if not _is_up(_info(supervisor, name)):
            _stop(supervisor, name)  # it may be in the middle of its next try, with an old definition
            _adopt(supervisor, name)
            _start(supervisor, name)
    return True


def stop(name: str) -> bool:
    """Stop the service and everything that it started; one that does not run, or is not defined, is stopped."""
    with _supervisor() as supervisor:
        _stop(supervisor, name)
    return True


def restart(name: str) -> bool:
    """Stop the service if it runs, and start it with its definition as it is now."""
    with _supervisor() as supervisor:
        _stop(supervisor, name)
        _adopt(supervisor, name)
        _start(supervisor, name)
    return True


def reload_(name: str) -> bool:
    """The same as restart."""
    return restart(name)


def full_restart(name: str) -> bool:
    """The same as restart. Salt looks for it with each restart; if it were missing, Salt would load every module it has
    in search of it, which takes more than a second.
    """
    return restart(name)


def status(name: str, sig: str | None = None) -> bool:
    """Whether the service runs. `sig` is Salt's way to find a process by its command line; not needed here."""
    with _supervisor() as supervisor:
        return _is_up(_info(supervisor, name))


def offline() -> bool:
    """Never. Without this, the machine's own service module is asked, and without systemd every state is green."""
    return False


def get_all() -> list[str]:
    """Every service that is defined."""
    with _supervisor() as supervisor:
        _added_changed_removed(supervisor)
        return sorted({definition["name"] for definition in supervisor.getAllConfigInfo()})


def available(name: str) -> bool:
    """Whether the service is defined."""
    return name in get_all()


def missing(name: str) -> bool:
    """Whether the service is not defined."""
    return not available(name)


def enable(name: str, **_kwargs: Any) -> bool:
    """Start the service with the sandbox."""
    return _set_autostart(name, True)


def disable(name: str, **_kwargs: Any) -> bool:
    """Do not start the service with the sandbox."""
    return _set_autostart(name, False)


def enabled(name: str, **_kwargs: Any) -> bool:
    """Whether the service starts with the sandbox."""
    with _supervisor() as supervisor:
        _added_changed_removed(supervisor)
        return any(found["name"] == name and found["autostart"] for found in supervisor.getAllConfigInfo())


def disabled(name: str) -> bool:
    """Whether the service does not start with the sandbox."""
    return not enabled(name)


@contextmanager
def _supervisor() -> Iterator[Any]:
    """The sandbox's supervisord, behind its socket."""
    # Imported late: minions load this module at their start, and supervisor's client pulls in a whole HTTP server.
    from supervisor.xmlrpc import SupervisorTransport

    socket = __opts__["sandbox"]["supervisor"]
    transport = SupervisorTransport(serverurl=f"unix://{socket}")
    try:
        with ServerProxy("http://localhost", transport=transport) as proxy:
            yield proxy.supervisor
    except Fault as fault:
        raise CommandExecutionError(f"The supervisor of this sandbox refuses: {fault.faultString}.") from fault
    except OSError as error:
        raise CommandExecutionError(f"The supervisor of this sandbox does not answer at {socket}: {error}.") from error


def _added_changed_removed(supervisor: Any) -> tuple[list[str], list[str], list[str]]:
    """Let supervisor read the definitions again, and say how they differ from what it has."""
    ((added, changed, removed),) = supervisor.reloadConfig()
    return added, changed, removed


def _adopt(supervisor: Any, name: str) -> None:
    """Make supervisor take over the (stopped) service's definition as it is now."""
    added, changed, removed = _added_changed_removed(supervisor)
    if name in changed or name in removed:
        supervisor.removeProcessGroup(name)
    if name in added or name in changed:
        supervisor.addProcessGroup(name)
    elif _info(supervisor, name) is None:
        raise CommandExecutionError(f"The service {name} is not defined in {_definitions()}.")


def _start(supervisor: Any, name: str) -> None:
    """Start it, unless autostart was quicker. Raises when its process could not be started or has ended already."""
    if not _is_busy(supervisor, name):
        supervisor.startProcess(name, False)
    info = _info(supervisor, name)
    if not _is_up(info):
        why = (info and info["spawnerr"]) or _last_words(supervisor, name)
        raise CommandExecutionError(f"The service {name} ended right after its start. {why}")


def _stop(supervisor: Any, name: str) -> None:
    if _is_busy(supervisor, name):
        supervisor.stopProcess(name, False)
        _settled(supervisor, name, while_in=BUSY)


def _settled(supervisor: Any, name: str, while_in: tuple[str, ...]) -> None:
    """Wait until its state is none of those in `while_in`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (info := _info(supervisor, name)) and info["statename"] in while_in:
        if time.monotonic() > deadline:
            state = info["statename"].lower()
            raise CommandExecutionError(f"The service {name} is still {state} after {SETTLE_SECONDS:.0f} s.")
        time.sleep(POLL_SECONDS)


def _is_up(info: dict[str, Any] | None) -> bool:
    """Whether its process really lives: a busy supervisor notices an end late, and calls it running until then."""
    return info is not None and info["statename"] in UP and _lives(info["pid"])


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _is_busy(supervisor: Any, name: str) -> bool:
    info = _info(supervisor, name)
    return info is not None and info["statename"] in BUSY


def _info(supervisor: Any, name: str) -> dict[str, Any] | None:
    """What supervisor knows about it; None when supervisor does not have it."""
    return next((info for info in supervisor.getAllProcessInfo() if info["name"] == name), None)


def _last_words(supervisor: Any, name: str) -> str:
    """The end of its log, masked: an app may print what it has in its environment."""
    try:
        text = supervisor.tailProcessStdoutLog(name, 0, LAST_WORDS)[0].strip()
    except Fault:
        text = ""
    return f"Its last words:\n{__salt__['brinepool.mask'](text)}" if text else "It has written nothing."


def _definitions() -> Path:
    return Path(__opts__["sandbox"]["services"])


def _set_autostart(name: str, value: bool) -> bool:
    """Rewrite one line of the definition. (Supervisor takes it over with the next start or restart.)"""
    header, line = re.compile(rf"^\[program:{re.escape(name)}\][^\n]*\n", re.M), f"autostart = {str(value).lower()}\n"
    for file in _definitions().glob("*.conf"):
        text = file.read_text()
        if section := header.search(text):
            body, bracket, rest = text[section.end() :].partition("\n[")
            body = re.sub(r"^autostart\s*=[^\n]*\n", "", body, flags=re.M)
            file.write_text(text[: section.end()] + line + body + bracket + rest)
            return True
    raise CommandExecutionError(f"The service {name} is not defined in {_definitions()}.")


__func_alias__ = {"reload_": "reload"}
