"""How the contract suite speaks to a chat service: as the people in its rooms would. One leg for each adapter."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.chat.base import ChatAdapter

SHOP = "shop-dev"  # a room that the template shop allows
LOUNGE = "lounge"  # a room that it does not
PEOPLE = ("ada", "bob", "eve")  # a developer, another one, and somebody whom access.yaml does not know


@dataclass(frozen=True)
class Shown:
    """A message of the bot as its readers see it now. `text`: all that is readable in it, in order, tables and button
    labels included. `edits`: how often it has been changed, as far as the service tells (0 otherwise)."""

    id: str
    text: str
    thread: str = ""
    edits: int = 0
    mentions: Sequence[str] = field(default_factory=tuple)  # people (by their name in PEOPLE) whom it notifies


class Leg(ABC):
    """One service with three people and two rooms in it, and our adapter, made but not started.

    The service is the real one where one runs here (`real`), else a fake that enforces its rules. Without `rooms` it
    has only the conversations with each person alone, and every `room` is "".
    """

    real = False
    rooms = True
    adapter: ChatAdapter

    @abstractmethod
    def user(self, person: str) -> str:
        """The service's id of somebody's account (what access.yaml lists, and what `Incoming.user` must be)."""

    @abstractmethod
    def say(self, person: str, text: str, room: str = SHOP) -> None:
        """Somebody says something to the bot in a room (mentioning it, as its service wants); `room=""`: directly."""

    @abstractmethod
    def overhear(self, person: str, text: str, room: str = SHOP) -> None:
        """Somebody says something in a room that is not meant for the bot."""

    @abstractmethod
    def shown(self, room: str = SHOP) -> list[Shown]:
        """What the bot has said in a room, oldest first, as it reads now."""

    @abstractmethod
    def shown_directly(self, person: str) -> list[Shown]:
        """The same for the conversation with one person; also what only that person sees in a room."""

    @abstractmethod
    def pick(self, person: str, label: str, room: str = SHOP) -> None:
        """Somebody picks the option or the button with this label in the bot's newest message that has it: by a click
        or a reaction; on a service without either by typing its number (options) or its command (buttons)."""

    def say_as_bot(self, text: str, room: str = SHOP) -> bool:
        """Another bot says something to ours. → False when the service has no such thing."""
        return False

    def edit_last(self, person: str, text: str, room: str = SHOP) -> bool:
        """Somebody changes the text of their last message. → False when the service cannot."""
        return False

    def repeat_last(self) -> bool:
        """The service delivers the last message again, as services do. → False when that cannot happen."""
        return False

    def go_down(self) -> bool:
        """The service becomes unreachable for us. → False when it cannot be done here."""
        return False

    def come_back(self) -> None:  # noqa: B027  (not every service can go down)
        """It is reachable again."""

    @abstractmethod
    def close(self) -> None:
        """End everything that was started; no process, port or file stays."""
