"""What keeps an environment from the reaper: plain frozen data. All moments are aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Protection:
    """Ops keep it: who, since when, until when (None: without end), and why.

    One that is over, also because it was taken off, stays with `until` when it ended: what was due in the meantime is
    due then, and warned about anew.
    """

    by: str
    since: datetime
    until: datetime | None = None
    why: str = ""

    def to_data(self) -> dict[str, Any]:
        """Plain data for a database row."""
        until = self.until.isoformat() if self.until else None
        return {"by": self.by, "since": self.since.isoformat(), "until": until, "why": self.why}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Protection":
        """The reverse of `to_data`."""
        until = datetime.fromisoformat(data["until"]) if data["until"] else None
        return cls(data["by"], datetime.fromisoformat(data["since"]), until, data["why"])


@dataclass(frozen=True)
class Hold:
    """Somebody is debugging it: who, since when, until when. One that is over stays, as with `Protection`."""

    by: str
    since: datetime
    until: datetime

    def to_data(self) -> dict[str, Any]:
        """Plain data for a database row."""
        return {"by": self.by, "since": self.since.isoformat(), "until": self.until.isoformat()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Hold":
        """The reverse of `to_data`."""
        return cls(data["by"], datetime.fromisoformat(data["since"]), datetime.fromisoformat(data["until"]))
