"""Brinepool: the same through its HTTP API, or through `brine`, as a person would."""

import time
from dataclasses import dataclass

from orchestrator.cli.client import Client, connect, path
from orchestrator.cli.follow import follow
from orchestrator.commands.views import Accepted, CreateEnvironment, Deploy, OperationView
from orchestrator.domain.lifecycle import OperationState

from . import scenario
from .installation import BenchError, Installation


@dataclass(frozen=True)
class Lap:
    """From the HTTP POST to the ready event, as the client saw it, in seconds since 1970."""

    asked: float
    accepted: float
    ready: float

    @property
    def seconds(self) -> float:
        """How long the person waited."""
        return self.ready - self.asked


class Brinepool:
    """One person at one Brinepool."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        self._client: Client = connect(installed.settings)

    def create(self, environment: str) -> Lap:
        """An environment of three servers, from the POST to the ready event."""
        ask = CreateEnvironment(
            template=scenario.TEMPLATE, name=environment, branch=scenario.BRANCH, counts=scenario.COUNTS
        )
        asked = time.time()
        return self._to_the_end(asked, self._client.post(Accepted, path("environments"), ask))

    def deploy(self, server: str, branch: str) -> Lap:
        """A branch on a server that runs, from the POST to the ready event."""
        asked = time.time()
        accepted = self._client.post(Accepted, path("servers", server, "deployments"), Deploy(what=branch))
        return self._to_the_end(asked, accepted)

    def deploy_by_command(self, server: str, branch: str) -> float:
        """The same as `brine server deploy`, the whole process. → seconds"""
        start = time.monotonic()
        self._installed.run("brine", "server", "deploy", server, branch)
        return time.monotonic() - start

    def destroy(self, environment: str) -> None:
        """Terminate an environment."""
        self._to_the_end(time.time(), self._client.delete(Accepted, path("environments", environment)))

    def _to_the_end(self, asked: float, accepted: Accepted) -> Lap:
        answered = time.time()
        for item in follow(self._client, accepted.operation.id):
            if isinstance(item, OperationView):
                ended = time.time()
                if item.state is not OperationState.SUCCEEDED:
                    raise BenchError(f"The {item.kind} of {item.environment} failed: {item.failure}")
                return Lap(asked, answered, ended)
        raise AssertionError("follow ends with the operation")
