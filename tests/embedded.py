"""A running embedded stack, and Salt's own commands on it, for the integration tests."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from salt.client import LocalClient

from orchestrator.embedded import launcher, stack
from orchestrator.embedded.home import Home
from orchestrator.saltapi.adapter import SaltApi
from orchestrator.saltapi.client import password_file
from orchestrator.settings import Settings

T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = 60) -> T:
    """The first true answer of the condition; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)
    return answer


@dataclass(frozen=True, eq=False)
class RunningStack:
    """One home whose stack runs. `said` is what `up` said."""

    settings: Settings
    home: Home
    said: list[str] = field(default_factory=list)

    def connect(self, password: str | None = None) -> SaltApi:
        """An adapter that talks to its salt-api; closed by the caller."""
        read = password_file(self.settings.password_file) if password is None else lambda: password
        return SaltApi(self.home.salt_api_url, self.settings.salt_api_user, read)

    def up(self) -> list[str]:
        """Run `up` again; what it said this time."""
        said: list[str] = []
        stack.up(self.settings, said.append)
        return said

    def status(self) -> stack.StackStatus:
        return stack.status(self.settings)

    def processes(self, **marks: str) -> list[launcher.Process]:
        """The living processes of the home; `sandbox` and `program` narrow them down."""
        own = {"BRINE_HOME": str(self.home.root)}
        return launcher.find(own | {f"BRINE_{key.upper()}": value for key, value in marks.items()})

    def main_process(self, program: str, sandbox: str = "") -> int:
        """The process id that the program began with."""
        found = self.processes(program=program, sandbox=sandbox)
        return next(process.pid for process in found if process.pid == process.group)

    def run(
        self, program: str, *arguments: str, seconds: float = 90, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """One of Salt's commands with the home's configuration."""
        command = [str(self.home.bin / program), "-c", str(self.home.etc), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment or None)

    def cloud(self, *arguments: str, **environment: str) -> Any:
        """What salt-cloud answers."""
        answer = self.run("salt-cloud", "--out=json", *arguments, **environment)
        return json.loads(answer.stdout) if answer.stdout.strip() else answer.stderr

    def call(self, server: str, function: str, *arguments: str) -> Any:
        """What a minion returns."""
        return self._ask(server, function, arguments, timeout=30)[server]

    def create(self, server: str) -> dict[str, Any]:
        """A server of profile small whose minion answers."""
        made = self.cloud("-p", "small", server)[server]
        self.await_minion(server)
        return made

    def await_minion(self, server: str) -> None:
        """Wait until the minion answers; an answer that does not come is not waited for long."""
        wait_for(lambda: self._ask(server, "test.ping", timeout=1, gather_job_timeout=1).get(server) is True)

    def _ask(self, server: str, function: str, arguments: tuple[str, ...] = (), **limits: int) -> dict[str, Any]:
        """Salt's own client: what the command `salt` uses, without its seconds of start-up for each call."""
        with LocalClient(str(self.home.etc / "master")) as client:
            return client.cmd(server, function, arguments, **limits)

    def destroy(self, *servers: str) -> Any:
        return self.cloud("-y", "-d", *servers)

    def accepted_keys(self) -> set[str]:
        return set(json.loads(self.run("salt-key", "--out=json", "-L").stdout)["minions"])


@dataclass(frozen=True)
class Machine:
    """One server of a stack."""

    stack: RunningStack
    name: str

    def call(self, function: str, *arguments: str) -> Any:
        """What its minion returns."""
        return self.stack.call(self.name, function, *arguments)

    def state(self, *arguments: str) -> dict[str, Any]:
        """What one state returns."""
        (answer,) = self.call("state.single", *arguments).values()
        return answer

    def define(self, service: str, command: str, *options: str) -> None:
        """Write the definition of a service, as a state would."""
        lines = (f"[program:{service}]", f"command = {command}", "killasgroup = true", "stopasgroup = true", *options)
        folder = self.stack.home.sandboxes / self.name / "services.d"
        (folder / f"{service}.conf").write_text("\n".join((*lines, "")))
