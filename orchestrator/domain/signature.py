"""Signed webhooks: `Brinepool-Signature: t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`. Pure: the time is an argument.

The signature proves that whoever has the secret wrote this body at that time. It does not prove that the body is new:
within the window the receiver keeps the delivery id, which is part of the body.
"""

import hashlib
import hmac
import re

from .errors import NotAllowed

HEADER = "Brinepool-Signature"
WINDOW_S = 300  # how far apart two clocks may be, and how old a request may be, in seconds

_TIME = re.compile(r"[0-9]{1,12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST = 1000  # of the header; one that is longer is not ours, and is not taken apart


def sign(secret: str, body: bytes, now: float) -> str:
    """The value of the header for a body that is sent at `now` (seconds since 1970)."""
    at = str(int(now))
    return f"t={at},v1={_digest(secret, at, body)}"


def verify(secret: str, body: bytes, header: str | None, now: float) -> None:
    """Return when the header was made with this secret, for this body, within five minutes of `now`.

    Several `v1` may follow each other, as while a secret is being changed; one that fits is enough. Members with other
    names are ignored. Raises NotAllowed: `signature-missing`, `signature-wrong`, `signature-stale`; that it is stale is
    told only to who has the secret.
    """
    if not header or not header.strip():
        raise NotAllowed("signature-missing", f"Sign the request: the header {HEADER} is missing.")
    at, digests = _parts(header)
    expected = _digest(secret, at, body)
    # All of them are compared, so that the time it takes does not tell which one fits.
    fits = [hmac.compare_digest(expected, digest) for digest in digests]
    if not secret or not at or not any(fits):
        raise NotAllowed(
            "signature-wrong",
            f"The {HEADER} does not fit this body and the secret; sign the very bytes that are sent.",
        )
    if abs(now - int(at)) > WINDOW_S:
        raise NotAllowed(
            "signature-stale",
            f"The signature is more than {WINDOW_S // 60} minutes old or early; sign when sending, and set the clock.",
        )


def _parts(header: str) -> tuple[str, list[str]]:
    """The time as it was written ("" when it is missing or given twice) and every digest of version 1."""
    if len(header) > _LONGEST:
        return "", []
    members = [member.strip().partition("=") for member in header.split(",")]
    times = [value for name, _, value in members if name == "t" and _TIME.fullmatch(value)]
    digests = [value for name, _, value in members if name == "v1" and _DIGEST.fullmatch(value)]
    return (times[0] if len(times) == 1 else ""), digests


def _digest(secret: str, at: str, body: bytes) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
