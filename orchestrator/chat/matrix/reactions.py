"""Keeps below each of our messages the reactions that it offers, and no others of ours."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from uuid import uuid4

from orchestrator.chat.base import Undeliverable

from .session import Session, until_it_works

REMEMBERED = 1000  # messages; of older ones the homeserver is asked
_log = logging.getLogger(__name__)


class Offers:
    """For the session's loop only. Reactions are added in the background and never delay a message.

    What a message offers is in the message itself (html.BUTTONS); a reaction of ours only makes it one click.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._wanted: OrderedDict[str, list[str]] = OrderedDict()
        self._placed: dict[str, dict[str, str]] = {}  # by message: the key of each reaction, and its id
        self._busy: set[str] = set()

    def knows(self, message: str) -> bool:
        """Whether the message is certainly one of ours."""
        return message in self._wanted

    def posted(self, room: str, message: str, keys: Sequence[str]) -> None:
        """A new message offers these."""
        self._placed[message] = {}
        self.edited(room, message, keys)

    def edited(self, room: str, message: str, keys: Sequence[str]) -> None:
        """A message offers these now."""
        self._wanted[message] = list(keys)
        self._wanted.move_to_end(message)
        while len(self._wanted) > REMEMBERED:
            old, _ = self._wanted.popitem(last=False)
            self._placed.pop(old, None)
        if message not in self._busy and list(self._placed.get(message, ["?"])) != list(keys):
            self._busy.add(message)
            self._session.spawn(self._settle(room, message), finish=False)

    async def _settle(self, room: str, message: str) -> None:
        try:
            if message not in self._placed:
                self._placed[message] = await self._found(room, message)
            while await self._step(room, message):
                pass
        except Undeliverable as error:
            _log.warning("No reactions in %s: %s", room, error.detail)
        finally:
            self._busy.discard(message)

    async def _step(self, room: str, message: str) -> bool:
        """Take away one, or add one. → whether there was anything to do."""
        placed, wanted = self._placed.get(message, {}), self._wanted.get(message, [])
        for key in [key for key in placed if key not in wanted][:1]:
            await self._remove(room, placed.pop(key))
            return True
        for key in [key for key in wanted if key not in placed][:1]:
            placed[key] = await self._add(room, message, key)
            return True
        return False

    async def _remove(self, room: str, reaction: str) -> None:
        await self._session.keep_asking(lambda client: client.room_redact(room, reaction), room)

    async def _add(self, room: str, message: str, key: str) -> str:
        content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": message, "key": key}}
        once = uuid4().hex  # so that one whose answer was lost is not added twice
        answer = await self._session.keep_asking(
            lambda client: client.room_send(room, "m.reaction", content, tx_id=once), room
        )
        return str(answer.event_id)

    async def _found(self, room: str, message: str) -> dict[str, str]:
        """Our reactions to a message from before a restart."""
        path = ["v1", "rooms", room, "relations", message, "m.annotation", "m.reaction"]
        answer = await until_it_works(lambda: self._session.raw("GET", path, about=room))
        ours = [event for event in answer["chunk"] if event["sender"] == self._session.account.user]
        return {event["content"]["m.relates_to"]["key"]: event["event_id"] for event in ours}
