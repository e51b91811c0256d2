"""Who points at whom: the addresses of the siblings that a role needs. Pure."""

from collections.abc import Iterable, Mapping

from .environment import Server
from .lifecycle import Target
from .template import Role


def siblings(role: Role, servers: Iterable[Server]) -> dict[str, list[str]]:
    """For each role that `role` needs: `address:port` of its servers that are there to stay, by number.

    `servers`: those of the environment and, for roles it does not have itself, those of the environment it uses.
    """
    found: dict[str, list[str]] = {needed: [] for needed in role.needs.values()}
    for server in sorted(servers, key=lambda server: server.number):
        if server.role in found and server.address and server.target is Target.PRESENT:
            found[server.role].append(f"{server.address}:{server.port}")
    return found


def depth(role: str, roles: Mapping[str, Role]) -> int:
    """How many roles stand behind this one, one needing the next: 0 for one that needs nobody."""
    needed = [other for other in roles[role].needs.values() if other in roles] if role in roles else []
    return max((1 + depth(other, roles) for other in needed), default=0)


def dependents(role: str, roles: dict[str, Role]) -> list[str]:
    """The roles that need `role`."""
    return [name for name, other in roles.items() if role in other.needs.values()]
