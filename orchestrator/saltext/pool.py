"""The machines, through salt-cloud's drivers.

`salt.cloud.CloudClient` reads the configuration and `salt.cloud.Map` loads the drivers and makes machines, keys
included. Its queries start a process pool and ask every provider; ours ask one provider, in this process, and tell a
provider that does not answer apart from one that has no such machine.
"""

import os
from collections.abc import Iterator
from typing import Any

import salt.cloud
import salt.utils.context

from orchestrator.saltext.answers import Refused

_STATES = {"running": "running", "active": "running", "stopped": "stopped", "off": "stopped", "shutoff": "stopped"}


class Pool:
    """The configured providers and profiles of this master. Each method names what it raises."""

    def __init__(self, opts: dict[str, Any]) -> None:
        config = opts.get("brinepool", {}).get("cloud_config") or os.path.join(
            os.path.dirname(opts["conf_file"]), "cloud"
        )
        client = salt.cloud.CloudClient(config)
        self._map = salt.cloud.Map(client.opts | {"parallel": False, "deploy": True, "keep_tmp": False})

    def provider_of(self, profile: str) -> str:
        """`alias:driver` of a profile. Raises Refused("profile-unknown")."""
        profiles, providers = self._map.opts["profiles"], self.providers()
        provider = str(profiles.get(profile, {}).get("provider", ""))
        if provider in providers:
            return provider
        if profile in profiles:
            detail = f"Profile {profile} uses the provider {provider}, which is not configured."
        else:
            detail = f"The profiles are: {', '.join(sorted(profiles)) or 'none'}."
        raise Refused("profile-unknown", f"The master has no salt-cloud profile “{profile}”; ask ops for it.", detail)

    def providers(self) -> list[str]:
        """Every configured provider, as `alias:driver`."""
        return [f"{alias}:{driver}" for alias, drivers in self._map.opts["providers"].items() for driver in drivers]

    def profiles(self) -> dict[str, str]:
        """The provider's alias of every profile, by the profile's name."""
        profiles = self._map.opts["profiles"].items()
        return {name: str(profile.get("provider", "")).partition(":")[0] for name, profile in profiles}

    def machines(self, provider: str) -> dict[str, dict[str, Any]]:
        """What a provider has, by name: state, address, profile. Raises whatever its driver raises."""
        details = self._call(provider, ("list_nodes_full", "list_nodes"))
        return {name: _machine(entry, provider) for name, entry in (details or {}).items()}

    def names(self, provider: str) -> set[str]:
        """The names of a provider's machines, told as cheaply as its driver can."""
        return set(self._call(provider, ("list_nodes_min", "list_nodes")) or {})

    def find(self, server: str, provider: str) -> dict[str, Any] | None:
        """One machine, or None when its provider has none of this name."""
        return self.machines(provider).get(server)

    def where(self, server: str) -> str | None:
        """The provider that has a machine of this name, for one that we have no note of."""
        return next((provider for provider in self.providers() if server in self.names(provider)), None)

    def create(self, server: str, profile: str) -> dict[str, Any]:
        """Make the machine with a new key, accepted on this master, and describe it. Raises Refused("create-failed").

        A machine that was just made counts as running: its minion may need a moment, and the caller waits for that.
        """
        try:
            made = self._map.create(self._machine_config(server, profile))
        except (Exception, SystemExit) as error:  # drivers and Salt's option checks leave in every way there is
            raise Refused("create-failed", _sentence(server, "created"), str(error)) from error
        if not made or (isinstance(made, dict) and made.get("Error")):
            detail = str(made.get("Error")) if made else "The driver returned nothing; the master's log has more."
            raise Refused("create-failed", _sentence(server, "created"), detail)
        provider = str(self._map.opts["profiles"][profile]["provider"])
        return _machine(made, provider) | {"profile": profile, "state": "running"}

    def start(self, server: str, provider: str) -> bool:
        """Start a stopped machine. False when its driver cannot."""
        if f"{provider.partition(':')[2]}.start" not in self._map.clouds:
            return False
        return bool(self._call(provider, ("start",), server, call="action"))

    def console(self, server: str, provider: str) -> str:
        """What the machine says on its console; "" when its driver cannot tell. Raises whatever its driver raises."""
        if f"{provider.partition(':')[2]}.get_console_output" not in self._map.clouds:
            return ""
        return text_of(self._call(provider, ("get_console_output",), server, call="action"))

    def destroy(self, server: str, provider: str) -> None:
        """Remove the machine. Raises Refused("destroy-failed"), also when it is still there afterwards."""
        try:
            self._call(provider, ("destroy",), server)
            left = server in self.names(provider)
        except (Exception, SystemExit) as error:
            raise Refused("destroy-failed", _sentence(server, "removed"), str(error)) from error
        if left:
            raise Refused("destroy-failed", _sentence(server, "removed"), f"{provider} still lists it.")

    def _call(self, provider: str, functions: tuple[str, ...], *arguments: Any, **options: Any) -> Any:
        """Call the first of `functions` that the provider's driver has."""
        driver = provider.partition(":")[2]
        name = next(f"{driver}.{function}" for function in functions if f"{driver}.{function}" in self._map.clouds)
        function = self._map.clouds[name]
        with salt.utils.context.func_globals_inject(function, __active_provider_name__=provider):
            return function(*arguments, **options)

    def _machine_config(self, server: str, profile: str) -> dict[str, Any]:
        """What salt-cloud's own `run_profile` would pass on."""
        opts = self._map.opts
        details = opts["profiles"][profile]
        alias, driver = details["provider"].split(":")
        provider = {key: value for key, value in opts["providers"][alias][driver].items() if key != "profiles"}
        return dict(self._map.vm_config(server, {}, provider, details, {}))


def _machine(entry: dict[str, Any], provider: str) -> dict[str, Any]:
    """A driver's description of a machine in our words."""
    return {
        "address": next(_addresses(entry), None),
        "state": _STATES.get(str(entry.get("state", "")).lower(), "unknown"),
        "provider": provider,
        "profile": str(entry.get("profile") or ""),
    }


def text_of(told: Any) -> str:
    """What a driver tells of a console: a text, or a dict that has it (ec2: `output_decoded`, as bytes)."""
    text = (told.get("output_decoded") or told.get("output")) if isinstance(told, dict) else told
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text or "")


def _addresses(entry: dict[str, Any]) -> Iterator[str]:
    for kind in ("private_ips", "public_ips"):
        addresses = entry.get(kind) or []
        yield from [addresses] if isinstance(addresses, str) else addresses


def _sentence(server: str, done: str) -> str:
    return f"The cloud did not let {server} be {done}; try again, and ask ops if it goes on."
