"""What the master keeps about our servers: records, machines, tombstones, and the minions' keys.

Everything is in Salt's own caches, so it lives wherever this master keeps its cache.
"""

import time
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any

import salt.cache

from orchestrator.domain.record import BANK, TOMBSTONES, Record

MACHINES = "brinepool/machines"  # where a server's machine is: {"provider": "alias:driver", "profile": ...}
TOMBSTONE_DAYS = 30
LOCK_SECONDS = 300


class Stored:
    """The master's caches, seen as our servers. Reading something that is not there gives None or an empty answer."""

    def __init__(self, opts: dict[str, Any]) -> None:
        self._opts = opts
        self._cache = salt.cache.Cache(opts)
        self._keys = salt.cache.Cache(opts, driver=opts["keys.cache_driver"])

    def lock(self, server: str) -> AbstractContextManager[Any]:
        """Held while a server is created or destroyed. The kernel frees it when its holder dies.

        Names share 4096 files, so that a name leaves no file of its own behind; a lock file cannot be removed safely.
        Raises filelock.Timeout when somebody else holds it for longer than any machine takes.
        """
        import filelock

        folder = Path(self._opts["cachedir"]) / "brinepool" / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(folder / sha256(server.encode()).hexdigest()[:3], timeout=LOCK_SECONDS)

    def record(self, server: str) -> dict[str, Any] | None:
        """The server's record, as stored."""
        return self._cache.fetch(BANK, server) or None

    def put(self, record: Record) -> None:
        """Write a record. The minion gets it with its next pillar."""
        self._cache.store(BANK, record.server, record.model_dump(mode="json"))

    def machine(self, server: str) -> dict[str, Any]:
        """Where the server's machine is; {} when we did not make one."""
        return self._cache.fetch(MACHINES, server) or {}

    def put_machine(self, server: str, provider: str, profile: str) -> None:
        """Remember where the server's machine is about to be."""
        self._cache.store(MACHINES, server, {"provider": provider, "profile": profile})

    def destroyed_by(self, server: str) -> str:
        """The latest operation that destroyed a server of this name; "" when none did."""
        return str((self._cache.fetch(TOMBSTONES, server) or {}).get("operation", ""))

    def bury(self, server: str, operation: str) -> None:
        """Leave a tombstone: creates of this or an older operation are refused from now on."""
        latest = max(operation, self.destroyed_by(server))
        self._cache.store(TOMBSTONES, server, {"operation": latest})

    def key(self, server: str) -> str:
        """The state of the minion's key: accepted | pending | rejected | denied | "" (none)."""
        entry = self._keys.fetch("keys", server)
        if entry:
            return str(entry["state"])
        return "denied" if self._keys.fetch("denied_keys", server) else ""

    def forget_minion(self, server: str) -> None:
        """Remove every key of this name, in whatever state, and what the master cached about its bearer.

        Whoever still holds such a key is nobody from now on: the master checks the key with each request. The master's
        AES key is not rotated for it: that would make every other minion log in again.
        """
        self._keys.flush("keys", server)
        self._keys.flush("denied_keys", server)
        for bank in ("grains", "pillar", "mine"):
            self._cache.flush(bank, server)
        self._cache.flush(f"minions/{server}")
        (Path(self._opts["cachedir"]) / "sessions" / server).unlink(missing_ok=True)

    def forget(self, server: str) -> None:
        """Remove the server's record; the last step of a destroy, because the record is our mark on it."""
        self._cache.flush(MACHINES, server)
        self._cache.flush(BANK, server)

    def known(self) -> set[str]:
        """The names that bear our mark: with a record, or with a key of a server that we destroyed."""
        buried = set(self._cache.list(TOMBSTONES) or [])
        keyed = set(self._keys.list("keys") or []) | set(self._keys.list("denied_keys") or [])
        return set(self._cache.list(BANK) or []) | set(self._cache.list(MACHINES) or []) | (buried & keyed)

    def drop_old_tombstones(self) -> None:
        """Forget tombstones that no operation can be older than any more."""
        for server in self._cache.list(TOMBSTONES) or []:
            if (self._cache.updated(TOMBSTONES, server) or 0) < time.time() - TOMBSTONE_DAYS * 86400:
                self._cache.flush(TOMBSTONES, server)
