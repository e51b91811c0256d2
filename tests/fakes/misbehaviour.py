"""What can go wrong with Salt, by name. Give one to `FakeSalt.misbehave`; several work together.

Server names narrow one down to these servers, and `times` to its first so many occasions; without, it always applies.
"""

from typing import Any

# What `brinepool.highstate` answers while another one runs on the same minion.
ANOTHER_RUNS = "Another highstate is running on this server; wait for its end or cancel it, then try again."


class Misbehaviour:
    """Something that goes wrong, for `servers` (all when none is named), at most `times` times."""

    def __init__(self, *servers: str, times: int | None = None) -> None:
        self.servers = frozenset(servers)
        self.left = times

    def applies(self, server: str) -> bool:
        return self.left != 0 and (not self.servers or server in self.servers)

    def happened(self) -> None:
        if self.left is not None:
            self.left -= 1


# Clouds and minions


class CreateFails(Misbehaviour):
    """The cloud refuses to make the machine; nothing is made."""

    def __init__(self, *servers: str, detail: str = "quota exceeded", times: int | None = None) -> None:
        super().__init__(*servers, times=times)
        self.detail = detail


class CreateTakesEffectButTimesOut(Misbehaviour):
    """The machine is made, but the runner never returns: its master was restarted."""


class DestroyFails(Misbehaviour):
    """The cloud does not let the machine go."""


class RunnerCrashes(Misbehaviour):
    """A runner function ends in an exception, which Salt returns as text."""


class NeverComesUp(Misbehaviour):
    """The machine runs, but its minion never connects. `log`: what its own log says, as far as the cloud tells it."""

    def __init__(self, *servers: str, log: str = "", times: int | None = None) -> None:
        super().__init__(*servers, times=times)
        self.log = log


class Dies(Misbehaviour):
    """The minion dies as its job begins: it neither returns nor answers any more."""


class ForgetsJobs(Misbehaviour):
    """The minion is restarted as its job begins: it answers again, but knows nothing of the job."""


class FailsDuringHighstate(Misbehaviour):
    """A state fails and those after it are not run. Without `branch` the first one fails for want of the record's."""

    def __init__(
        self, *servers: str, branch: str | None = None, state: str = "checkout", comment: str = "",
        changes: dict[str, Any] | None = None, times: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(*servers, times=times)
        self.branch, self.state, self.comment, self.changes = branch, state, comment, changes or {}


class RenderError(Misbehaviour):
    """The states cannot be rendered: the return is a list of strings."""

    MESSAGE = "Rendering SLS 'base:app' failed: Jinja variable 'dict object' has no attribute 'port'"


class LosesReturns(Misbehaviour):
    """The job is done, but its return reaches neither the event bus nor the job cache."""


# The event bus and salt-api


class DropsEvents(Misbehaviour):
    """Events whose tag matches the pattern (as a shell would) are not sent to anybody."""

    def __init__(self, pattern: str = "*", times: int | None = None) -> None:
        super().__init__(times=times)
        self.pattern = pattern


class RepeatsEvents(Misbehaviour):
    """Every event comes twice."""


class HangsStream(Misbehaviour):
    """Event streams that are open now stay open and send nothing any more; new ones work."""


class DropsStream(Misbehaviour):
    """The event stream is closed before the next event, which is lost."""


class ExpiresTokens(Misbehaviour):
    """A token is good for `after` requests only; `after=0`: for none, however often one logs in."""

    def __init__(self, after: int, times: int | None = None) -> None:
        super().__init__(times=times)
        self.after = after


class RefusesLogin(Misbehaviour):
    """The account is not accepted."""


class AnswersSlowly(Misbehaviour):
    """Each answer takes `seconds` longer."""

    def __init__(self, seconds: float, times: int | None = None) -> None:
        super().__init__(times=times)
        self.seconds = seconds


class AnswersNonsense(Misbehaviour):
    """Something that is no salt-api answers, with status 200."""

    def __init__(self, body: str = "<html>It works!</html>", times: int | None = None) -> None:
        super().__init__(times=times)
        self.body = body


class MasterDown(Misbehaviour):
    """salt-api answers, but its master does not run."""


class Restarts(Misbehaviour):
    """salt-api is restarted right after it carried out `function`, without answering; gone for `seconds`."""

    def __init__(self, function: str, seconds: float = 0.1, times: int | None = 1) -> None:
        super().__init__(times=times)
        self.function, self.seconds = function, seconds
