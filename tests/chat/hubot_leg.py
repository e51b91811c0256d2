"""Hubot: a real Hubot with our package, in which the test plays the people, and our webhook adapter on this side."""

import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from flask import Flask
from pydantic import SecretStr
from werkzeug.serving import make_server

from orchestrator.chat.webhook import BotConfig, Webhook
from tests.peers import hubot

from .leg import LOUNGE, PEOPLE, SHOP, Leg, Shown

SECRET = "the secret of the bot hubot, long enough"
_IDS = {person: f"U-{person}" for person in PEOPLE}
_OTHER_BOT = "U-robot"


class HubotLeg(Leg):
    """Hubot in a process of its own, and Brinepool's HTTP door with nothing but the bot's path in it.

    `progress_s`: as in the bot's settings. `settings`: the package's. Rooms and people have the ids that they are known
    by; a person's direct room has the id of their account.
    """

    real = True

    def __init__(self, progress_s: float = 0) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hubot-"))
        self._door = Flask("door")
        self._server = make_server("127.0.0.1", 0, self._door, threaded=True)
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._last: dict[str, Any] = {}
        self._deliveries: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self.settings = {"BRINE_URL": f"http://127.0.0.1:{self._server.server_port}", "BRINE_CHAT_SECRET": SECRET}
        self.hubot = hubot.Hubot(
            self._folder,
            self.settings,
            rooms=[SHOP, LOUNGE],
            people={its_id: person for person, its_id in _IDS.items()} | {_OTHER_BOT: "robot"},
        )
        try:
            self.hubot.start()
        except BaseException:
            self._clean_up()
            raise
        self.adapter = self._adapter(progress_s)
        blueprint = self.adapter.blueprint()
        assert blueprint
        self._door.register_blueprint(blueprint)
        self._serving.start()

    def user(self, person: str) -> str:
        return _IDS[person]

    def say(self, person: str, text: str, room: str = SHOP) -> None:
        # To the bot alone the adapter puts its name before what is said, as adapters do.
        self._hear(_IDS[person], f"brine {text}" if not room else f"hubot brine {text}", room)

    def overhear(self, person: str, text: str, room: str = SHOP) -> None:
        self._hear(_IDS[person], text, room)

    def shown(self, room: str = SHOP) -> list[Shown]:
        return [_shown(said) for said in list(self.hubot.said) if said["room"] == room]

    def shown_directly(self, person: str) -> list[Shown]:
        return self.shown(_IDS[person])

    def pick(self, person: str, label: str, room: str = SHOP) -> None:
        place = room or _IDS[person]
        for message in reversed(self.shown(place)):
            if typed := _typed(message.text, label):
                return self.say(person, typed, room)
        raise AssertionError(
            f"nothing to pick is called {label!r} in {[message.text for message in self.shown(place)]}"
        )

    def say_as_bot(self, text: str, room: str = SHOP) -> bool:
        self._hear(_OTHER_BOT, f"hubot brine {text}", room, bot=True)
        return True

    def repeat_last(self) -> bool:
        self.hubot.hear(**self._last)
        return True

    def go_down(self) -> bool:
        self.hubot.stop()
        return True

    def come_back(self) -> None:
        self.hubot.start()

    def close(self) -> None:
        self.adapter.stop()
        self.hubot.stop()
        if self._serving.is_alive():
            self._server.shutdown()
            self._serving.join()
        self._clean_up()

    def stop_brinepool(self) -> None:
        """Let nothing answer at Brinepool's address any more."""
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def _adapter(self, progress_s: float) -> Webhook:
        config = BotConfig(
            name="hubot",
            secret=SecretStr(SECRET),
            callback_url=self.hubot.url + hubot.UPDATES,
            edits=False,
            rooms={SHOP: SHOP, LOUNGE: LOUNGE},
            progress_s=progress_s,
        )
        return Webhook(config, self._first_time)

    def _first_time(self, service: str, delivery: str) -> bool:
        with self._lock:
            known = (service, delivery) in self._deliveries
            self._deliveries.add((service, delivery))
            return not known

    def _hear(self, user: str, text: str, room: str, bot: bool = False) -> None:
        self._last = {"user": user, "text": text, "room": room or None, "bot": bot}
        self._last["message"] = self.hubot.hear(**self._last)

    def _clean_up(self) -> None:
        self._server.server_close()
        shutil.rmtree(self._folder)


def _shown(said: dict[str, Any]) -> Shown:
    people = {its_id: person for person, its_id in _IDS.items()}
    return Shown(said["id"], said["text"], mentions=tuple(people[said["mention"]] for _ in [0] if said["mention"]))


def _typed(text: str, label: str) -> str | None:
    """What to type for an option or a button of this message; None when it has no such one."""
    option = re.search(rf"^(\d+)\) {re.escape(label)}$", text, re.MULTILINE)
    button = re.search(rf"(?:^|\| ){re.escape(label)} \(type: (?:hubot )?brine (.+?)\)", text, re.MULTILINE)
    found = option or button
    return found[1] if found else None
