"""Tokens: whose they are. Kept as SHA-256 of 256 random bits, which needs no salt and no slow hash."""

import hashlib

from .world import World


def hashed(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def person_of(world: World, token: str) -> str | None:
    """The person a token belongs to; None when it is unknown or revoked."""
    with world.store.transaction() as ledger:
        return ledger.person_of(hashed(token))


def ensure(world: World, token: str, person: str, label: str) -> None:
    """Let `token` speak for `person`; the label's older tokens stop working."""
    with world.store.transaction() as ledger:
        ledger.ensure_token(hashed(token), person, label)
