"""The two series of rounds: environments made by everybody in turn, and branches deployed by everybody in turn."""

import subprocess
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Self

from . import scenario
from .brinepool import Brinepool
from .events import Events
from .figures import Figure, own_share, ratio
from .installation import BenchError, Installation, Say
from .plain_salt import PlainSalt, stock_settings, tuned_settings
from .share import Share, share_of

BRINEPOOL = "Brinepool"
STOCK = "plain Salt, stock minion settings"
TUNED = "plain Salt, our minion settings"
CREATED_BY = {"a": STOCK, "b": TUNED}  # the figure that needs it

COMMAND = "brine server deploy (the whole process)"
POST = "HTTP POST to the ready event"
SALT = "salt SERVER state.apply (the whole process)"


class Creates:
    """Environments of three servers: by Brinepool, and by plain Salt with each of the `settings`."""

    title = "seconds until three servers are ready (median, spread):"

    def __init__(self, installed: Installation, events: Events, settings: Sequence[str]) -> None:
        folders = {STOCK: stock_settings, TUNED: tuned_settings}
        self._events = events
        self._brinepool = Brinepool(installed)
        self._plain = {name: PlainSalt(installed, events, folders[name](installed.home)) for name in settings}
        self.seconds: dict[str, list[float]] = {name: [] for name in (BRINEPOOL, *settings)}
        self.shares: list[Share] = []

    def round(self, number: int, say: Say) -> None:
        """Everybody once; round 0 is not kept."""
        self._events.forget()
        share = self._by_brinepool(f"bench{number}-ours")
        took = {BRINEPOOL: share.whole}
        for place, (name, plain) in enumerate(self._plain.items()):
            environment = f"bench{number}-plain{place}"
            took[name] = plain.create(environment)
            plain.destroy(environment)
        say(", ".join(f"{name}: {value:.1f} s" for name, value in took.items()) + f"; our share {share.ours:.1%}")
        if number:
            self.shares.append(share)
            for name, value in took.items():
                self.seconds[name].append(value)

    def figures(self, aims: Mapping[str, float]) -> list[Figure]:
        """(a), (b) as far as they were measured, and (c)."""
        found = [
            ratio(letter, f"three servers ready, Brinepool : {other}", self.seconds[BRINEPOOL], values, aims[letter])
            for letter, other in CREATED_BY.items()
            if (values := self.seconds.get(other))
        ]
        title = "the orchestrator's own share of that time"
        return [*found, own_share("c", title, self.shares, aims["c"])]

    def _by_brinepool(self, environment: str) -> Share:
        lap = self._brinepool.create(environment)
        share = share_of(lap, environment, self._events)
        self._brinepool.destroy(environment)
        return share


class Deploys:
    """A context with an environment: branches of one of its running servers, switched by everybody in turn.

    The branches go round, so everybody makes the same switches; that each really switched is looked up in the checkout.
    """

    title = "seconds until another branch is deployed on a running server (median, spread):"

    def __init__(self, installed: Installation, events: Events) -> None:
        self._home = installed.home
        self._brinepool, self._environment = Brinepool(installed), "bench-deploys"
        self._plain = PlainSalt(installed, events, tuned_settings(installed.home))
        self._branches = cycle(scenario.DEPLOY_BRANCHES)
        self._server = f"{self._environment}-{scenario.DEPLOY_ROLE}-1"
        self.seconds: dict[str, list[float]] = {COMMAND: [], POST: [], SALT: []}
        self._beside: dict[str, list[float]] = {COMMAND: [], POST: []}  # plain Salt's, measured just after

    def __enter__(self) -> Self:
        self._brinepool.create(self._environment)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:  # else the whole installation is about to be removed, and with no questions asked
            self._brinepool.destroy(self._environment)

    def round(self, number: int, say: Say) -> None:
        """Each of our ways, and plain Salt after each; round 0 is not kept."""
        took = {COMMAND: self._switch(COMMAND), SALT: self._switch(SALT)}
        after_post = {POST: self._switch(POST), SALT: self._switch(SALT)}
        say(f"brine {took[COMMAND]:.2f} s, salt {took[SALT]:.2f} s, POST {after_post[POST]:.2f} s, "
            f"salt {after_post[SALT]:.2f} s")  # fmt: skip
        if number:
            for way, pair in ((COMMAND, took), (POST, after_post)):
                self.seconds[way].append(pair[way])
                self._beside[way].append(pair[SALT])
                self.seconds[SALT].append(pair[SALT])

    def figures(self, aims: Mapping[str, float]) -> list[Figure]:
        """(d), by command line on both sides, and seen from the HTTP API."""
        titles = {COMMAND: "brine server deploy : salt SERVER state.apply", POST: "POST to ready : the same"}
        return [
            ratio("d", f"another branch, {titles[way]}", self.seconds[way], self._beside[way], aims["d"])
            for way in (COMMAND, POST)
        ]

    def _switch(self, way: str) -> float:
        branch = next(self._branches)
        before = self._commit()
        if way == COMMAND:
            seconds = self._brinepool.deploy_by_command(self._server, branch)
        elif way == POST:
            seconds = self._brinepool.deploy(self._server, branch).seconds
        else:
            seconds = self._plain.deploy(self._server, branch)
        if self._commit() == before or self._commit() != self._tip(branch):
            raise BenchError(f"{way} did not switch {self._server} to {branch}.")
        return seconds

    def _commit(self) -> str:
        """What is checked out on the server."""
        app = f"{scenario.TEMPLATE}-{scenario.DEPLOY_ROLE}"
        return _git(f"--git-dir={self._home.sandboxes / self._server / 'srv' / app / 'checkout' / '.git'}", "HEAD")

    def _tip(self, branch: str) -> str:
        repository = self._home.repos / scenario.TEMPLATE / f"{scenario.DEPLOY_ROLE}.git"
        return _git(f"--git-dir={repository}", f"refs/heads/{branch}")


def _git(where: str, revision: str) -> str:
    done = subprocess.run(["git", where, "rev-parse", revision], capture_output=True, text=True, check=True)
    return done.stdout.strip()
