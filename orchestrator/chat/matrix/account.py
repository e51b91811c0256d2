"""Who we are at a Matrix homeserver, and what of it outlives a restart."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

Tasks = Collection[asyncio.Task[None]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """An account. One of the two files holds what proves that it is ours; `state`: a folder for this adapter alone."""

    homeserver: str
    user: str
    state: Path
    password_file: Path | None = None
    token_file: Path | None = None

    @property
    def server(self) -> str:
        """The homeserver's name, as in the ids of its accounts and in the aliases of its rooms."""
        return self.user.partition(":")[2]


class Kept(BaseModel):
    """What is remembered. `since`: everything that happened up to this place has been dealt with (None: we have never
    been here)."""

    homeserver: str = ""
    user: str = ""
    device: str = ""
    token: str = ""
    since: str | None = None


class Memory:
    """`matrix.json` in the state folder, readable for us only. That of another account counts as empty."""

    def __init__(self, account: Account) -> None:
        self._nothing = Kept(homeserver=account.homeserver, user=account.user)
        self._file = account.state / "matrix.json"
        self.kept = self._nothing

    def load(self) -> None:
        """Read it. What cannot be read counts as empty."""
        kept = self._nothing
        try:
            kept = Kept.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValidationError):
            _log.warning("%s cannot be read; what was said while we were away is not acted on.", self._file)
        same = (kept.homeserver, kept.user) == (self._nothing.homeserver, self._nothing.user)
        self.kept = kept if same else self._nothing

    def save(self, **changes: str | None) -> None:
        """Change it, in one step that is never seen half done. Without a disk it lasts until we stop."""
        kept = self.kept.model_copy(update=changes)
        if kept == self.kept:
            return
        self.kept = kept
        try:
            self._write(kept.model_dump_json())
        except OSError as error:
            _log.warning(
                "%s cannot be written; after a restart more than is needed is done again: %s", self._file, error
            )

    def _write(self, text: str) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        new.replace(self._file)


class Bookmark:
    """Turned on behind a batch of events when that, and every one before it, has been dealt with."""

    def __init__(self, turn: Callable[[str], None]) -> None:
        self._turn = turn
        self._open: deque[tuple[str, set[asyncio.Task[None]]]] = deque()

    def add(self, place: str, tasks: Tasks) -> None:
        """A batch that ends at `place`, and what is dealing with it."""
        left = set(tasks)
        self._open.append((place, left))
        for task in tasks:
            task.add_done_callback(lambda done: self._ended(done, left))
        self._turn_on()

    def _ended(self, task: asyncio.Task[None], left: set[asyncio.Task[None]]) -> None:
        if not task.cancelled():  # what was broken off comes again after a restart
            left.discard(task)
            self._turn_on()

    def _turn_on(self) -> None:
        place = None
        while self._open and not self._open[0][1]:
            place, _ = self._open.popleft()
        if place:
            self._turn(place)
