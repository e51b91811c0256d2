"""The console as a leg of the contract suite: the real thing, spoken to over HTTP as `brine chat` does."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import requests
from sseclient import Event, SSEClient
from ulid import ULID

from orchestrator.chat.base import ChatAdapter, Desk
from orchestrator.chat.console import Console
from orchestrator.chat.console_views import CAUGHT_UP, ConsoleMessageView
from orchestrator.chat.replies import Button, Reply
from orchestrator.commands import World, tokens
from tests.chat.leg import SHOP, Leg, Shown
from tests.unit.doors import served


class StartedConsole(Console):
    """A console that remembers the desk with which it was started."""

    desk: Desk | None = None

    def start(self, desk: Desk) -> None:
        super().start(desk)
        self.desk = desk


class ConsoleLeg(Leg):
    """Everybody's terminal. The HTTP server starts when somebody first says or reads something."""

    real = True
    rooms = False

    def __init__(self, world: World) -> None:
        self._world = world
        self._console = StartedConsole(world.store, world.hub)
        self.adapter: ChatAdapter = self._console
        self._ending = ExitStack()
        self._at = ""
        self._seen: dict[str, dict[str, Shown]] = {}
        self._replies: dict[str, dict[str, Reply]] = {}
        self._after: dict[str, int] = {}
        self._last: tuple[str, dict[str, str]] | None = None

    def user(self, person: str) -> str:
        return person

    def say(self, person: str, text: str, room: str = SHOP) -> None:
        self._alone(room)
        self._post(person, {"text": text})

    def overhear(self, person: str, text: str, room: str = SHOP) -> None:
        raise ValueError("there is nobody to overhear on a console")

    def shown(self, room: str = SHOP) -> list[Shown]:
        raise ValueError("a console has no rooms")

    def shown_directly(self, person: str) -> list[Shown]:
        self._read(person)
        return list(self._seen.get(person, {}).values())

    def pick(self, person: str, label: str, room: str = SHOP) -> None:
        self._alone(room)
        self._read(person)
        button = self._button(person, lambda each: each.label == label)
        self._post(person, {"answer": button.value} if button.value else {"text": button.command})

    def repeat_last(self) -> bool:
        assert self._last is not None
        self._send(*self._last)
        return True

    def close(self) -> None:
        self.adapter.stop()
        self._ending.close()

    # Helpers

    @property
    def url(self) -> str:
        """Where the console answers; the adapter must have been started."""
        if not self._at:
            assert self._console.desk is not None, "the adapter was not started"
            chats = SimpleNamespace(blueprints=list, problems=list, desk=self._console.desk, console=self._console)
            self._at = self._ending.enter_context(served(self._world, chats=chats))
        return self._at

    def token(self, person: str) -> str:
        """A token that speaks for that person."""
        token = f"{person}-{'c' * 40}"
        tokens.ensure(self._world, token, person, f"console leg {person}")
        return token

    def _alone(self, room: str) -> None:
        if room:
            raise ValueError("a console has no rooms")

    def _post(self, person: str, body: dict[str, str]) -> None:
        self._last = (person, {**body, "message": str(ULID())})
        self._send(*self._last)

    def _send(self, person: str, body: dict[str, str]) -> None:
        answer = self._request("POST", "", person, json=body)
        if answer.status_code not in (200, 204):
            # Who may not even ask is told so by the server; `brine chat` prints that sentence.
            told = Shown(str(ULID()), answer.json()["detail"])
            self._seen.setdefault(person, {})[told.id] = told

    def _request(self, method: str, path: str, person: str, **options: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token(person)}"}
        return requests.request(method, f"{self.url}/api/v1/chat{path}", headers=headers, timeout=30, **options)  # type: ignore[arg-type]

    def _read(self, person: str) -> None:
        """Take in what came since the last time: messages in the order of their first text, and how often each changed
        between two looks."""
        answer = self._request("GET", f"/messages?after={self._after.get(person, 0)}", person, stream=True)
        with answer:
            if answer.status_code != 200:
                return
            for event in _until_caught_up(SSEClient(answer.iter_content(None)).events()):
                self._take(person, ConsoleMessageView.model_validate_json(event.data))

    def _take(self, person: str, view: ConsoleMessageView) -> None:
        self._after[person] = view.seq
        seen = self._seen.setdefault(person, {})
        before = seen.get(view.message)
        edits = before.edits + 1 if before else 0
        seen[view.message] = Shown(view.message, readable(view.reply), view.thread, edits, tuple(view.reply.mention))
        self._replies.setdefault(person, {})[view.message] = view.reply

    def _button(self, person: str, wanted: Callable[[Button], bool]) -> Button:
        for reply in reversed(self._replies.get(person, {}).values()):
            if found := next(filter(wanted, (*reply.options, *reply.buttons)), None):
                return found
        raise AssertionError("no message of the bot has that to pick")


def _until_caught_up(events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        if event.event == CAUGHT_UP:
            return
        yield event


def readable(reply: Reply) -> str:
    """All that can be read in a reply, in order, a line for each part."""
    lines = [reply.title, *reply.lines, *(f"{fact.label}: {fact.value}" for fact in reply.facts)]
    for table in reply.tables:
        lines += [" ".join(table.columns), *(" ".join(row) for row in table.rows)]
    if reply.progress:
        lines += [json.dumps(step.model_dump(exclude_defaults=True)) for step in reply.progress.steps]
    lines += [reply.code, *(each.label for each in (*reply.options, *reply.buttons))]
    return "\n".join(filter(None, lines))
