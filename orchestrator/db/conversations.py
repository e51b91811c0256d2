"""Conversations in the database. The contract is `ports.Conversations`'s."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from orchestrator.domain.conversation import (
    Audit,
    Card,
    ConsoleMessage,
    NoticeMode,
    Outcome,
    Place,
    Question,
)
from orchestrator.ports import Clock

from .order import one_writer
from .tables import (
    audit,
    chat_accounts,
    chat_cards,
    chat_codes,
    chat_people,
    chat_questions,
    chat_seen,
    console_messages,
    cursors,
)


class SqlConversations:
    """The conversations of one transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    # What was said

    def first_time(self, service: str, message: str) -> bool:
        known = sa.select(chat_seen.c.at).where(chat_seen.c.service == service, chat_seen.c.message == message)
        if self._session.execute(known).first():
            return False
        row = {"service": service, "message": message, "at": self._clock.now()}
        try:
            with self._session.begin_nested():
                self._session.execute(sa.insert(chat_seen).values(row))
        except sa.exc.IntegrityError:  # the same message at the same moment
            return False
        return True

    def forget_seen(self, before: datetime) -> int:
        return self._count(sa.delete(chat_seen).where(chat_seen.c.at < before))

    def write_down(self, line: Audit) -> None:
        values = {
            "at": line.at, "person": line.person, "account": line.account, "door": line.door, "room": line.room,
            "text": line.text, "outcome": line.outcome, "code": line.code, "reason": line.reason,
            "operation": line.operation,
        }  # fmt: skip
        self._session.execute(sa.insert(audit).values(values))

    def audits(self, before: int | None, limit: int) -> list[Audit]:
        query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.seq < before)
        return [_audit(row) for row in self._session.execute(query)]

    def count_audits(self, account: str, code: str, since: datetime) -> int:
        query = sa.select(sa.func.count()).select_from(audit).where(audit.c.account == account, audit.c.code == code)
        return int(self._session.execute(query.where(audit.c.at >= since)).scalar_one())

    # People

    def person_of_account(self, service: str, account: str) -> str | None:
        mine = (chat_accounts.c.service == service) & (chat_accounts.c.account == account)
        return self._session.execute(sa.select(chat_accounts.c.person).where(mine)).scalar_one_or_none()

    def accounts_of(self, person: str) -> list[tuple[str, str]]:
        query = sa.select(chat_accounts.c.service, chat_accounts.c.account).where(chat_accounts.c.person == person)
        return [(row.service, row.account) for row in self._session.execute(query.order_by(chat_accounts.c.linked_at))]

    def link(self, service: str, account: str, person: str) -> None:
        mine = (chat_accounts.c.service == service) & (chat_accounts.c.account == account)
        self._session.execute(sa.delete(chat_accounts).where(mine))
        row = {"service": service, "account": account, "person": person, "linked_at": self._clock.now()}
        self._session.execute(sa.insert(chat_accounts).values(row))

    def add_code(self, code_hash: str, person: str, lives: timedelta) -> None:
        now = self._clock.now()
        stale = (chat_codes.c.expires_at <= now) | (chat_codes.c.person == person)
        self._session.execute(sa.delete(chat_codes).where(stale))
        row = {"hash": code_hash, "person": person, "expires_at": now + lives}
        self._session.execute(sa.insert(chat_codes).values(row))

    def take_code(self, code_hash: str) -> str | None:
        usable = (chat_codes.c.hash == code_hash) & (chat_codes.c.expires_at > self._clock.now())
        person = self._session.execute(sa.select(chat_codes.c.person).where(usable)).scalar_one_or_none()
        taken = self._count(sa.delete(chat_codes).where(usable))
        return person if taken else None

    def notices_of(self, person: str) -> NoticeMode:
        query = sa.select(chat_people.c.notices).where(chat_people.c.person == person)
        return NoticeMode(self._session.execute(query).scalar_one_or_none() or NoticeMode.ROOM)

    def set_notices(self, person: str, mode: NoticeMode) -> None:
        self._session.execute(sa.delete(chat_people).where(chat_people.c.person == person))
        self._session.execute(sa.insert(chat_people).values(person=person, notices=mode))

    # Questions

    def ask(self, question: Question) -> None:
        self.withdraw(question.place, question.account)
        values = {
            "id": question.id, "place": str(question.place), "account": question.account,
            "asked_at": question.asked_at, "expires_at": question.expires_at, "data": dict(question.data),
        }  # fmt: skip
        self._session.execute(sa.insert(chat_questions).values(values))

    def question(self, question: str) -> Question | None:
        return self._question(chat_questions.c.id == question)

    def open_question(self, place: Place, account: str) -> Question | None:
        return self._question(_asked(place, account) & (chat_questions.c.expires_at > self._clock.now()))

    def withdraw(self, place: Place, account: str) -> bool:
        return bool(self._count(sa.delete(chat_questions).where(_asked(place, account))))

    def _question(self, which: Any) -> Question | None:
        row = self._session.execute(sa.select(chat_questions).where(which)).first()
        return Question(**{**row._mapping, "place": Place.parse(row.place)}) if row else None

    # Cards

    def add_card(self, card: Card) -> None:
        values = {
            "operation": card.operation, "place": str(card.place), "account": card.account,
            "message": card.message, "closed": card.closed,
        }  # fmt: skip
        self._session.execute(sa.insert(chat_cards).values(values))

    def card(self, operation: str, place: Place) -> Card | None:
        row = self._session.execute(sa.select(chat_cards).where(_card(operation, place))).first()
        return _card_of(row) if row else None

    def cards(self, operation: str) -> list[Card]:
        query = sa.select(chat_cards).where(chat_cards.c.operation == operation)
        return [_card_of(row) for row in self._session.execute(query)]

    def open_cards(self, service: str) -> list[Card]:
        mine = chat_cards.c.place.startswith(f"{service}:", autoescape=True)
        query = sa.select(chat_cards).where(mine, sa.not_(chat_cards.c.closed), chat_cards.c.message.is_not(None))
        return [_card_of(row) for row in self._session.execute(query.order_by(chat_cards.c.operation))]

    def change_card(self, operation: str, place: Place, **changes: Any) -> None:
        self._session.execute(sa.update(chat_cards).where(_card(operation, place)).values(changes))

    # The console

    def put_on_console(self, person: str, message: str, thread: str, reply: Mapping[str, Any]) -> None:
        one_writer(self._session)
        self._session.execute(sa.delete(console_messages).where(console_messages.c.message == message))
        values = {"at": self._clock.now(), "person": person, "message": message, "thread": thread, "reply": dict(reply)}
        self._session.execute(sa.insert(console_messages).values(values))

    def on_console(self, person: str, after: int, limit: int) -> list[ConsoleMessage]:
        query = sa.select(console_messages).where(
            console_messages.c.person == person, console_messages.c.seq > after
        )  # fmt: skip
        rows = self._session.execute(query.order_by(console_messages.c.seq).limit(limit))
        return [ConsoleMessage(row.seq, row.at, row.message, row.thread, row.reply) for row in rows]

    def console_message(self, person: str, message: str) -> ConsoleMessage | None:
        mine = (console_messages.c.person == person) & (console_messages.c.message == message)
        row = self._session.execute(sa.select(console_messages).where(mine)).first()
        return ConsoleMessage(row.seq, row.at, row.message, row.thread, row.reply) if row else None

    # Cursors

    def cursor(self, name: str) -> int | None:
        return self._session.execute(sa.select(cursors.c.seq).where(cursors.c.name == name)).scalar_one_or_none()

    def move_cursor(self, name: str, seq: int) -> None:
        one_writer(self._session)  # else two processes may both make the first one
        if not self._count(sa.update(cursors).where(cursors.c.name == name).values(seq=seq)):
            self._session.execute(sa.insert(cursors).values(name=name, seq=seq))

    def _count(self, statement: Any) -> int:
        return int(self._session.execute(statement).rowcount)  # type: ignore[attr-defined]


def _asked(place: Place, account: str) -> Any:
    return (chat_questions.c.place == str(place)) & (chat_questions.c.account == account)


def _card(operation: str, place: Place) -> Any:
    return (chat_cards.c.operation == operation) & (chat_cards.c.place == str(place))


def _card_of(row: sa.Row[Any]) -> Card:
    return Card(row.operation, Place.parse(row.place), row.account, row.message, row.closed)


def _audit(row: sa.Row[Any]) -> Audit:
    return Audit(**{**row._mapping, "outcome": Outcome(row.outcome)})
