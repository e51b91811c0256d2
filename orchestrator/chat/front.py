"""The chats of one Brinepool: the desk, the courier and the adapters, started and stopped together."""

from collections.abc import Sequence

from flask import Blueprint

from orchestrator.commands import World

from .base import CONSOLE, ChatAdapter
from .console import Console
from .courier import Courier
from .desk import BrinepoolDesk
from .webhook import unknown_bot


class Chats:
    """Nothing connects before `start`."""

    def __init__(self, world: World, adapters: Sequence[ChatAdapter]) -> None:
        self._world = world
        self.adapters = tuple(adapters)
        self.desk = BrinepoolDesk(world)
        self.courier = Courier(self.adapters)

    @property
    def console(self) -> Console:
        """The console of `brine chat`."""
        found = next(adapter for adapter in self.adapters if adapter.service == CONSOLE)
        assert isinstance(found, Console)  # noqa: S101  (no other service may have its name)
        return found

    def start(self) -> None:
        """Connect to every service, and begin to keep cards up to date. A service that is away does not matter."""
        self.courier.start(self._world)
        for adapter in self.adapters:
            adapter.start(self.desk)

    def stop(self) -> None:
        """Disconnect."""
        for adapter in self.adapters:
            adapter.stop()
        self.courier.stop()

    def blueprints(self) -> list[Blueprint]:
        """The paths over which services call us; each checks its requests itself."""
        found = [paths for adapter in self.adapters if (paths := adapter.blueprint()) is not None]
        return [*found, unknown_bot()]

    def problems(self) -> list[str]:
        """A sentence for each service that is not reached now."""
        return [problem for adapter in self.adapters if (problem := adapter.problem())]
