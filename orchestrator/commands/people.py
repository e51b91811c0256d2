"""People: whose account that is, linking accounts with one-time codes, how somebody wants to be told, the audit."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from orchestrator.domain.conversation import Audit, NoticeMode
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import BadInput, NotAllowed, NotFound
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.people import ADMIN
from orchestrator.domain.policy import Act
from orchestrator.ports import Ledger

from . import permissions
from .views import AuditView
from .world import World

CODE_LIVES = timedelta(minutes=10)
WRONG_CODES = 5  # within an hour, from one account; a code has 40 bits
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # nothing that is mistaken for something else


def identify(world: World, service: str, account: str, email: str = "") -> str | None:
    """The person an account belongs to: by access.yaml, else by a link. None when nobody knows."""
    access = world.access.current().access
    if (person := access.person_of(service, account, email)) is not None:
        return person
    with world.store.transaction() as ledger:
        return ledger.chat.person_of_account(service, account)


def accounts(world: World, ledger: Ledger, person: str) -> list[tuple[str, str]]:
    """The accounts of a person: service and account, those of access.yaml first."""
    known = world.access.current().access.people.get(person)
    listed = [(service, user) for service, users in known.identities.items() for user in users] if known else []
    return listed + [account for account in ledger.chat.accounts_of(person) if account not in listed]


def new_code(world: World, actor: Actor, person: str | None = None) -> str:
    """A one-time code that links an account to `person` (left out: to the actor). It lives for ten minutes.

    NotAllowed for somebody else's code without the right; NotFound for somebody whom access.yaml does not list.
    """
    permissions.check(world, actor, Act.LOOK)
    wanted = person or actor.person
    if wanted != actor.person:
        permissions.check(world, actor, Act.LINK_OTHERS)
    if wanted != ADMIN and wanted not in world.access.current().access.people:
        raise NotFound("person-unknown", f"access.yaml does not list {wanted}, so there is nothing to link to.")
    code = "".join(secrets.choice(_LETTERS) for _ in range(8))
    with world.store.transaction() as ledger:
        ledger.chat.add_code(_hashed(code), wanted, CODE_LIVES)
    return f"{code[:4]}-{code[4:]}"


def link(world: World, service: str, account: str, code: str) -> str:
    """Link an account to the person the code was made for. → that person.

    BadInput for a code that is wrong, used or expired; NotAllowed after too many of those.
    """
    with world.store.transaction() as ledger:
        since = world.clock.now() - timedelta(hours=1)
        if ledger.chat.count_audits(f"{service}:{account}", "code-wrong", since) >= WRONG_CODES:
            raise NotAllowed("codes-exhausted", "Too many wrong codes from this account; try again in an hour.")
        person = ledger.chat.take_code(_hashed(code))
        if person is None:
            raise BadInput(
                "code-wrong", "That code is wrong, was used, or is older than ten minutes; ask for a new one with: link"
            )
        ledger.chat.link(service, account, person)
    return person


def set_notices(world: World, actor: Actor, mode: NoticeMode) -> None:
    """How the actor wants to be told from now on."""
    with world.store.transaction() as ledger:
        ledger.chat.set_notices(actor.person, mode)


def write_down(world: World, line: Audit) -> None:
    """A line of the audit, masked."""
    masked = Audit(**{**line.__dict__, "text": mask_secrets(line.text)[:1000], "reason": mask_secrets(line.reason)})
    with world.store.transaction() as ledger:
        ledger.chat.write_down(masked)


def audits(world: World, actor: Actor, before: int | None = None, limit: int = 50) -> Sequence[AuditView]:
    """The audit, newest first. NotAllowed below ops."""
    permissions.check(world, actor, Act.AUDIT)
    with world.store.transaction() as ledger:
        return [AuditView(**line.__dict__) for line in ledger.chat.audits(before, limit)]


def _hashed(code: str) -> str:
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()
