"""What the commands about leaks give: plain data that every front door can render."""

from datetime import datetime

from pydantic import BaseModel

from orchestrator.domain.leaks import LeakKind


class LeakView(BaseModel):
    """Something about which our records, the cloud with the master, and the minions disagree.

    `kind`: what is done about it: `remove` what nobody has, `degrade` (mark a server as degraded), `recover` (take the
    mark off), `heal` (it is marked already; people do the rest) or `report` (nothing). `times`: at how many sweeps in a
    row it was seen, where that counts. `due`: whether a sweep does it now. `what`: the same in words.
    `failure`: why it could not be removed.
    """

    kind: LeakKind
    server: str
    reason: str
    seen_since: datetime
    times: int
    due: bool
    what: str
    failure: str | None = None


class Leaks(BaseModel):
    """All that disagreed at that moment."""

    at: datetime
    leaks: list[LeakView]
