"""The two legs of the contract suite: the fake salt-api and the real one, with what a test may do to either."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psutil
from ruamel.yaml import YAML

from orchestrator.domain.template import Template
from orchestrator.embedded.stack import status
from orchestrator.saltapi.adapter import SaltApi
from tests.embedded import RunningStack
from tests.fakes.saltapi import FakeSaltApi

SHOP = Template.model_validate(YAML(typ="safe").load(Path(__file__).resolve().parents[2] / "templates" / "shop.yaml"))


class Leg(Protocol):
    """A Salt, and what may happen to it. `patience`: for how long a test waits for things that take their time."""

    patience: float

    def connect(self, password: str | None = None) -> SaltApi:
        """Another client, as another process would be; closed by the caller."""

    def expire_tokens(self) -> None:
        """Let every token expire."""

    def restart(self) -> None:
        """End salt-api without warning; it comes back by itself."""

    def dawdle(self, seconds: float) -> None:
        """Let each state take so long, where that is less than a blink otherwise."""


class FakeLeg:
    """The fake, which is quick."""

    patience = 5.0

    def __init__(self, api: FakeSaltApi) -> None:
        self._api = api

    def connect(self, password: str | None = None) -> SaltApi:
        return self._api.connect() if password is None else self._api.connect(password)

    def expire_tokens(self) -> None:
        self._api.revoke_tokens()

    def restart(self) -> None:
        self._api.restart(0.1)

    def dawdle(self, seconds: float) -> None:
        self._api.salt.durations = replace(self._api.salt.durations, state=seconds)


class RealLeg:
    """The embedded stack."""

    patience = 60.0

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack

    def connect(self, password: str | None = None) -> SaltApi:
        return self._stack.connect(password)

    def expire_tokens(self) -> None:
        # Where the master keeps what a session of salt-api stands for.
        for token in (self._stack.home.salt / "cache" / "tokens").iterdir():
            token.unlink()

    def restart(self) -> None:
        [pid] = [one.pid for one in status(self._stack.settings).programs if one.name == "salt-api"]
        psutil.Process(pid).kill()

    def dawdle(self, seconds: float) -> None:
        pass  # real ones take their time
