"""Development environments from chat: hands what people say to Brinepool, and says what it answers.

It knows nothing of environments. docs/chat-webhook.md in Brinepool describes the requests in both directions.
"""

import hashlib
import hmac
import html
import json
import os
import queue
import re
import threading
import time
import uuid
from pathlib import Path

import requests
from errbot import BotPlugin, ValidationException, botcmd, core_plugins, re_botcmd
from flask import Response, request

HEADER = "Brinepool-Signature"
PATH = "/brinepool/updates"
ENDPOINT = "brinepool_updates"
WINDOW_S = 300  # how far apart the two clocks may be
LIMIT = 256 * 1024  # bytes of an update
PEOPLE = 2000  # remembered
WAITING = 200  # messages that are to be said; a chat that is slower than that is told so

CONFIGURATION = {
    "URL": "http://127.0.0.1:8420",
    "BOT": "errbot",
    "SECRET": "",
    "SECRET_FILE": "",
    "TIMEOUT": 15,
    "ROOM_NAMES": {},
}

_FORMATTING = re.compile(r"\x03(?:\d{1,2}(?:,\d{1,2})?)?|[\x00-\x08\x0b-\x1f\x7f]")  # IRC's colours, and all control
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+.!|-])")  # what Python-Markdown, which Errbot uses, lets be escaped
_LINE_STARTS = re.compile(r"^[~:=]")  # what means something there, and cannot


class Refused(Exception):
    """An update is not taken. `status` as Brinepool's docs give it a meaning."""

    def __init__(self, status, detail):
        super().__init__(detail)
        self.status = status


class Brinepool(BotPlugin):
    """Create, watch, deploy to and terminate development environments. Begin with: brine help"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._secret = ""
        self._started = 0
        self._deliveries = Deliveries()
        self._to_say = queue.Queue(WAITING)
        self._speaker = None
        self._people = threading.Lock()

    # Settings

    def get_configuration_template(self):
        """What `!plugin config Brinepool` shows: the defaults, with what the environment says."""
        found = {name: os.environ.get(f"BRINE_{name}", default) for name, default in CONFIGURATION.items()}
        found["SECRET"] = os.environ.get("BRINE_CHAT_SECRET", "")
        found["SECRET_FILE"] = os.environ.get("BRINE_CHAT_SECRET_FILE", "")
        return {**found, "TIMEOUT": CONFIGURATION["TIMEOUT"], "ROOM_NAMES": {}}

    def configure(self, configuration):
        """The environment, and over it what was configured in chat."""
        super().configure({**self.get_configuration_template(), **(configuration or {})})

    def check_configuration(self, configuration):
        """Raises ValidationException with a sentence."""
        if unknown := set(configuration) - set(CONFIGURATION):
            raise ValidationException(f"There is no setting {', '.join(sorted(unknown))}.")
        if not re.match(r"https?://", str(configuration.get("URL", CONFIGURATION["URL"]))):
            raise ValidationException("URL is where Brinepool is, such as http://127.0.0.1:8420.")

    def activate(self):
        """Without a secret it is not activated: Brinepool would refuse every message."""
        self._secret = self._read_secret()
        if len(self._secret) < 16:
            raise ValidationException(
                "Brinepool needs the secret that both sides sign with, of 16 characters at least: set "
                "BRINE_CHAT_SECRET_FILE or BRINE_CHAT_SECRET in the environment of Errbot."
            )
        self._started = int(time.time())
        self._mount()
        self._speaker = threading.Thread(target=self._speak, name="brinepool", daemon=True)
        self._speaker.start()
        super().activate()

    def deactivate(self):
        """End the thread that speaks."""
        super().deactivate()
        speaker, self._speaker = self._speaker, None
        if speaker:
            self._to_say.put(None)
            speaker.join(10)

    def _read_secret(self):
        if file := self.config["SECRET_FILE"]:
            try:
                return Path(file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValidationException(f"The secret cannot be read: {error.strerror}: {file}.") from error
        return str(self.config["SECRET"])

    # What people say

    @botcmd
    def brine(self, msg, args):
        """Development environments: brine help, brine create shop feature/cart, brine list, brine show cart-test"""
        yield from self._answer(msg, args)

    @re_botcmd(pattern=r"^\s*brine\s*[:,]\s*(?P<text>.+)$", prefixed=False, flags=re.IGNORECASE)
    def brine_addressed(self, msg, match):
        """The same without the prefix: “brine: list”."""
        yield from self._answer(msg, match["text"])

    def _answer(self, msg, text):
        said = self._told(msg, _FORMATTING.sub("", str(text)).strip() or "help")
        found = self._ask(said)
        if found is None:
            return
        text = self._worded(found)
        if found["reply"].get("private") and not said["room"]["direct"]:
            self._send(self._person(said["user"]), text)
            return
        yield from parts(text, self._limit())

    def _worded(self, found):
        """The text, with what is to be typed as it is to be typed here."""
        command = f"{self.bot_config.BOT_PREFIX}brine"
        text = found["text"].replace("(type: ", f"(type: {command} ")
        if found["reply"].get("options"):
            text += f"\nAnswer with “{command} 1” or another number."
        return text

    def _told(self, msg, text):
        """What Brinepool is told of a message. Who said it: what Errbot's own access control goes by."""
        user = self._fold(str(msg.frm.aclattr))
        self._remember(user, msg.frm)
        return {
            "delivery": str(uuid.uuid4()),
            "user": user,
            "name": str(getattr(msg.frm, "nick", None) or msg.frm.person),
            "room": self._room_of(msg),
            "text": text,
            "bot": bool(msg.extras.get("notice")),  # on IRC programs speak so, and nobody answers them
        }

    def _room_of(self, msg):
        if not msg.is_group:
            return {"direct": True}
        room = self._fold(str(msg.to))
        return {"id": room, "name": self.config["ROOM_NAMES"].get(room, room.removeprefix("#")), "direct": False}

    def _fold(self, name):
        """IRC takes “Ada” and “ada” for the same."""
        return name.lower() if self._bot.mode == "irc" else name

    def _ask(self, said):
        """Hand it over → what to say, or None."""
        body = json.dumps(said).encode()
        headers = {"Content-Type": "application/json", HEADER: sign(self._secret, body, time.time())}
        url = f"{self.config['URL'].rstrip('/')}/api/v1/chat/{self.config['BOT']}"
        try:
            answer = requests.post(
                url, data=body, headers=headers, timeout=self.config["TIMEOUT"], allow_redirects=False
            )
        except requests.ConnectTimeout:
            return sentence("Brinepool cannot be reached; nothing was done. Try again in a minute.")
        except requests.Timeout:
            return sentence("Brinepool has not answered. It may be at work on it: look with “brine jobs”.")
        except requests.RequestException as error:
            self.log.warning("Brinepool cannot be reached: %s", error)
            return sentence("Brinepool cannot be reached now. Look with “brine jobs” before you ask again.")
        return self._understood(answer)

    def _understood(self, answer):
        if answer.status_code in (202, 204):
            return None
        try:
            found = answer.json()
            text = found["text" if answer.status_code == 200 else "detail"]
            return {"text": str(text), "reply": found.get("reply") or {}}
        except (ValueError, KeyError, TypeError):
            self.log.exception("What answers at %s is not Brinepool: HTTP %s", self.config["URL"], answer.status_code)
            return sentence("What answers instead of Brinepool is something else. Tell whoever runs this bot.")

    # What Brinepool says later

    def _mount(self):
        """Put our path into Errbot's HTTP listener.

        Not with Errbot's decorator `webhook`: with Flask 3 that fails for good once any request has been answered, and
        Brinepool may knock while Errbot is still starting.
        """
        app = core_plugins.flask_app
        if ENDPOINT not in app.view_functions:
            app.url_map.add(app.url_rule_class(PATH, endpoint=ENDPOINT, methods=["POST"]))
        app.view_functions[ENDPOINT] = self._updates

    def _updates(self):
        """Progress and notices; Errbot's Webserver plugin must be configured."""
        try:
            self._take()
        except Refused as refused:
            self.log.warning("An update of Brinepool was not taken: %s", refused)
            problem = {"type": "about:blank", "status": refused.status, "detail": str(refused)}
            return Response(json.dumps(problem), refused.status, content_type="application/problem+json")
        return Response(status=204)

    def _take(self):
        if not self.is_activated:
            raise Refused(503, "the plugin is not active")
        if (request.content_length or 0) > LIMIT:
            raise Refused(413, f"an update has at most {LIMIT} bytes")
        body = request.get_data()
        at = signed_at(self._secret, body, request.headers.get(HEADER, ""), time.time())
        # Deliveries are not remembered over a restart, so nothing counts that was signed before it.
        if at < self._started:
            raise Refused(503, "this was signed before the bot started; sign it again")
        update = checked(body)
        target = self._target(update)
        if not self._deliveries.first_time(update["delivery"], time.time()):
            raise Refused(409, "this delivery was here already")
        try:
            self._to_say.put_nowait((target, self._worded(update)))
        except queue.Full:
            self._deliveries.forget(update["delivery"])
            raise Refused(503, "there is too much to say already") from None

    def _target(self, update):
        if update["direct"]:
            return self._person(update["direct"])
        for room in self.rooms():
            if self._fold(str(room)) == update["room"]:
                return room
        if update["room"] in self._meant_to_be_in():
            raise Refused(503, f"the bot is not in {update['room']} yet")
        raise Refused(404, f"the bot is not in {update['room']}")

    def _meant_to_be_in(self):
        """The rooms that Errbot joins by itself, which it does anew after every reconnect."""
        presence = getattr(self.bot_config, "CHATROOM_PRESENCE", ())
        return {self._fold(room if isinstance(room, str) else room[0]) for room in presence}

    def _speak(self):
        """Say one after the other what is to be said. Chats may slow us down: IRC takes a line in a second."""
        while (item := self._to_say.get()) is not None:
            try:
                self._send(*item)
            except Exception:  # whatever a backend raises, the next message is to be said
                self.log.exception("A message of Brinepool could not be said")

    def _send(self, target, text):
        for part in parts(text, self._limit()):
            self.send(target, part)

    def _limit(self):
        return int(getattr(self._bot, "message_size_limit", 0) or 2000)

    # Who is who

    def _remember(self, user, identifier):
        """How to write to them alone; kept over a restart."""
        address = str(identifier.person)
        with self._people:  # Errbot's storage is not made for several threads at once
            known = self.get("people", {})
            if known.get(user) != address:
                kept = {old: known[old] for old in list(known)[-PEOPLE:] if old != user}
                self["people"] = {**kept, user: address}

    def _person(self, user):
        with self._people:
            return self.build_identifier(self.get("people", {}).get(user, user))


def sentence(text):
    """Something that the plugin says itself."""
    return {"text": text, "reply": {}}


class Deliveries:
    """Which updates were here, for as long as their signatures count."""

    def __init__(self):
        self._lock = threading.Lock()
        self._until = {}

    def first_time(self, delivery, now):
        """Whether it is new; it is not from then on."""
        with self._lock:
            self._until = {old: until for old, until in self._until.items() if until > now}
            if delivery in self._until:
                return False
            self._until[delivery] = now + 2 * WINDOW_S
            return True

    def forget(self, delivery):
        """It was not taken after all."""
        with self._lock:
            self._until.pop(delivery, None)


def sign(secret, body, now):
    """The value of the header."""
    return f"t={int(now)},v1={_digest(secret, str(int(now)), body)}"


def signed_at(secret, body, header, now):
    """When this was signed. Raises Refused when it was not, or not now."""
    members = [member.strip().partition("=") for member in header.split(",")]
    at = "".join(value for name, _, value in members if name == "t")
    digests = [value for name, _, value in members if name == "v1"]
    expected = _digest(secret, at, body)
    fits = [hmac.compare_digest(expected.encode(), digest.encode()) for digest in digests]
    if not re.fullmatch(r"[0-9]{1,12}", at) or not any(fits):
        raise Refused(401, "the signature is missing or does not fit this body and the secret")
    if abs(now - int(at)) > WINDOW_S:
        raise Refused(401, "the signature is more than 5 minutes off this clock")
    return int(at)


def _digest(secret, at, body):
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def checked(body):
    """The update. Raises Refused when it is none."""
    try:
        update = json.loads(body)
        found = {name: update[name] for name in ("delivery", "kind", "room", "direct", "text")}
    except (ValueError, KeyError, TypeError):
        raise Refused(422, "the body is no update") from None
    if not all(isinstance(value, str) for value in found.values()) or not isinstance(update.get("reply"), dict):
        raise Refused(422, "the body is no update")
    if update["reply"].get("private") and not found["direct"]:
        raise Refused(422, "this is for one person alone, and that is a room")
    return {**found, "reply": update["reply"]}


def parts(text, limit):
    """The text as messages of at most `limit` characters, broken between lines.

    Errbot takes Markdown, and what Brinepool says is text: so every character that could mean something is escaped.
    """
    message = ""
    for line in (piece for raw in text.split("\n") for piece in _pieces(raw, limit)):
        if message and len(message) + 1 + len(line) > limit:
            yield message
            message = ""
        message += ("\n" if message else "") + line
    if message:
        yield message


def _pieces(line, limit):
    """One line, escaped, as several if it has become too long."""
    escaped = _MARKDOWN.sub(r"\\\1", html.escape(line.strip(), quote=False))
    escaped = _LINE_STARTS.sub(lambda start: f"&#{ord(start[0])};", escaped)
    if len(escaped) <= limit or len(line) < 2:
        return [escaped] if escaped else []
    middle = line.rfind(" ", 1, len(line) // 2 + 1)
    middle = middle if middle > 0 else len(line) // 2
    return [*_pieces(line[:middle], limit), *_pieces(line[middle:], limit)]
