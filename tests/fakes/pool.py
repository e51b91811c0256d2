"""A fake cloud behind the runner: machines in a dict, and the ways in which a cloud misbehaves, by name."""

from typing import Any

from orchestrator.saltext.answers import Refused

PROVIDER = "cloud:fake"


class FakePool:
    """What saltext.pool.Pool offers. `accept_key(server)` is called where salt-cloud accepts its key."""

    def __init__(self, accept_key: Any = None) -> None:
        self.present: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.consoles: dict[str, str] = {}
        self._accept_key = accept_key

    def provider_of(self, profile: str) -> str:
        if profile != "small":
            raise Refused("profile-unknown", f"The master has no salt-cloud profile “{profile}”; ask ops for it.")
        return PROVIDER

    def providers(self) -> list[str]:
        return [PROVIDER]

    def profiles(self) -> dict[str, str]:
        return {"small": PROVIDER.partition(":")[0]}

    def machines(self, provider: str) -> dict[str, dict[str, Any]]:
        return dict(self.present)

    def names(self, provider: str) -> set[str]:
        return set(self.present)

    def find(self, server: str, provider: str) -> dict[str, Any] | None:
        return self.present.get(server)

    def where(self, server: str) -> str | None:
        return PROVIDER if server in self.present else None

    def create(self, server: str, profile: str) -> dict[str, Any]:
        self.calls.append(("create", server))
        if self._accept_key:
            self._accept_key(server)
        self.present[server] = machine(len(self.calls))
        return self.present[server]

    def start(self, server: str, provider: str) -> bool:
        self.calls.append(("start", server))
        self.present[server]["state"] = "running"
        return True

    def console(self, server: str, provider: str) -> str:
        return self.consoles.get(server, "")

    def destroy(self, server: str, provider: str) -> None:
        self.calls.append(("destroy", server))
        del self.present[server]


class DiesWhileCreating(FakePool):
    """The process is killed after the machine was made: the caller never hears of it."""

    def create(self, server: str, profile: str) -> dict[str, Any]:
        super().create(server, profile)
        self.present[server]["state"] = "stopped"
        raise KeyboardInterrupt


class NeverDestroys(FakePool):
    """The cloud does not let machines go."""

    def destroy(self, server: str, provider: str) -> None:
        raise Refused("destroy-failed", f"The cloud did not let {server} be removed.", "quota service down")


class DoesNotAnswer(FakePool):
    """The cloud cannot be asked for its machines."""

    def names(self, provider: str) -> set[str]:
        raise TimeoutError("no answer from the cloud")


def machine(number: int) -> dict[str, Any]:
    """A machine as pools describe it."""
    return {"address": f"127.9.1.{number}", "state": "running", "provider": PROVIDER, "profile": "small"}
