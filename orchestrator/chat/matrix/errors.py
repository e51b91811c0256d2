"""What a Matrix homeserver's errors mean for whoever wants something from it, and for ops."""

from pathlib import Path
from typing import Any

from orchestrator.chat.base import RateLimited, Undeliverable
from orchestrator.domain.errors import BrinepoolError, Unavailable

from .account import Account


class SignedOut(Unavailable):
    """Our access token is not valid, or not any more."""


def secret(file: Path) -> str:
    """What a file holds; raises Unavailable: ops may still put it there."""
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        sentence = f"Matrix: {file} cannot be read; it has to hold the secret of the bot's account."
        raise Unavailable("chat-not-accepted", sentence, detail=repr(error)) from error


def not_accepted(account: Account, what: str, file: Path | None, detail: str = "") -> Unavailable:
    """What proves that the account is ours does not; `what` it is and in which file."""
    sentence = f"The Matrix homeserver does not accept the {what} of {account.user}; put a valid one into {file}."
    return Unavailable("chat-not-accepted", sentence, detail=detail)


def refusal(answer: Any, account: Account, about: str) -> BrinepoolError:
    """What an answer that is an error means."""
    http = answer.transport_response
    code, status = answer.status_code or "", http.status if http else 0
    if status == 429 or code == "M_LIMIT_EXCEEDED":
        return RateLimited(_wanted_pause(answer))
    if code in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"):
        return SignedOut("chat-not-accepted", f"The Matrix homeserver has signed {account.user} out.")
    if not code or status >= 500:
        sentence = f"The Matrix homeserver {account.homeserver} does not answer as it should."
        return Unavailable("chat-unreachable", sentence, detail=f"{status} {answer}")
    sentence = f"Matrix does not let {account.user} do that ({code}); tell ops."
    if about.startswith("!") and code in ("M_FORBIDDEN", "M_NOT_FOUND"):
        sentence = f"Matrix does not let {account.user} write in the room {about}; invite it there."
    return Undeliverable("chat-undeliverable", sentence, detail=f"{status} {answer}", status=status)


def _wanted_pause(answer: Any) -> float:
    """Seconds, from the answer's body or, as newer homeservers have it, its header."""
    if isinstance(answer.retry_after_ms, int):
        return max(0.0, answer.retry_after_ms / 1000)
    header = answer.transport_response.headers.get("Retry-After", "") if answer.transport_response else ""
    return float(header) if header.isdigit() else 5.0
