"""Verbs about how environments end: keeping them, what is planned, and the schedule."""

from datetime import timedelta

from orchestrator.commands import reaper
from orchestrator.commands.views import ActionView, EnvironmentView, HoldEnvironment, ProtectEnvironment
from orchestrator.domain.conversation import Outcome
from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.masking import mask_secrets

from . import cards
from .intent import Command
from .replies import Button, Reply, Tone
from .talk import Said, Talk

SOON = timedelta(days=1)  # how far is looked when nobody says


def span(talk: Talk, command: Command) -> str | None:
    """How long, also when it was said until when."""
    if command.until is None:
        return command.ttl
    return f"{max(1, int((command.until - talk.now).total_seconds()) // 60)}m"


def hold(talk: Talk, command: Command) -> Said:
    """Keep environments for debugging."""
    ask = HoldEnvironment(for_=span(talk, command))
    return _kept([reaper.hold(talk.world, talk.actor, target, ask) for target in command.targets])


def release(talk: Talk, command: Command) -> Said:
    """End holds before their time."""
    return _let_go([reaper.release(talk.world, talk.actor, target) for target in command.targets], "held")


def protect(talk: Talk, command: Command) -> Said:
    """Keep environments from the reaper, until a moment or without end."""
    ask = ProtectEnvironment(for_=command.ttl, until=command.until, why=command.why or "")
    return _kept([reaper.protect(talk.world, talk.actor, target, ask) for target in command.targets])


def unprotect(talk: Talk, command: Command) -> Said:
    """Take protections off."""
    return _let_go([reaper.unprotect(talk.world, talk.actor, target) for target in command.targets], "protected")


def plan(talk: Talk, command: Command) -> Said:
    """What the reaper would do now, and what expires soon, as far as it may be spoken of here."""
    if command.targets:
        return Said(_of_these([talk.environment(_environment_of(talk, target)) for target in command.targets], talk))
    owner = talk.actor.person if command.everything == "mine" else None
    found, hidden = talk.environments(owner)
    horizon = command.until or talk.now + SOON
    due = _due(talk)
    listed = [each for each in found if each.name in due]
    soon = [each for each in found if each.name not in due and _ends_by_itself(each) and each.expires_at <= horizon]
    order = list(due)
    lines = [_sentence(due[each.name]) for each in sorted(listed, key=lambda each: order.index(each.name))]
    lines += [cards.expiry(each, talk.zone) for each in sorted(soon, key=lambda each: each.expires_at)]
    return Said(cards.plan(lines, hidden))


def schedule(talk: Talk, command: Command) -> Said:
    """The scheduled jobs."""
    return Said(cards.schedule(reaper.jobs(talk.world), talk.zone))


def _of_these(found: list[EnvironmentView], talk: Talk) -> Reply:
    due = _due(talk)
    told = [_sentence(due[each.name]) if each.name in due else cards.expiry(each, talk.zone) for each in found]
    buttons = [Button(label="Extend", command=f"extend {each.name}") for each in found if _ends_by_itself(each)]
    reply = cards.note(told[0], *told[1:])
    return reply.model_copy(update={"buttons": tuple(buttons)}) if len(found) == 1 else reply


def _due(talk: Talk) -> dict[str, ActionView]:
    """By environment, in the plan's order."""
    return {action.environment: action for action in reaper.plan(talk.world).actions}


def _sentence(action: ActionView) -> str:
    return mask_secrets(action.sentence)  # the reason of a protection is anybody's text


def _ends_by_itself(view: EnvironmentView) -> bool:
    return view.status not in (EnvironmentStatus.TERMINATING, EnvironmentStatus.TERMINATED)


def _environment_of(talk: Talk, target: str) -> str:
    """A server ends with its environment."""
    words = talk.vocabulary
    is_server = target in words.servers and target not in words.environments
    return talk.server(target).environment if is_server else target


def _kept(views: list[EnvironmentView]) -> Said:
    lines = [f"{view.name} is {' and '.join(cards.kept(view))}." for view in views]
    return Said(cards.note(lines[0], *lines[1:], tone=Tone.GOOD), Outcome.ACCEPTED)


def _let_go(views: list[EnvironmentView], was: str) -> Said:
    lines = [f"{view.name} is not {was} any more; it expires in {cards.left(view.expires_in_s)}." for view in views]
    return Said(cards.note(lines[0], *lines[1:], tone=Tone.GOOD), Outcome.ACCEPTED)
