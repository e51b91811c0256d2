"""How far the operations with open cards are, as replies."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.commands import World, operations
from orchestrator.commands.views import ProgressView
from orchestrator.domain.conversation import Card

from . import cards
from .replies import Reply, Step

TICK_S = 15.0  # a card on which nothing changed but the time is shown anew this often


@dataclass
class _Seen:
    """What a board knows of one operation: the newest step of each server, up to the event `after`."""

    after: int = 0
    steps: dict[str, Step] = field(default_factory=dict)
    usual_s: float | None = None


@dataclass
class _Shown:
    """What a card showed last, and when."""

    steps: tuple[Step, ...] | None = None
    at: float = 0.0


class Board:
    """Used by one thread. Reads only what is new since the last time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, _Seen] = {}
        self._shown: dict[tuple[str, str], _Shown] = {}

    def in_turn(self, open_cards: Iterable[Card]) -> list[Card]:
        """The cards, the one that was shown longest ago first; what is known of others is forgotten."""
        found = list(open_cards)
        operations_there = {card.operation for card in found}
        keys = {_key(card) for card in found}
        self._seen = {operation: seen for operation, seen in self._seen.items() if operation in operations_there}
        self._shown = {key: shown for key, shown in self._shown.items() if key in keys}
        return sorted(found, key=lambda card: self._shown.get(_key(card), _Shown()).at)

    def news(self, card: Card) -> Reply | None:
        """The card as it should read now; None when it reads so already, or when the operation has ended."""
        look = operations.look(self._world, card.operation)
        if look.operation.state.ended:
            return None  # the notice of its end shows the outcome
        seen = self._brought_up(card.operation)
        steps = tuple(seen.steps[server] for server in sorted(seen.steps))
        shown = self._shown.get(_key(card), _Shown())
        if steps == shown.steps and time.monotonic() - shown.at < TICK_S:
            return None
        elapsed = look.operation.elapsed_s
        rest = max(0.0, seen.usual_s - elapsed) if seen.usual_s is not None else None
        return cards.started(look, steps, rest)

    def shown(self, card: Card, reply: Reply) -> None:
        """The card reads so now."""
        steps = reply.progress.steps if reply.progress else ()
        self._shown[_key(card)] = _Shown(steps, time.monotonic())

    def _brought_up(self, operation: str) -> _Seen:
        seen = self._seen.get(operation)
        if seen is None:
            seen = self._seen[operation] = _Seen(usual_s=operations.usual_seconds(self._world, operation))
        news, seen.after = operations.so_far(self._world, operation, seen.after)
        for view in news:
            if view.server:
                seen.steps[view.server] = _step(view)
        return seen


def _step(view: ProgressView) -> Step:
    return Step(server=view.server or "", phase=view.phase, state=view.state or "", n=view.n, of=view.of)


def _key(card: Card) -> tuple[str, str]:
    return card.operation, str(card.place)
