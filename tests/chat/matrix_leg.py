"""Matrix: a real Synapse, people with plain HTTP, and our adapter behind a wire that can be cut."""

import re
import secrets
from pathlib import Path
from typing import Any

from orchestrator.chat.matrix import Matrix
from tests.peers.relay import Relay
from tests.peers.synapse import Person, Synapse

from .leg import LOUNGE, PEOPLE, SHOP, Leg, Shown

HTML = "org.matrix.custom.html"


class MatrixLeg(Leg):
    """Accounts and rooms of its own on a homeserver that several legs may share, one after the other."""

    real = True

    def __init__(self, synapse: Synapse, folder: Path) -> None:
        self.synapse = synapse
        suffix = secrets.token_hex(3)
        self.bot = synapse.account(f"brine-{suffix}")
        self.people = {name: synapse.account(f"{name}-{suffix}") for name in PEOPLE}
        self.robot = synapse.account(f"robot-{suffix}")
        self._owner = self.people["ada"]
        self.rooms = {name: self._make_room(name) for name in (SHOP, LOUNGE)}
        self._since = {name: str(one.call("GET", "sync")["next_batch"]) for name, one in self.people.items()}
        self._direct: dict[str, str] = {}
        self._said: dict[str, tuple[str, str]] = {}
        self.wire = Relay(synapse.port)
        self.folder = folder
        self.password_file = folder / "password"
        self.password_file.write_text(self.bot.password + "\n")
        self.adapter = self.another_adapter()

    def another_adapter(self, **changes: Any) -> Matrix:
        """Ours as after a restart: made anew, with the same state."""
        made = {"password_file": self.password_file, "edits_per_minute": 6000.0} | changes
        return Matrix(self.wire.url, self.bot.user, self.folder / "state", **made)

    def user(self, person: str) -> str:
        return self.people[person].user

    def say(self, person: str, text: str, room: str = SHOP) -> None:
        self._say(person, room, text if not room else f"{self._name}: {text}")

    def overhear(self, person: str, text: str, room: str = SHOP) -> None:
        self._say(person, room, text)

    def shown(self, room: str = SHOP) -> list[Shown]:
        return self._shown(self._owner, self.rooms.get(room, room))

    def shown_directly(self, person: str) -> list[Shown]:
        self._accept_invitations(person)
        somebody = self.people[person]
        rooms = [room for room in self._direct_rooms(somebody) if room not in self.rooms.values()]
        return [shown for room in rooms for shown in self._shown(somebody, room)]

    def pick(self, person: str, label: str, room: str = SHOP) -> None:
        somebody, at = self.people[person], self._at(person, room)
        for shown in reversed(self._shown(somebody, at)):
            for line in shown.text.splitlines():
                key, _, rest = line.partition(" ")
                if rest == label or rest.startswith(f"{label} ("):
                    self.react(somebody, at, shown.id, key)
                    return
        raise AssertionError(f"The bot has offered no {label}.")

    def react(self, somebody: Person, room: str, message: str, key: str) -> str:
        """Put a reaction on a message → its id."""
        relation = {"rel_type": "m.annotation", "event_id": message, "key": key}
        return somebody.send(room, {"m.relates_to": relation}, "m.reaction")

    def say_as_bot(self, text: str, room: str = SHOP) -> bool:
        self.robot.send(self.rooms[room], {"msgtype": "m.notice", "body": f"{self._name}: {text}"})
        return True

    def edit_last(self, person: str, text: str, room: str = SHOP) -> bool:
        at, message = self._said[person]
        said = {"msgtype": "m.text", "body": f"{self._name}: {text}"}
        relation = {"rel_type": "m.replace", "event_id": message}
        self.people[person].send(at, said | {"m.new_content": said, "m.relates_to": relation})
        return True

    def go_down(self) -> bool:
        self.wire.cut()
        return True

    def come_back(self) -> None:
        self.wire.mend()

    def close(self) -> None:
        self.adapter.stop()
        self.wire.cut()
        for name in self.rooms:
            self._owner.call("DELETE", f"directory/room/%23{name}:{self.synapse.name}")

    @property
    def _name(self) -> str:
        return self.bot.user[1:].partition(":")[0]

    def _make_room(self, name: str) -> str:
        others = [one for one in (*self.people.values(), self.robot, self.bot) if one is not self._owner]
        room = self._owner.create_room(name, tuple(one.user for one in others))
        for one in others:
            one.join(room)
        return room

    def _say(self, person: str, room: str, text: str) -> None:
        at = self._at(person, room)
        self._said[person] = (at, self.people[person].say(at, text))

    def _at(self, person: str, room: str) -> str:
        """The room's id; the conversation with the bot, which is begun if there is none, when it has no name."""
        if room:
            return self.rooms.get(room, room)
        self._accept_invitations(person)
        somebody = self.people[person]
        rooms = self._direct_rooms(somebody)
        return rooms[-1] if rooms else somebody.create_room(invite=(self.bot.user,), is_direct=True)

    def _accept_invitations(self, person: str) -> None:
        somebody = self.people[person]
        news = somebody.call("GET", "sync", since=self._since[person])
        for room in news.get("rooms", {}).get("invite", {}):
            somebody.join(room)
        self._since[person] = news["next_batch"]

    def _direct_rooms(self, somebody: Person) -> list[str]:
        """Those with the bot and nobody else, oldest first."""
        found = []
        for room in somebody.joined():
            members = somebody.members(room)
            if self.bot.user in members and len(members) == 2:
                found.append(room)
        return found

    def _shown(self, reader: Person, room: str) -> list[Shown]:
        ours = [event for event in reader.events(room) if event["sender"] == self.bot.user and event["content"]]
        edits: dict[str, list[dict[str, Any]]] = {}
        for event in ours:
            relation = event["content"].get("m.relates_to", {})
            if relation.get("rel_type") == "m.replace":
                edits.setdefault(relation["event_id"], []).append(event["content"]["m.new_content"])
        first = [event for event in ours if "m.new_content" not in event["content"]]
        return [self._as_shown(event, edits.get(event["event_id"], [])) for event in first]

    def _as_shown(self, event: dict[str, Any], edits: list[dict[str, Any]]) -> Shown:
        content = (edits or [event["content"]])[-1]
        relation = event["content"].get("m.relates_to", {})
        thread = relation["event_id"] if relation.get("rel_type") == "m.thread" else ""
        names = {one.user: name for name, one in self.people.items()}
        mentions = [names[user] for user in content["m.mentions"].get("user_ids", ())]
        return Shown(event["event_id"], _same_in_html(content), thread, len(edits), mentions)


def _same_in_html(content: dict[str, Any]) -> str:
    """The text, after a look whether the HTML says the same."""
    assert content["format"] == HTML
    html = re.sub(r"<[^>]*>", " ", content["formatted_body"])
    for word in re.findall(r"[A-Za-z0-9]{3,}", content["body"]):
        assert word in html
    return str(content["body"])
