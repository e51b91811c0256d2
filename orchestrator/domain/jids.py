"""Job ids as Salt writes them: the time to the microsecond, and perhaps the id of the process that made it."""

import re

from .errors import BadInput

_JID = re.compile(r"[0-9]{20}(?:_[0-9]{1,10})?")


def check_jid(jid: str) -> str:
    """Return `jid` if it can be one. Raises BadInput otherwise."""
    if not _JID.fullmatch(jid):
        raise BadInput(
            "jid-invalid", f"“{jid[:40]}” is not a job id of Salt; those have 20 digits, such as 20261125093000123456."
        )
    return jid
