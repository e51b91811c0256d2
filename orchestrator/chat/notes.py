"""Notices as replies: what the room of an environment, and whoever asked, are told."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.commands import World, environments
from orchestrator.commands.views import Accepted, EnvironmentView
from orchestrator.domain.environment import Event
from orchestrator.domain.errors import NotFound
from orchestrator.domain.lifecycle import OperationState
from orchestrator.domain.notices import Notice

from . import cards
from .replies import Button, Reply, Table, Tone


def begun(seen: Accepted) -> Reply:
    """Somebody creates an environment, told to its room when that was asked for elsewhere."""
    view = seen.environment
    return cards.note(f"{seen.operation.actor} is creating {view.name} from {view.template} ({cards.branches(view)})")


def ended(seen: Accepted) -> Reply:
    """An operation has ended, told where it has no card."""
    reply = cards.outcome(seen)
    return reply.model_copy(update={"lines": (*reply.lines, f"Asked for by {seen.operation.actor}.")})


def below(seen: Accepted, outcome: Reply, mention: tuple[str, ...], details: bool) -> Reply | None:
    """Below the card: whoever asked is notified, with the details of a failure. None when there is neither."""
    more = outcome.details if details else None
    if not mention and not more:
        return None
    if seen.operation.state is OperationState.FAILED:
        lines, code = (more.lines, more.code) if more else ((), "")
        return Reply(title=outcome.title, tone=Tone.BAD, lines=(*outcome.lines, *lines), code=code, mention=mention)
    return Reply(title=outcome.title, tone=outcome.tone, mention=mention)


def of_environment(world: World, event: Event, notice: Notice) -> tuple[Reply, str]:
    """Something that is no operation: extended, about to end, or degraded. → it, and the environment's owner."""
    try:
        view = environments.show(world, event.environment)
    except NotFound:
        return cards.note(f"{event.environment} has ended in the meantime."), ""
    if notice is Notice.EXTENDED:
        return cards.note(f"{event.actor} extended {view.name}; it expires in {cards.left(view.expires_in_s)}."), ""
    if notice is Notice.DEGRADED:
        return _degraded(view), ""
    return _warning(view, event, world.clock.now()), view.owner


def _degraded(view: EnvironmentView) -> Reply:
    """What has died, as it is by now: it may have come back since, or somebody may be mending it already."""
    if view.degraded is None:
        return cards.note(f"{view.name} had lost a server for a while; it is {view.status} now.")
    heal = Button(label="Make it anew", command=f"retry {view.name}", style="primary")
    return Reply(title=f"{view.name} is degraded", tone=Tone.WARNING, lines=(view.degraded,), buttons=(heal,))


def _warning(view: EnvironmentView, event: Event, now: datetime) -> Reply:
    """Three things to do with one click: extend by the template's step, keep until tomorrow morning, end now."""
    ends_at = event.data.get("ends_at")
    left = (datetime.fromisoformat(ends_at) - now).total_seconds() if ends_at else view.expires_in_s
    # One that arrives late still gives its time, counted from now, so nobody must read in it that it is too late.
    title = f"{view.name} ends in {cards.left(left)}" if left > 0 else f"{view.name} is due to end"
    buttons = [Button(label="End it now", command=f"terminate {view.name}", style="danger")]
    if event.data.get("extendable", True):
        extend = Button(label="Extend", command=f"extend {view.name}", style="primary")
        keep = Button(label="Keep until tomorrow morning", command=f"extend {view.name} until tomorrow 09:00")
        buttons = [extend, keep, *buttons]
    return Reply(
        title=title,
        tone=Tone.WARNING,
        lines=(f"Why: {event.data.get('why') or 'it expires'}. It belongs to {view.owner}.",),
        buttons=tuple(buttons),
    )


def report(data: Mapping[str, Any], now: datetime) -> Reply:
    """The nightly report of a room: what went, what stays until when, and what could not be removed."""
    went, stays, stuck = data["went"], data["stays"], data["stuck"]
    tables = []
    if went:
        rows = tuple((each["environment"], each["owner"], each["why"]) for each in went)
        tables.append(Table(columns=("went", "owner", "because"), rows=rows))
    if stuck:
        rows = tuple((each["environment"], each["owner"], each["why"]) for each in stuck)
        tables.append(Table(columns=("could not be removed", "owner", "why"), rows=rows))
    if stays:
        kept = tuple((each["environment"], each["owner"], _until(each["until"], now), each["why"]) for each in stays)
        tables.append(Table(columns=("stays", "owner", "for", "kept by"), rows=kept))
    title = f"Last night: {len(went)} went, {len(stays)} {'stays' if len(stays) == 1 else 'stay'}"
    title += f", {len(stuck)} could not be removed" if stuck else ""
    return Reply(title=title, tone=Tone.WARNING if stuck else Tone.PLAIN, tables=tuple(tables))


def _until(moment: str, now: datetime) -> str:
    left = (datetime.fromisoformat(moment) - now).total_seconds()
    return cards.left(left) if left > 0 else "now due"
