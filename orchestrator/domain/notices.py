"""Notices: which event people are told of, and where. Pure.

A notice goes to the room of its environment (what the template says, else where the environment was asked for), to the
room in which its operation was asked for, and directly to those who want that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .conversation import Place
from .environment import Environment, Event, Kind, Operation
from .lifecycle import OperationState
from .template import Template


class Notice(StrEnum):
    """What people are told."""

    CREATED = "created"
    READY = "ready"
    DEPLOYED = "deployed"
    TERMINATED = "terminated"
    SERVER_TERMINATED = "server terminated"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXTENDED = "extended"
    EXPIRING = "expiring"
    DEGRADED = "degraded"


_DONE = {
    Kind.CREATE: Notice.READY,
    Kind.RETRY: Notice.READY,
    Kind.DEPLOY: Notice.DEPLOYED,
    Kind.TERMINATE: Notice.TERMINATED,
    Kind.TERMINATE_SERVER: Notice.SERVER_TERMINATED,
}
_OF_ENVIRONMENTS = {
    "environment.extended": Notice.EXTENDED,
    "environment.expiring": Notice.EXPIRING,
    "environment.lost_servers": Notice.DEGRADED,
}


def notice_of(event: Event, operation: Operation | None) -> Notice | None:
    """What this event tells people; None when nothing. `operation` is the event's own."""
    if operation is None:
        return _OF_ENVIRONMENTS.get(event.kind)
    if event.kind == "operation.requested":
        return Notice.CREATED if operation.kind is Kind.CREATE else None
    ends = {
        f"operation.{OperationState.SUCCEEDED}": _DONE[operation.kind],
        f"operation.{OperationState.FAILED}": Notice.FAILED,
        f"operation.{OperationState.CANCELLED}": Notice.CANCELLED,
    }
    return ends.get(event.kind)


@dataclass(frozen=True)
class Destination:
    """Where a notice goes in one service: `room` a room's id, `name` a room's name, or `account` directly."""

    service: str
    room: str = ""
    name: str = ""
    account: str = ""

    def __str__(self) -> str:
        how = "room" if self.room else "name" if self.name else "account"
        return f"{self.service}/{how}/{getattr(self, how)}"

    @classmethod
    def parse(cls, text: str) -> "Destination":
        """The reverse of `str`."""
        service, how, what = text.split("/", 2)
        return cls(service, **{how: what})


def destinations(
    notice: Notice,
    environment: Environment,
    template: Template | None,
    asked_in: str | None,
    directly: Iterable[tuple[str, str]],
    services: Sequence[str],
) -> list[Destination]:
    """Where to tell it, without repetition. `asked_in`: where the operation was asked for; its card is there already
    when it begins. `directly`: accounts (service, account) of those who want to be told directly.

    Services that are not configured are left out.
    """
    found: dict[Destination, None] = {}
    if asked_in and notice is not Notice.CREATED:
        place = Place.parse(asked_in)
        found[Destination(place.service, room=place.room)] = None
    if notice is not Notice.CANCELLED:
        for destination in home(environment, template, services):
            if notice is not Notice.CREATED or str(Place(destination.service, destination.room)) != asked_in:
                found[destination] = None
        for service, account in directly if notice is not Notice.CREATED else ():
            found[Destination(service, account=account)] = None
    return [destination for destination in found if destination.service in services]


def home(environment: Environment, template: Template | None, services: Sequence[str]) -> list[Destination]:
    """The environment's own room: the template's `notify`, else the first of its `rooms`, else where it was made."""
    named = template and (template.notify or next(iter(template.rooms or ()), None))
    if named:
        return rooms_of(named, services)
    if environment.room:
        place = Place.parse(environment.room)
        return [Destination(place.service, room=place.room)]
    return []


def rooms_of(name: str | None, services: Sequence[str]) -> list[Destination]:
    """The rooms that ops mean by `shop-dev` (in every service) or `slack:shop-dev`."""
    service, colon, rest = (name or "").partition(":")
    if not name:
        return []
    if colon and service in services:
        return [Destination(service, name=rest.lstrip("#"))]
    return [Destination(each, name=name.lstrip("#")) for each in services]
