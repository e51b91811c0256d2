"""Notices as replies: what the room of an environment, and whoever asked, are told."""

from orchestrator.commands import World, environments
from orchestrator.commands.views import Accepted
from orchestrator.domain.environment import Event
from orchestrator.domain.errors import NotFound
from orchestrator.domain.lifecycle import OperationState
from orchestrator.domain.notices import Notice

from . import cards
from .replies import Button, Reply, Tone


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
    code = outcome.details.code if details and outcome.details else ""
    if not mention and not code:
        return None
    if seen.operation.state is OperationState.FAILED:
        return Reply(title=outcome.title, tone=Tone.BAD, lines=outcome.lines, code=code, mention=mention)
    return Reply(title=outcome.title, tone=outcome.tone, mention=mention)


def of_environment(world: World, event: Event, notice: Notice) -> Reply:
    """Something that is no operation: extended, or about to expire."""
    try:
        view = environments.show(world, event.environment)
    except NotFound:
        return cards.note(f"{event.environment} has ended in the meantime.")
    left = cards.left(view.expires_in_s)
    if notice is Notice.EXTENDED:
        return cards.note(f"{event.actor} extended {view.name}; it expires in {left}.")
    extend = Button(label="Extend", command=f"extend {view.name}", style="primary")
    end = Button(label="End it now", command=f"terminate {view.name}", style="danger")
    return Reply(
        title=f"{view.name} expires in {left}",
        tone=Tone.WARNING,
        lines=(f"It belongs to {view.owner}, and goes then unless somebody extends it.",),
        buttons=(extend, end),
    )
