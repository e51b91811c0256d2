"""What minions say, as events of the master's bus and as entries of its job cache, in our own words."""

from collections.abc import Mapping
from typing import Any

from orchestrator.ports import Job, JobReturn, StateProgress

from .hub import Event

NO_RETURN = "Minion did not return"  # in the job cache's answer, where a minion was asked and has not answered
_FAILED_PILLAR = "Pillar failed to render"
# How the answer of an execution function begins that could not be run or raised an exception.
_FAILED_CALL = (
    "ERROR",
    "Traceback",
    "Passed invalid arguments",
    "The minion function caused an exception",
    "'brinepool.",
)


def progress_of(event: Event) -> StateProgress | None:
    """The state that ended, from `salt/job/<jid>/prog/<minion>/<n>`; None when the event is no such progress."""
    told = event.data.get("data", event.data)  # sent by a minion it comes wrapped once more
    result = told.get("ret") if isinstance(told, dict) else None
    if "/prog/" not in event.tag or not isinstance(result, dict) or not isinstance(result.get("__run_num__"), int):
        return None
    name = result.get("__id__") or result.get("name") or "?"
    # Numbers of states that only react to others lie beyond the count, and some numbers are left out.
    of = int(told.get("len") or result["__run_num__"] + 1)
    return StateProgress(
        n=min(result["__run_num__"] + 1, of), of=of, name=str(name), ok=result.get("result") is not False
    )


def return_of(event: Event) -> JobReturn | None:
    """The return, from `salt/job/<jid>/ret/<minion>`; None when the event is no return."""
    if "/ret/" not in event.tag or "return" not in event.data:
        return None
    ret, retcode = event.data["return"], event.data.get("retcode")
    return JobReturn(ret=ret, retcode=retcode if isinstance(retcode, int) else retcode_of(ret))


def job_of(jid: str, cached: Mapping[str, Any]) -> Job:
    """A job from what `jobs.lookup_jid` has of it, by minion id."""
    run = next(iter(cached.values()), None)
    if isinstance(run, dict) and {"fun", "jid", "return"} <= set(run):  # a runner's: the cache has the whole event
        returned = JobReturn(run["return"], 0 if run.get("success") else 1)
        return Job(jid, {next(iter(cached)): returned}, str(run["fun"]), tuple(run.get("fun_args") or ()))
    return Job(
        jid, {name: None if ret == NO_RETURN else JobReturn(ret, retcode_of(ret)) for name, ret in cached.items()}
    )


def retcode_of(ret: Any) -> int:
    """The retcode that Salt gives such a return. The job cache has it, but `jobs.lookup_jid` leaves it out.

    As measured: 5 for a pillar that does not render, 1 for any other list (the states could not be rendered) and for a
    function that could not be run, 2 when a state failed, 0 otherwise.
    """
    if isinstance(ret, list):
        return 5 if ret and str(ret[0]).startswith(_FAILED_PILLAR) else 1
    if isinstance(ret, str):
        return 1 if ret.lstrip().startswith(_FAILED_CALL) else 0
    states = ret.values() if isinstance(ret, dict) else ()
    return 2 if any(isinstance(state, dict) and state.get("result") is False for state in states) else 0
