"""Errbot: a real one with our plugin, in a real IRC server with people in it, and our webhook adapter on this side."""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from flask import Flask
from pydantic import SecretStr

from orchestrator.chat.webhook import BotConfig, Webhook
from tests.chat.leg import LOUNGE, PEOPLE, SHOP, Leg, Shown
from tests.chat.webhook_leg import Seen, Served
from tests.peers import errbot

SECRET = "the secret of the bot errbot, long enough"
ROBOT = "robot"  # another bot, which speaks in notices as programs on IRC do
_ROOMS = {SHOP: f"#{SHOP}", LOUNGE: f"#{LOUNGE}"}
_QUIET_S = 0.5  # after so long nothing more belongs to a message
_LONGEST = 510  # characters of a message that Errbot takes for IRC


class ErrbotLeg(Leg):
    """IRC server, Errbot and people in it, in a folder of its own."""

    real = True

    def __init__(self, **config: Any) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="errbot-"))
        self._app = Flask("brinepool")
        self._served: Served | None = None
        self.irc = errbot.Ngircd(self._folder / "irc")
        rooms = list(_ROOMS.values())
        self.people = {name: errbot.Person(self.irc, name, rooms) for name in (*PEOPLE, ROBOT)}
        self._served = Served(self._app)
        self.errbot = errbot.Errbot(self._folder / "bot", self.irc, rooms, self._served.url, SECRET)
        self.adapter = Webhook(
            BotConfig(
                name="errbot", secret=SecretStr(SECRET), callback_url=self.errbot.updates, edits=False, rooms=_ROOMS,
                **config,
            ),
            first_time=Seen(),
        )  # fmt: skip
        blueprint = self.adapter.blueprint()
        self._app.register_blueprint(blueprint)
        try:
            self.irc.start()
            self.errbot.start()
            self._meet()
        except BaseException:
            self.close()
            raise

    def user(self, person: str) -> str:
        return f"{person}!~{person}@127.0.0.1"

    def say(self, person: str, text: str, room: str = SHOP) -> None:
        self.people[person].say(_ROOMS[room] if room else errbot.NICK, f"!brine {text}")

    def overhear(self, person: str, text: str, room: str = SHOP) -> None:
        self.people[person].say(_ROOMS[room] if room else errbot.NICK, text)

    def shown(self, room: str = SHOP) -> list[Shown]:
        return self._shown(self.people[ROBOT], _ROOMS[room])

    def shown_directly(self, person: str) -> list[Shown]:
        return self._shown(self.people[person], person)

    def pick(self, person: str, label: str, room: str = SHOP) -> None:
        messages = self.shown(room) if room else self.shown_directly(person)
        for message in reversed(messages):
            if typed := _typed(message.text, label):
                return self.say(person, typed, room)
        raise AssertionError(f"nothing to pick is called {label!r} in {[message.text for message in messages]}")

    def say_as_bot(self, text: str, room: str = SHOP) -> bool:
        self.people[ROBOT].say(_ROOMS[room], f"!brine {text}", "NOTICE")
        return True

    def go_down(self) -> bool:
        self.irc.stop()
        return True

    def come_back(self) -> None:
        self.irc.start()
        self._meet()

    def close(self) -> None:
        self.adapter.stop()
        for person in self.people.values():
            person.close()
        self.errbot.stop()
        self.irc.stop()
        if self._served:
            self._served.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _meet(self) -> None:
        """Wait until everybody is in every room."""
        for person in self.people.values():
            person.close()
            person.connect()
        for room in _ROOMS.values():
            errbot.wait_until(
                lambda room=room: self.people[ROBOT].sees(errbot.NICK, room),  # type: ignore[misc]
                lambda: f"Errbot did not come:\n{self.errbot.log()}",
            )
        errbot.wait_until(self.errbot.listens, lambda: f"Errbot does not listen:\n{self.errbot.log()}")

    def _shown(self, reader: errbot.Person, where: str) -> list[Shown]:
        lines = [line for line in list(reader.heard) if line.nick == errbot.NICK and line.where == where]
        return [Shown(str(number), text, mentions=_mentioned(text)) for number, text in enumerate(_messages(lines))]


def _messages(lines: list[errbot.Heard]) -> Iterator[str]:
    """The lines of each message together. Errbot ends what it sends at once with a colour's end. The plugin puts as
    many lines into that as fit, so what follows at once belongs to it if its first line would not have fitted."""
    message: list[str] = []
    size = 0
    ended = False
    last = 0.0
    for line in lines:
        text = errbot.readable(line.text)
        if message and ended and (size + 1 + _escaped(text) <= _LONGEST or line.at - last > _QUIET_S):
            yield "\n".join(message)
            message = []
        size = _escaped(text) if ended or not message else size + 1 + _escaped(text)
        message.append(text)
        ended = line.text.endswith("\x03")
        last = line.at
    if message and ended and (size < _LONGEST / 3 or time.monotonic() - last > _QUIET_S):
        yield "\n".join(message)


def _escaped(text: str) -> int:
    """How long it is as Markdown, as which the plugin hands it to Errbot."""
    return len(re.sub(r"([\\`*_{}\[\]()#+.!|-])", r"\\\1", escape(text, quote=False)))


def _mentioned(text: str) -> tuple[str, ...]:
    """Whose client makes a sound: those whose nick stands at the start."""
    found = re.match(r"((?:[\w-]+, )*[\w-]+): ", text)
    return tuple(name for name in (found[1].split(", ") if found else []) if name in PEOPLE)


def _typed(text: str, label: str) -> str | None:
    """What to type for an option or a button of this message; None when it has no such one."""
    option = re.search(rf"^(\d+)\) {re.escape(label)}$", text, re.MULTILINE)
    button = re.search(rf"(?:^|\| ){re.escape(label)} \(type: !brine (.+?)\)(?: \||$)", text, re.MULTILINE)
    found = option or button
    return found[1] if found else None
