"""Several people at once, through the HTTP API. What was not answered is asked again with the same Idempotency-Key."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.chaos.plan import Ask, Client

TEMPLATE = "shop"
POLL = 0.1
# Refusals that a race with others explains; anything else that is not accepted is a violation.
EXPECTED = frozenset({
    "environment-busy", "environment-terminating", "environment-unknown", "environment-ended", "name-taken",
    "nothing-to-cancel", "not-cancellable", "nothing-to-retry", "server-not-made", "sibling-gone", "server-unknown",
    "server-ended", "needed-by-others", "limit-per-person", "limit-total",
})  # fmt: skip
# What passes by itself: it is asked again.
PASSING = frozenset({
    "salt-unreachable", "salt-unanswered", "salt-login-refused", "stopping", "shutting-down", "repository-unreachable",
})  # fmt: skip


@dataclass
class Answer:
    """What became of an ask. `operation`: its id when it was accepted, else `code` says why not."""

    person: str
    ask: Ask
    key: str
    status: int = 0
    code: str = ""
    operation: str = ""
    kind: str = ""
    tries: int = 0


@dataclass
class Crowd:
    """The people of one round. `until`: when they give up (monotonic). `pace`: how much longer things take here."""

    url: str
    tokens: dict[str, str]
    until: float
    pace: float = 1.0
    answers: list[Answer] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, clients: tuple[Client, ...]) -> None:
        """Let everybody ask, at once."""
        for client in clients:
            thread = threading.Thread(target=self._be, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether somebody still asks or waits to ask."""
        return any(thread.is_alive() for thread in self._threads)

    def ask(self, person: str, ask: Ask, key: str = "") -> Answer:
        """Ask until there is an answer."""
        answer = Answer(person, ask, key or secrets.token_hex(8))
        with self._session(person) as session:
            self._until_answered(session, answer)
        return answer

    def _be(self, client: Client) -> None:
        last = ""
        with self._session(client.person) as session:
            for ask in client.asks:
                self._wait(session, ask, last)
                answer = Answer(client.person, ask, secrets.token_hex(8))
                self._until_answered(session, answer)
                self.answers.append(answer)
                last = answer.operation

    def _session(self, person: str) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {self.tokens[person]}"
        return session

    def _wait(self, session: requests.Session, ask: Ask, last: str) -> None:
        """Wait as the plan says; in vain for at most a few seconds, because others may have changed everything."""
        if isinstance(ask.wait, float | int):
            time.sleep(ask.wait * self.pace)
        elif ask.wait == "ended":
            self._poll(20, lambda: not last or self._state(session, last) in ("succeeded", "failed", "cancelled"))
        else:
            self._poll(3, lambda: self._status(session, ask.environment) == ask.wait)
        time.sleep(ask.later * self.pace)

    def _poll(self, seconds: float, done: Callable[[], bool]) -> None:
        until = min(self.until, time.monotonic() + seconds * self.pace)
        while time.monotonic() < until and not done():
            time.sleep(POLL * self.pace)

    def _state(self, session: requests.Session, operation: str) -> str:
        return str(self._look(session, f"operations/{operation}").get("state", ""))

    def _status(self, session: requests.Session, environment: str) -> str:
        seen = self._look(session, f"environments/{environment}")
        return "gone" if seen.get("code") in ("environment-unknown", "environment-ended") else str(seen.get("status"))

    def _look(self, session: requests.Session, path: str) -> dict[str, Any]:
        try:
            seen: dict[str, Any] = session.get(f"{self.url}/api/v1/{path}", timeout=5).json()
        except (requests.RequestException, ValueError):
            return {}
        return seen

    def _until_answered(self, session: requests.Session, answer: Answer) -> None:
        while time.monotonic() < self.until:
            answer.tries += 1
            try:
                response = _send(session, self.url, answer.ask, answer.key)
                body = response.json()
            except (requests.RequestException, ValueError):  # it was killed; whether before or after, nobody knows
                time.sleep(POLL)
                continue
            answer.status, answer.code = response.status_code, str(body.get("code", ""))
            if response.status_code != 202 and answer.code in PASSING:
                time.sleep(POLL)
                continue
            if response.status_code == 202:
                answer.operation, answer.kind = body["operation"]["id"], body["operation"]["kind"]
            return


def _send(session: requests.Session, url: str, ask: Ask, key: str) -> requests.Response:
    """The request of an ask."""
    environments, headers = f"{url}/api/v1/environments", {"Idempotency-Key": key}
    one = f"{environments}/{ask.environment}"
    if ask.verb == "create":
        role, _, count = ask.what.partition("=")
        body: dict[str, Any] = {"template": TEMPLATE, "name": ask.environment, "counts": {role: int(count)}}
        return session.post(environments, json=body, headers=headers, timeout=30)
    if ask.verb == "deploy":
        return session.post(f"{one}/deployments", json={"what": ask.what}, headers=headers, timeout=30)
    if ask.verb == "terminate":
        return session.delete(one, params={"confirmed": "true"}, headers=headers, timeout=30)
    if ask.verb == "remove":
        path = f"{url}/api/v1/servers/{ask.what}"
        return session.delete(path, params={"confirmed": "true"}, headers=headers, timeout=30)
    path = {"retry": "retries", "cancel": "cancel"}[ask.verb]
    return session.post(f"{one}/{path}", headers=headers, timeout=30)
