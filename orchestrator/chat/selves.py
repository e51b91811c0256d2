"""Verbs about the person who asks, and about the chat itself: help, link, notices, who am I."""

from orchestrator.commands import people
from orchestrator.domain.conversation import NoticeMode, Outcome
from orchestrator.domain.errors import BadInput

from . import cards
from .grammar import examples, help_topics
from .intent import Command, Vocabulary
from .replies import Fact, Reply, Table, Tone
from .talk import Said, Talk


def help_(talk: Talk, command: Command) -> Said:
    """What can be said, or how one thing is said."""
    return Said(help_reply(talk.vocabulary, command.topic))


def help_reply(vocabulary: Vocabulary, topic: str | None = None) -> Reply:
    """The help, with examples of this installation."""
    topics = help_topics()
    if topic and (found := topics.get(topic)):
        return Reply(title=found.usage, lines=(found.sentence,), code="\n".join(found.examples(vocabulary)))
    rows = tuple((name, each.sentence) for name, each in topics.items())
    return Reply(
        title="What you can say",
        lines=("Say “help create” and so on for examples of one of them.",),
        tables=(Table(columns=("say", "to"), rows=rows),),
        code="\n".join(examples(vocabulary)),
    )


def link(talk: Talk, command: Command) -> Said:
    """`link CODE` links this account; `link` makes a code for another account; `link NAME` one for somebody else."""
    if command.code:
        person = people.link(talk.world, talk.incoming.service, talk.incoming.user, command.code)
        linked = cards.note(f"This account is {person}'s from now on.", tone=Tone.GOOD)
        return Said(linked, Outcome.ACCEPTED, secret=True)
    code = people.new_code(talk.world, talk.actor, command.person)
    whose = command.person or "you"
    lines = (
        f"In the other chat, {whose} say{'s' if command.person else ''} to the bot: link {code}",
        "It works once, within ten minutes. Show it to nobody else.",
    )
    return Said(cards.note("A code that links an account", *lines, private=True), Outcome.ACCEPTED)


_MODES = {
    "mute": (NoticeMode.MUTE, "You are not mentioned any more. Say “unmute” to change that."),
    "unmute": (NoticeMode.ROOM, "You are mentioned in the room when something of yours has ended."),
    "room": (NoticeMode.ROOM, "You are mentioned in the room when something of yours has ended."),
    "direct": (NoticeMode.DIRECT, "You are told directly as well when something of yours has ended."),
}


def notify(talk: Talk, command: Command) -> Said:
    """How somebody wants to be told."""
    if command.mode not in _MODES:
        raise BadInput("mode-unknown", "Say one of: mute, unmute, notify me directly, notify me in the room")
    mode, sentence = _MODES[command.mode]
    people.set_notices(talk.world, talk.actor, mode)
    return Said(cards.note(sentence, tone=Tone.GOOD), Outcome.ACCEPTED)


def who_am_i(talk: Talk, command: Command) -> Said:
    """Who somebody is here, and what they may do."""
    access = talk.world.access.current().access
    facts = (
        Fact(label="person", value=talk.actor.person),
        Fact(label="role", value=access.role_of(talk.actor.person)),
        Fact(label="account", value=f"{talk.incoming.service} {talk.incoming.user}"),
        Fact(label="time zone", value=str(talk.zone)),
    )
    return Said(Reply(title=f"You are {talk.actor.person}", facts=facts, private=True))
