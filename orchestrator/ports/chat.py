"""The chats, and what is kept of conversations."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from orchestrator.domain.conversation import Audit, Card, ConsoleMessage, NoticeMode, Place, Question
from orchestrator.domain.notices import Destination


class Chats(Protocol):
    """The chat services that are configured."""

    @property
    def services(self) -> Sequence[str]:
        """Their names."""

    def accounts(self, person: str, always: bool = False) -> Sequence[tuple[str, str]]:
        """Where somebody who wants to be told directly is told: service and account. Empty for all others, unless
        `always`; who has no account anywhere has the console."""

    def tell(self, seq: int, destination: Destination) -> float | None:
        """Tell the event of that number there. None when that is done, or never will be; else in how many seconds to
        try again. Once it returned None it is not called again, except after a crash in between."""

    def report(self, run: str, destination: Destination) -> float | None:
        """Tell the report of a nightly run there; returns the same."""


class Conversations(Protocol):
    """What is kept of conversations, in the transaction of a ledger."""

    def first_time(self, service: str, message: str) -> bool:
        """Whether this message or delivery of a service was never seen before; from now on it was."""

    def forget_seen(self, before: datetime) -> int:
        """Forget messages seen before that. → how many."""

    def write_down(self, line: Audit) -> None:
        """A line of the audit."""

    def audits(self, before: int | None, limit: int) -> list[Audit]:
        """Lines of the audit, newest first; with `before` only those with a smaller `seq`."""

    def count_audits(self, account: str, code: str, since: datetime) -> int:
        """How many lines there are of that account with that code."""

    def person_of_account(self, service: str, account: str) -> str | None:
        """To whom an account was linked with a code."""

    def accounts_of(self, person: str) -> list[tuple[str, str]]:
        """The linked accounts of a person: service and account."""

    def link(self, service: str, account: str, person: str) -> None:
        """The account belongs to `person` from now on."""

    def add_code(self, code_hash: str, person: str, lives: timedelta) -> None:
        """A one-time code for `person`; an older one of theirs stops working."""

    def take_code(self, code_hash: str) -> str | None:
        """Whose code that is; it works once. None when unknown, used or expired."""

    def notices_of(self, person: str) -> NoticeMode:
        """How a person wants to be told."""

    def set_notices(self, person: str, mode: NoticeMode) -> None:
        """How a person wants to be told from now on."""

    def ask(self, question: Question) -> None:
        """A question to an account in a place; it takes the place of an earlier one."""

    def question(self, question: str) -> Question | None:
        """The question of that id, also when it has expired."""

    def open_question(self, place: Place, account: str) -> Question | None:
        """What the account was asked there and may still answer."""

    def withdraw(self, place: Place, account: str) -> bool:
        """There is no question any more. → whether there was one; of several callers one gets True."""

    def add_card(self, card: Card) -> None:
        """A new card."""

    def card(self, operation: str, place: Place) -> Card | None:
        """The operation's card in that place."""

    def cards(self, operation: str) -> list[Card]:
        """The operation's cards."""

    def open_cards(self, service: str) -> list[Card]:
        """The cards of a service that were posted and are not closed, by operation."""

    def change_card(self, operation: str, place: Place, **changes: Any) -> None:
        """Change `message` or `closed`."""

    def put_on_console(self, person: str, message: str, thread: str, reply: Mapping[str, Any]) -> None:
        """A message on a person's console: a new one, or another text for one that is there."""

    def on_console(self, person: str, after: int, limit: int) -> list[ConsoleMessage]:
        """The messages on a person's console with `seq` above `after`, oldest first."""

    def console_message(self, person: str, message: str) -> ConsoleMessage | None:
        """One message on a person's console."""

    def cursor(self, name: str) -> int | None:
        """How far a reader of events has come; None before its first time."""

    def move_cursor(self, name: str, seq: int) -> None:
        """It has come as far as `seq`."""
