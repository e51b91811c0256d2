"""Who may do what, and where. Pure: the role is looked up by whoever asks."""

from enum import StrEnum

from .environment import Actor
from .errors import NotAllowed
from .people import Role
from .template import Template


class Act(StrEnum):
    """What somebody may be allowed to do."""

    LOOK = "look at environments"
    CREATE = "create environments"
    DEPLOY = "deploy"
    EXTEND = "extend environments"
    RETRY = "retry"
    TERMINATE = "terminate"
    CANCEL = "cancel operations"
    HOLD = "hold environments"
    PROTECT = "protect environments"
    REAP = "start the reaper"
    SWEEP = "start a sweep"
    LINK_OTHERS = "make link codes for others"
    AUDIT = "read the audit"
    READ_RETURNS = "read what Salt returned as a whole"


NEEDED: dict[Act, Role] = {
    Act.LOOK: Role.VIEWER,
    Act.CREATE: Role.DEVELOPER,
    Act.DEPLOY: Role.DEVELOPER,
    Act.EXTEND: Role.DEVELOPER,
    Act.RETRY: Role.DEVELOPER,
    Act.TERMINATE: Role.DEVELOPER,
    Act.CANCEL: Role.DEVELOPER,
    Act.HOLD: Role.DEVELOPER,
    Act.PROTECT: Role.OPS,
    Act.REAP: Role.OPS,
    Act.SWEEP: Role.OPS,
    Act.LINK_OTHERS: Role.ADMIN,
    Act.AUDIT: Role.OPS,
    Act.READ_RETURNS: Role.OPS,
}


def check(actor: Actor, role: Role, act: Act, template: Template | None = None) -> None:
    """Raise NotAllowed unless `actor`, who has `role`, may do that, and may do it to `template` in that room."""
    if not role.covers(NEEDED[act]):
        if role is Role.NOTHING:
            raise NotAllowed(
                "person-unknown", f"Brinepool does not know {actor.person}; ask ops to add you to access.yaml."
            )
        raise NotAllowed(
            "role-too-low",
            f"{actor.person} is a {role} here and may not {act}; that takes the role {NEEDED[act]}, which ops give.",
        )
    if template is not None and not room_allowed(actor, template):
        rooms = " or ".join(f"#{room}" for room in template.rooms or ())
        raise NotAllowed(
            "room-not-allowed",
            f"Commands about {template.name} work in {rooms} only; say it there."
            if rooms
            else f"Commands about {template.name} do not work in any chat; use the command line.",
        )


def room_allowed(actor: Actor, template: Template) -> bool:
    """Whether a template lets itself be talked about where the actor is. `rooms` may say `slack:shop-dev`."""
    if actor.rooms is None or template.rooms is None:
        return True
    return any(room.lstrip("#") in actor.rooms for room in template.rooms)
