"""People: who they are, which accounts in which chats are theirs, and what their role allows. Pure."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from .schedule import time_zones

ADMIN = "admin"  # whose token `brine up` makes; it needs no line in access.yaml and cannot be given less
SCHEDULER = "scheduler"  # who asks for what policy does

PersonName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]*$", max_length=60)]
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]


class Role(StrEnum):
    """What somebody may do, each more than the one before."""

    NOTHING = "nothing"
    VIEWER = "viewer"
    DEVELOPER = "developer"
    OPS = "ops"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether this role allows what `needed` allows."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


def _listed(value: object) -> object:
    """One text stands for a list of one."""
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...], BeforeValidator(_listed)]


def _time_zone(value: str) -> str:
    if value not in time_zones():
        raise ValueError(f"“{value}” is no time zone; write one such as Europe/Berlin or UTC")
    return value


TimeZone = Annotated[str, BeforeValidator(_time_zone)]


class _Curated(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Person(_Curated):
    """One person. `identities`: by chat service the ids of their accounts there (never a name they can change)."""

    role: Role
    identities: dict[ServiceName, Texts] = {}
    email: Texts = ()
    timezone: TimeZone | None = None

    @field_validator("role")
    @classmethod
    def _a_real_role(cls, role: Role) -> Role:
        if role is Role.NOTHING:
            raise ValueError("write viewer, developer, ops or admin; leave somebody out who may do nothing")
        return role


class Access(_Curated):
    """Who may do what, as in `access.yaml` (docs/people.md describes every field).

    `unknown`: what somebody gets who is not listed: `viewer` or `nothing`. `timezone`: for those who have none.
    """

    unknown: Role = Role.NOTHING
    timezone: TimeZone = "UTC"
    people: dict[PersonName, Person] = Field({})

    @field_validator("unknown")
    @classmethod
    def _little(cls, role: Role) -> Role:
        if role not in (Role.NOTHING, Role.VIEWER):
            raise ValueError("somebody unknown may be a viewer or nothing; list people who may do more")
        return role

    @field_validator("people")
    @classmethod
    def _accounts_belong_to_one(cls, people: dict[str, Person]) -> dict[str, Person]:
        for reserved in (SCHEDULER,):
            if reserved in people:
                raise ValueError(f"“{reserved}” is Brinepool's own name for itself; call the person otherwise")
        owners: dict[tuple[str, str], str] = {}
        for name, person in people.items():
            for account in _accounts(person):
                if owners.setdefault(account, name) != name:
                    raise ValueError(f"{account[0]} {account[1]} is given to both {owners[account]} and {name}")
        return people

    def role_of(self, person: str) -> Role:
        """The role of a person by name."""
        if person in (ADMIN, SCHEDULER):
            return Role.ADMIN
        known = self.people.get(person)
        return known.role if known else self.unknown

    def zone_of(self, person: str) -> ZoneInfo:
        """The time zone in which a person means a time of day."""
        known = self.people.get(person)
        return ZoneInfo(known.timezone if known and known.timezone else self.timezone)

    def person_of(self, service: str, user: str, email: str = "") -> str | None:
        """Whose account that is: by its id, else by an address that the service vouches for. None when unknown."""
        for name, person in self.people.items():
            if user in person.identities.get(service, ()):
                return name
        wanted = email.strip().lower()
        if wanted:
            for name, person in self.people.items():
                if wanted in (address.lower() for address in person.email):
                    return name
        return None


def _accounts(person: Person) -> Iterable[tuple[str, str]]:
    for service, users in person.identities.items():
        yield from ((service, user) for user in users)
    yield from (("e-mail", address.lower()) for address in person.email)
