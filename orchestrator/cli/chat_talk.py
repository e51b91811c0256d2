"""Talking to Brinepool over HTTP: saying something once, and hearing everything, whatever happens to the connection."""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator

from pydantic import ValidationError
from ulid import ULID

from orchestrator.chat.console_views import CAUGHT_UP, LONGEST, ConsoleMessageView, HaveRead, Read, Said, Say
from orchestrator.chat.replies import Tone
from orchestrator.domain.errors import BadInput, Unavailable

from .client import Client, path
from .follow import PAUSE_S, Interruption

PATIENCE_S = 60  # for saying something while the server restarts
FINAL_S = 15  # for the last text of a card after its operation has ended
LOOK_AGAIN_S = 0.2

_AGAIN = ("server-unreachable", "server-slow")


class CaughtUp:
    """All that was there has been told; what follows is new."""


Heard = ConsoleMessageView | CaughtUp | Interruption


class Talk:
    """One person's console. Every method raises what `Client` raises."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.url = client.url

    def read(self) -> Read:
        """How far this person has read, and who it is."""
        return self._client.one(Read, path("chat", "read"))

    def have_read(self, seq: int) -> None:
        """Everything up to `seq` has been shown."""
        self._client.put(Read, path("chat", "read"), HaveRead(seq=seq))

    def have_shown(self, messages: set[str], after: int) -> None:
        """These messages have been shown; what others came behind `after` stays unread."""
        seq = after
        for item in self._there_now(after):
            if not messages & {item.message, item.thread}:
                break
            seq = item.seq
        if seq > after:
            self.have_read(seq)

    def say(self, text: str, answer: str = "", notice: Callable[[str], None] = lambda _: None) -> Said | None:
        """Say `text`, or pick an option by its value. None when it was ignored.

        When the server does not answer, it is said again, as the same message, so that it is done once; `notice` gets
        a sentence each time. Raises Unavailable after a minute, and BadInput for what is too long.
        """
        said = _checked(text, answer)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._client.offer(Said, path("chat"), said)
            except Unavailable as error:
                if error.code not in _AGAIN or time.monotonic() > deadline:
                    raise
                notice(error.message)
            time.sleep(PAUSE_S)

    def hear(self, after: int) -> Iterator[Heard]:
        """The messages behind `after`, each time they change, without end; resumed whenever the stream breaks off."""
        while True:
            try:
                for item in self._stream(after):
                    after = item.seq if isinstance(item, ConsoleMessageView) else after
                    yield item
            except Unavailable as error:
                yield Interruption(error.message)
            time.sleep(PAUSE_S)

    def final(self, message: str, after: int) -> ConsoleMessageView | None:
        """A message as it reads when it is no running card any more; to be asked when its operation has ended.

        `after`: the `seq` under which it is known. None when that is not heard within seconds.
        """
        deadline = time.monotonic() + FINAL_S
        while time.monotonic() < deadline:
            for item in self._there_now(after):
                if item.message == message and item.reply.tone is not Tone.WORKING:
                    return item
            time.sleep(LOOK_AGAIN_S)
        return None

    def _there_now(self, after: int) -> list[ConsoleMessageView]:
        """The messages behind `after`, without waiting for more; none when the server does not answer."""
        found = []
        with contextlib.closing(self._stream(after)) as stream, contextlib.suppress(Unavailable):
            for item in stream:
                if isinstance(item, CaughtUp):
                    break
                found.append(item)
        return found

    def _stream(self, after: int) -> Generator[ConsoleMessageView | CaughtUp]:
        with contextlib.closing(self._client.stream(path("chat", "messages"), after)) as events:
            for event in events:
                yield CaughtUp() if event.event == CAUGHT_UP else self._message(event.data)

    def _message(self, data: str) -> ConsoleMessageView:
        try:
            return ConsoleMessageView.model_validate_json(data)
        except ValidationError as error:
            sentence = f"What answers at {self.url} is another version of Brinepool; use its own brine command."
            raise Unavailable("not-brinepool", sentence) from error


def _checked(text: str, answer: str) -> Say:
    try:
        return Say(text=text, answer=answer, message=str(ULID()))
    except ValidationError as error:
        raise BadInput("input-invalid", f"That is too long; say it in at most {LONGEST} characters.") from error
