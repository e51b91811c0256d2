"""What Brinepool's database has, read from outside: by the watch while a round runs, and for the verification."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.chaos.plan import PHASES

Row = dict[str, Any]
_ACTIVE = ("pending", "running")
_PHASE_OF = {"deploy": "deploying", "retry": "retrying", "terminate": "terminating", "terminate-server": "removing"}


class Rows:
    """The database of a home, for one thread. Each read is a transaction of its own."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def newest(self) -> int:
        """The number of the newest event."""
        return int(self._all("select coalesce(max(seq), 0) as seq from events")[0]["seq"])

    def events(self, after: int) -> list[Row]:
        """Events behind a number, each with the kind of its operation (`of`)."""
        return self._all(
            "select e.seq, e.at, e.environment, e.server, e.operation, e.kind, e.data, o.kind as of "
            "from events e left join operations o on o.id = e.operation where e.seq > ? order by e.seq",
            after,
        )

    def operations(self, since: str = "") -> list[Row]:
        """Operations with an id beyond `since`, oldest first."""
        return self._all("select * from operations where id > ? order by id", since)

    def newest_operation(self) -> str:
        """The id of the newest operation; "" for none."""
        return str(self._all("select coalesce(max(id), '') as id from operations")[0]["id"])

    def active(self) -> list[Row]:
        """Operations that have not ended."""
        return self._all("select * from operations where state in ('pending', 'running')")

    def environments(self) -> list[Row]:
        """Environments that have not ended."""
        return self._all("select * from environments where status <> 'terminated'")

    def servers(self) -> list[Row]:
        """Servers that have not ended."""
        return self._all("select * from servers where status <> 'terminated'")

    def phases(self) -> set[str]:
        """The phases that operations are in at this moment; empty when nothing is going on."""
        statuses: dict[str, set[str]] = {}
        for server in self.servers():
            statuses.setdefault(server["environment"], set()).add(server["status"])
        found = {phase_of(each, statuses.get(each["environment"], set())) for each in self.active()}
        return found & set(PHASES)

    def _all(self, query: str, *arguments: Any) -> list[Row]:
        if self._connection is None:
            self._connection = sqlite3.connect(self._file, timeout=30)
            self._connection.row_factory = sqlite3.Row
        return [_plain(row) for row in self._connection.execute(query, arguments)]

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()


def phase_of(operation: Row, statuses: set[str]) -> str:
    """Where an operation is, by its kind and the statuses of its environment's servers."""
    if operation["state"] == "pending":
        return "requested"
    if operation["kind"] != "create":
        return _PHASE_OF.get(operation["kind"], "")
    return "booting" if statuses & {"requested", "booting"} else "configuring"


def _plain(row: sqlite3.Row) -> Row:
    data = dict(row)
    for name in ("data", "failure", "request"):
        if isinstance(data.get(name), str):
            data[name] = json.loads(data[name])
    return data
