"""The chats of one Brinepool: the desk, the courier and the adapters, started and stopped together."""

from collections.abc import Callable, Sequence
from functools import partial

from flask import Blueprint, Response

from orchestrator.commands import World

from .base import CONSOLE, ChatAdapter
from .console import Console
from .courier import Courier
from .desk import BrinepoolDesk
from .webhook import unknown_bot

# What the status of a refused request means, where the answer does not say it itself (slack-bolt's do not).
_REFUSALS = {
    400: ("malformed", "The request could not be read."),
    401: ("signature-wrong", "The request was not signed as the service signs it, or too long ago."),
    404: ("bot-unknown", "There is nobody of that name."),
    409: ("delivery-repeated", "This very request was dealt with before."),
    413: ("too-large", "The request is too large."),
    422: ("malformed", "The request is not as the contract wants it."),
}


class Chats:
    """Nothing connects before `start`. `is_first`: see `Courier`."""

    def __init__(
        self, world: World, adapters: Sequence[ChatAdapter], is_first: Callable[[], bool] = lambda: True
    ) -> None:
        self.adapters = tuple(adapters)
        self.desk = BrinepoolDesk(world)
        self.courier = Courier(world, self.adapters, is_first)

    @property
    def console(self) -> Console:
        """The console of `brine chat`."""
        found = next(adapter for adapter in self.adapters if adapter.service == CONSOLE)
        assert isinstance(found, Console)  # noqa: S101  (no other service may have its name)
        return found

    def start(self) -> None:
        """Connect to every service, and begin to keep cards up to date. A service that is away does not matter."""
        self.courier.start()
        for adapter in self.adapters:
            adapter.start(self.desk)

    def stop(self) -> None:
        """Disconnect."""
        for adapter in self.adapters:
            adapter.stop()
        self.courier.stop()

    def blueprints(self) -> list[Blueprint]:
        """The paths over which services call us; each checks its requests itself, and what it refuses is written
        down."""
        found = {adapter.service: adapter.blueprint() for adapter in self.adapters} | {"unknown": unknown_bot()}
        for service, paths in found.items():
            if paths is not None:
                paths.after_request(partial(self._watch, service))
        return [paths for paths in found.values() if paths is not None]

    def _watch(self, service: str, response: Response) -> Response:
        if response.status_code in _REFUSALS:
            told = response.get_json(silent=True) or {}
            if told.get("code", "http-error") == "http-error":
                code, reason = _REFUSALS[response.status_code]
            else:
                code, reason = str(told["code"]), str(told["detail"])
            self.desk.refused(service, code, reason)
        return response

    def problems(self) -> list[str]:
        """A sentence for each service that is not reached now."""
        return [problem for adapter in self.adapters if (problem := adapter.problem())]
