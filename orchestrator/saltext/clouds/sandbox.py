"""The sandbox cloud: a salt-cloud driver whose servers are folders on this machine.

`salt-cloud -p small NAME`, `-d NAME`, `-Q`, `-F`, maps, and `-a show_instance|get_console_output|start|stop NAME` work
as with any cloud.
Needs the section `sandbox` in salt-cloud's configuration, which `brine up` renders; a provider says `driver: sandbox`.
"""

import logging
from pathlib import Path
from typing import Any

import salt.config
import salt.utils.cloud
from salt.exceptions import SaltCloudNotFound, SaltCloudSystemExit

from orchestrator.saltext import sandboxes
from orchestrator.saltext.sandboxes import Cloud, Meta, SandboxError

log = logging.getLogger(__name__)

__virtualname__ = "sandbox"


def __virtual__() -> str:
    """Always there; whether it is configured is asked of each provider."""
    return __virtualname__


def get_configured_provider() -> Any:
    """The provider's configuration; False when it, or the section `sandbox`, is not complete."""
    provider = _active_provider_name()
    if "sandbox" not in __opts__:
        log.error("The sandbox cloud needs the section “sandbox” in salt-cloud's configuration; brine up renders it.")
        return False
    return salt.config.is_provider_configured(__opts__, provider or __virtualname__, ())


def create(vm_: dict[str, Any]) -> dict[str, Any]:
    """Make a server and switch it on; does not wait for its minion.

    Raises SaltCloudSystemExit when one of that name is there, and when it cannot be made (nothing is left then).
    """
    cloud, name = _cloud(), vm_["name"]
    _fire("creating", name, profile=vm_["profile"], provider=vm_["provider"])
    try:
        meta = sandboxes.claim(
            cloud, name, profile=vm_["profile"] or "", provider=vm_["provider"].partition(":")[0],
            size=_value("size", vm_), image=_value("image", vm_),
        )  # fmt: skip
    except SandboxError as error:
        raise SaltCloudSystemExit(str(error)) from error
    try:
        sandboxes.furnish(cloud, name, salt.utils.cloud.minion_config(__opts__, vm_), _keys(vm_))
        sandboxes.start(cloud, name)
    except (SandboxError, OSError) as error:
        sandboxes.destroy(cloud, name)
        raise SaltCloudSystemExit(f"The sandbox {name} could not be made: {error}") from error
    _fire("created", name, profile=vm_["profile"], provider=vm_["provider"], address=meta.address)
    return _full(meta, "running")


def destroy(name: str, call: str | None = None) -> dict[str, Any]:
    """End every process of the server and remove its folder. (salt-cloud then removes its key.)"""
    _not_as(call, "function", "destroy")
    _fire("destroying", name)
    try:
        found = sandboxes.destroy(_cloud(), name)
    except SandboxError as error:
        raise SaltCloudSystemExit(str(error)) from error
    if not found:
        raise SaltCloudNotFound(f"There is no sandbox {name}.")
    _fire("destroyed", name)
    if __opts__.get("update_cachedir", False) is True:
        salt.utils.cloud.delete_minion_cachedir(name, _active_provider_name().partition(":")[0], __opts__)
    return {"Destroyed": name}


def start(name: str, call: str | None = None) -> dict[str, str]:
    """Switch a server on that does not run, or only in part; its address stays. One that runs is left alone."""
    _not_as(call, "function", "start")
    cloud = _cloud()
    _existing(cloud, name)
    if name not in sandboxes.running(cloud):
        _carefully(sandboxes.start, cloud, name)
    return {"Started": name}


def stop(name: str, call: str | None = None) -> dict[str, str]:
    """Switch a server off."""
    _not_as(call, "function", "stop")
    cloud = _cloud()
    _existing(cloud, name)
    _carefully(sandboxes.stop, cloud, name)
    return {"Stopped": name}


def list_nodes_full(call: str | None = None) -> dict[str, dict[str, Any]]:
    """Everything about every server of this provider."""
    _not_as(call, "action", "list_nodes_full")
    cloud, provider = _cloud(), _active_provider_name().partition(":")[0]
    running = sandboxes.running(cloud)
    return {
        name: _full(meta, "running" if name in running else "stopped")
        for name, meta in sandboxes.all_of(cloud).items()
        if meta.provider == provider or not provider
    }


def list_nodes(call: str | None = None) -> dict[str, dict[str, Any]]:
    """The fields that every salt-cloud driver gives."""
    _not_as(call, "action", "list_nodes")
    wanted = ("id", "image", "size", "state", "private_ips", "public_ips")
    return {name: {key: node[key] for key in wanted} for name, node in list_nodes_full("function").items()}


def list_nodes_select(call: str | None = None) -> dict[str, dict[str, Any]]:
    """The fields that `query.selection` chooses."""
    return salt.utils.cloud.list_nodes_select(list_nodes_full("function"), __opts__["query.selection"], call)


def show_instance(name: str, call: str | None = None) -> dict[str, Any]:
    """Everything about one server. Raises SaltCloudNotFound."""
    _not_as(call, "function", "show_instance")
    cloud = _cloud()
    meta = _existing(cloud, name)
    return _full(meta, "running" if name in sandboxes.running(cloud) else "stopped")


def get_console_output(name: str, call: str | None = None) -> dict[str, str]:
    """The end of what the server says of itself, named and shaped as ec2's driver does it."""
    _not_as(call, "function", "get_console_output")
    cloud = _cloud()
    _existing(cloud, name)
    return {"output_decoded": sandboxes.console(cloud, name)}


def avail_sizes(call: str | None = None) -> dict[str, dict[str, str]]:
    """The sizes: names only, a sandbox has what the machine has."""
    _not_as(call, "action", "avail_sizes")
    return {name: {"name": name, "description": "shares this machine"} for name in ("small", "medium", "large")}


def avail_images(call: str | None = None) -> dict[str, dict[str, str]]:
    """The one image: this machine's own programs."""
    _not_as(call, "action", "avail_images")
    return {"host": {"name": "host", "description": "the programs of this machine"}}


def avail_locations(call: str | None = None) -> dict[str, dict[str, str]]:
    """The one location: this machine."""
    _not_as(call, "action", "avail_locations")
    return {"local": {"name": "local", "description": str(_cloud().folder)}}


def _cloud() -> Cloud:
    return Cloud.of(__opts__["sandbox"])


def _active_provider_name() -> str:
    """Salt injects it, as a plain value or as a context variable; without it there is none."""
    active = __active_provider_name__
    return (active.value() if hasattr(active, "value") else active) or ""


def _value(key: str, vm_: dict[str, Any]) -> str:
    return salt.config.get_cloud_config_value(key, vm_, __opts__, default="", search_global=False)


def _keys(vm_: dict[str, Any]) -> dict[str, str]:
    """The minion's key pair, and the master's public key: the minion then trusts no other master."""
    keys = {"minion.pem": vm_["priv_key"], "minion.pub": vm_["pub_key"]}
    master = Path(__opts__["pki_dir"]) / "master.pub"
    return keys | ({"minion_master.pub": master.read_text()} if master.is_file() else {})


def _existing(cloud: Cloud, name: str) -> Meta:
    meta = sandboxes.all_of(cloud).get(name)
    if meta is None:
        raise SaltCloudNotFound(f"There is no sandbox {name}.")
    return meta


def _carefully(action: Any, cloud: Cloud, name: str) -> None:
    try:
        action(cloud, name)
    except SandboxError as error:
        raise SaltCloudSystemExit(str(error)) from error


def _full(meta: Meta, state: str) -> dict[str, Any]:
    return {
        "id": meta.name, "name": meta.name, "state": state, "address": meta.address, "private_ips": [meta.address],
        "public_ips": [], "image": meta.image, "size": meta.size, "profile": meta.profile, "provider": meta.provider,
        "created": meta.created,
    }  # fmt: skip


def _not_as(call: str | None, kind: str, name: str) -> None:
    """Salt-cloud's convention: actions are called on a server (`-a`), functions on a provider (`-f`)."""
    if call == kind:
        flag = "-a or --action" if kind == "function" else "-f or --function"
        raise SaltCloudSystemExit(f"{name} must be called with {flag}.")


def _fire(what: str, name: str, **data: Any) -> None:
    """Tell the event bus: salt/cloud/<name>/<what>."""
    salt.utils.cloud.fire_event(
        "event", f"{what} {name}", f"salt/cloud/{name}/{what}", args={"name": name, **data},
        sock_dir=__opts__["sock_dir"], transport=__opts__["transport"],
    )  # fmt: skip
