"""The desk: everything that is said in any chat comes here. It looks at who says it and whether it is new, lets the
grammar understand it, carries it out, and writes down what became of it."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from pydantic import TypeAdapter
from ulid import ULID

from orchestrator.commands import World, people
from orchestrator.domain.conversation import Audit, Card, Outcome, Place, Question
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import BrinepoolError, NotAllowed
from orchestrator.domain.failures import Failure
from orchestrator.domain.people import Role

from . import cards, verbs
from .base import CONSOLE, Answer, Incoming
from .grammar import complete, understand
from .intent import Command, Missing, Unclear, Understood, Verb
from .parts import ask_for
from .replies import Button, Reply, Tone
from .talk import Option, Said, Talk, vocabulary

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=15)  # how long a question can be answered
REFUSALS_PER_HOUR = 60  # of one service for one reason; more are only logged
_ABOUT_CODES = ("code-wrong", "codes-exhausted")  # what was said holds a code that links an account
_COMMAND = TypeAdapter(Command)


class BrinepoolDesk:
    """The contract is `base.Desk`'s."""

    def __init__(self, world: World) -> None:
        self._world = world

    def receive(self, incoming: Incoming) -> Answer | None:
        """The port's `receive`."""
        try:
            return self._receive(incoming)
        except BrinepoolError as error:
            log.warning("%s: nothing could be done: %s", incoming.service, error.message)
            return Answer(cards.refused(error.message), done=False)
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("a message in %s met a surprise (%s)", incoming.service, reference)
            sentence = f"Brinepool made a mistake of its own; its log tells more under {reference}."
            return Answer(cards.refused(sentence), done=False)

    def posted(self, operation: str, service: str, room: str, message: str, user: str) -> None:
        """The port's `posted`."""
        with self._world.store.transaction() as ledger:
            ledger.chat.change_card(operation, Place(service, room), message=message)
        self._world.hub.notify()

    def refused(self, service: str, code: str, reason: str) -> None:
        """A request in the name of a service was refused before anybody knew what it says: unsigned, stale, repeated.

        Written down, but not without end: who sends garbage all day fills no disk.
        """
        account, now = f"{service}:?", self._world.clock.now()
        with self._world.store.transaction() as ledger:
            full = ledger.chat.count_audits(account, code, now - timedelta(hours=1)) >= REFUSALS_PER_HOUR
        if not full:
            line = Audit(now, f"chat:{service}", Outcome.REFUSED, account=account, code=code, reason=reason)
            people.write_down(self._world, line)

    def _receive(self, incoming: Incoming) -> Answer | None:
        if (reason := self._ignored(incoming)) is not None:
            self._write_down(incoming, "", Outcome.IGNORED, *reason)
            return None
        actor = self._actor(incoming)
        try:
            said = self._carry_out(incoming, actor)
        except NotAllowed as error:
            private = error.code in ("person-unknown", "codes-exhausted")
            said = Said(cards.refused(error.message, private=private), Outcome.REFUSED, code=error.code)
        except BrinepoolError as error:
            said = Said(_error_reply(error), Outcome.REFUSED, code=error.code)
        reason_told = said.reply.title if said.outcome is Outcome.REFUSED else ""
        heard = replace(incoming, text="link ***") if said.secret or said.code in _ABOUT_CODES else incoming
        self._write_down(heard, actor.person, said.outcome, said.code, reason_told, said.operation)
        return self._answer(incoming, said)

    def _ignored(self, incoming: Incoming) -> tuple[str, str] | None:
        """Why something is not even looked at: code and sentence."""
        if incoming.bot:
            return "said-by-a-bot", "Another program said it."
        if incoming.edited:
            return "edited", "A message that was changed after it was sent is not carried out; say it again."
        if incoming.message:
            with self._world.store.transaction() as ledger:
                if not ledger.chat.first_time(incoming.service, incoming.message):
                    return "message-repeated", "This very message was dealt with before."
        return None

    def _actor(self, incoming: Incoming) -> Actor:
        """Who that is; somebody unknown is named by the account."""
        person = (
            incoming.user
            if incoming.service == CONSOLE
            else people.identify(self._world, incoming.service, incoming.user, incoming.email)
        )
        return Actor(
            person or f"{incoming.service}:{incoming.user}",
            f"chat:{incoming.service}",
            str(Place(incoming.service, incoming.room.id)),
            _room_names(incoming),
        )

    def _carry_out(self, incoming: Incoming, actor: Actor) -> Said:
        world, access = self._world, self._world.access.current().access
        words, zone = vocabulary(world, actor), access.zone_of(actor.person)
        talk = Talk(world, actor, incoming, world.clock.now(), zone, words)
        understood = self._understood(talk)
        known = access.role_of(actor.person) is not Role.NOTHING
        if not known and not _links(understood):
            raise NotAllowed(
                "person-unknown",
                "Brinepool does not know this account. Ask ops to list it in access.yaml, or, if you have access in "
                "another chat, say “link” there and “link CODE” here.",
            )
        said = self._said(talk, understood)
        if said.outcome is Outcome.ACCEPTED:
            with world.store.transaction() as ledger:  # what comes next is no answer to what was asked before
                ledger.chat.withdraw(talk.place, incoming.user)
        return said

    # What was meant

    def _understood(self, talk: Talk) -> Understood | Said:
        """From a click, an answer to what was asked, or a line of its own."""
        incoming = talk.incoming
        with self._world.store.transaction() as ledger:
            asked = ledger.chat.open_question(talk.place, incoming.user)
        if incoming.answer:
            return self._picked(talk, incoming.answer)
        line = understand(incoming.text, talk.vocabulary, talk.now, talk.zone)
        if isinstance(line, Command) and line.verb in (Verb.YES, Verb.NO, Verb.PICK):
            if asked is None:
                return Said(cards.note("There is no question that this answers; say “help” for what you can say."))
            number = {Verb.YES: 1, Verb.NO: 0}.get(line.verb, line.number or 0)
            return self._option(talk, asked, number)
        if asked and asked.data.get("missing") and not isinstance(line, Command):
            return self._completed(talk, asked, incoming.text)
        return line

    def _picked(self, talk: Talk, answer: str) -> Understood | Said:
        """A click on an option: only by whoever was asked, once, and not too late."""
        question, _, number = answer.partition("/")
        with self._world.store.transaction() as ledger:
            asked = ledger.chat.question(question)
        if asked is None or asked.expires_at <= talk.now or not number.isdecimal():
            return Said(cards.note("That was answered already, or is too old; say it again.", private=True))
        if asked.account != talk.incoming.user or asked.place != talk.place:
            raise NotAllowed("not-asked", "Somebody else was asked that; say it yourself if you mean it.")
        return self._option(talk, asked, int(number))

    def _option(self, talk: Talk, asked: Question, number: int) -> Understood | Said:
        """The option of that number, from 1; 0 is none of them."""
        options: Sequence[str] = asked.data["options"]
        if number > len(options):
            return Said(cards.note(f"There are {len(options)} to pick from; say a number from 1 to {len(options)}."))
        with self._world.store.transaction() as ledger:
            if not ledger.chat.withdraw(asked.place, asked.account):
                return Said(cards.note("That was answered already."))
        chosen = options[number - 1] if number > 0 else ""
        if not chosen:
            return Said(cards.note("Nothing was done."))
        if asked.data.get("missing"):
            return self._completed(talk, asked, chosen)
        return understand(chosen, talk.vocabulary, talk.now, talk.zone)

    def _completed(self, talk: Talk, asked: Question, text: str) -> Understood:
        missing = asked.data["missing"]
        command = _COMMAND.validate_python(missing["command"])
        return complete(command, missing["part"], text, talk.vocabulary, talk.now, talk.zone, of=missing["of"])

    def _said(self, talk: Talk, understood: Understood | Said) -> Said:
        match understood:
            case Said():
                return understood
            case Missing() if understood.command.verb is Verb.LINK:
                return verbs.act(talk, understood.command)  # without a name: a code for oneself
            case Missing():
                return ask_for(talk, understood)
            case Unclear():
                return _unclear(talk, understood)
            case Command():
                return verbs.act(talk, understood)

    # What is answered

    def _answer(self, incoming: Incoming, said: Said) -> Answer:
        place = Place(incoming.service, incoming.room.id)
        reply = said.reply
        if said.options or said.missing:
            reply = self._asked(place, incoming.user, said)
        if not said.card or said.operation is None:
            return Answer(reply, done=said.outcome not in (Outcome.REFUSED, Outcome.ASKED))
        with self._world.store.transaction() as ledger:
            if ledger.chat.card(said.operation, place) is not None:
                return Answer(reply)  # somebody asked for the same before; that card stays the live one
            ledger.chat.add_card(Card(said.operation, place, incoming.user))
        return Answer(reply, said.operation)

    def _asked(self, place: Place, account: str, said: Said) -> Reply:
        """Keep the question, and put its options on the reply."""
        now, question = self._world.clock.now(), str(ULID())
        missing = said.missing and {
            "part": said.missing.part,
            "of": said.missing.of,
            "command": _COMMAND.dump_python(said.missing.command, mode="json"),
        }
        data = {"options": [option.command for option in said.options], "missing": missing}
        with self._world.store.transaction() as ledger:
            ledger.chat.ask(Question(question, place, account, now, now + PATIENCE, data))
        options = tuple(_button(option, f"{question}/{number}") for number, option in enumerate(said.options, 1))
        return said.reply.model_copy(update={"options": options})

    def _write_down(
        self, incoming: Incoming, person: str, outcome: Outcome, code: str = "", reason: str = "",
        operation: str | None = None,
    ) -> None:  # fmt: skip
        line = Audit(
            at=self._world.clock.now(),
            door=f"chat:{incoming.service}",
            outcome=outcome,
            person=person,
            account=f"{incoming.service}:{incoming.user}",
            room=incoming.room.name or incoming.room.id,
            text=incoming.text or incoming.answer,
            code=code,
            reason=reason,
            operation=operation,
        )
        people.write_down(self._world, line)


def _room_names(incoming: Incoming) -> frozenset[str] | None:
    """The names under which templates may allow this room; none for a direct conversation, all on the console."""
    if incoming.service == CONSOLE:
        return None
    names = (incoming.room.name, incoming.room.id) if not incoming.room.direct else ()
    plain = {name.lstrip("#") for name in names if name}
    return frozenset(plain | {f"{incoming.service}:{name}" for name in plain})


def _links(understood: Understood | Said) -> bool:
    """Whether it is `link CODE`, the one thing that somebody unknown can say."""
    return isinstance(understood, Command) and understood.verb is Verb.LINK and bool(understood.code)


def _unclear(talk: Talk, unclear: Unclear) -> Said:
    """What was understood, and the nearest commands to pick from."""
    options = [Option(each, each) for each in unclear.suggestions]
    lines = (f"Understood: {unclear.understood}",) if unclear.understood else ()
    ask = "Did you mean one of these?" if options else "Say “help” for what you can say."
    reply = Reply(title=unclear.reason, tone=Tone.QUESTION, lines=(*lines, ask))
    return Said(reply, Outcome.ASKED, options=options, code="not-understood")


def _error_reply(error: BrinepoolError) -> Reply:
    failure = error.extra.get("failure")
    if isinstance(failure, Failure):
        return cards.refused(failure.lines[0], *failure.lines[1:])
    return cards.refused(error.message)


def _button(option: Option, value: str) -> Button:
    return Button(
        label=option.label, command=option.command or "no", value=value, style="danger" if option.danger else ""
    )
