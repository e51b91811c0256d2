"""Caps: how many servers a cloud provider builds at once, and has in all; and the line of those that wait. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .environment import Server


@dataclass(frozen=True)
class Cap:
    """What one provider may do. `servers`: how many it may have in all; None: no limit of ours."""

    building: int = 10
    servers: int | None = None


@dataclass(frozen=True)
class Caps:
    """The caps of every provider: its own, else the usual ones."""

    usual: Cap = Cap()
    own: Mapping[str, Cap] = field(default_factory=dict)

    def of(self, provider: str) -> Cap:
        """The cap of a provider. One that nobody knows ("") has the usual ones, too."""
        return self.own.get(provider, self.usual)


def place_in_line(operation: str, rank: int, server: str) -> str:
    """Where a server stands: places sort as text. Earlier operations come first (their ids sort by time), and within
    one those with a low `rank`: a server that waits for a sibling's health must never keep that sibling from its turn.
    """
    return f"{operation}/{rank:02}/{server}"


def let_in(line: Sequence[Server], building: int, cap: int) -> Sequence[Server]:
    """Those whose turn it is. `line`: who waits, in order; `building`: how many are being built."""
    return line[: max(0, cap - building)]


def ahead_of(operation: str, line: Sequence[Server]) -> int:
    """How many other operations in the line stand before this one."""
    waiting = dict.fromkeys(_operation(server) for server in line)
    return next((number for number, other in enumerate(waiting) if other == operation), len(waiting))


def is_first_of_its_operation(server: Server, line: Sequence[Server]) -> bool:
    """Whether nobody of the same operation stands before this server."""
    operation = _operation(server)
    return next((other.name for other in line if _operation(other) == operation), None) == server.name


def _operation(server: Server) -> str:
    return (server.place or "").partition("/")[0]
