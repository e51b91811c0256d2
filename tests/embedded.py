"""The real thing in a test: a master, salt-api and minions of their own, started once for the whole run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.embedded import stack as embedded
from orchestrator.embedded.home import Home, find
from orchestrator.saltapi.adapter import SaltApi
from orchestrator.saltapi.client import password_file
from orchestrator.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stack:
    """A running embedded stack."""

    settings: Settings
    home: Home

    def connect(self, password: str | None = None) -> SaltApi:
        """An adapter that talks to its salt-api."""
        read = password_file(self.settings.password_file) if password is None else lambda: password
        return SaltApi(self.home.salt_api_url, self.settings.salt_api_user, read)


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """A stack with its home in `folder`; nothing of it runs any more afterwards."""
    settings = Settings(home=folder)
    try:
        embedded.up(settings, log.info)
        yield Stack(settings, find(settings))
    finally:
        embedded.down(settings, log.info)
