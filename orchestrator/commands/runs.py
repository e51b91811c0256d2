"""Runs of scheduled jobs, as people see them: what each one did, and in a few words how it went."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from orchestrator.domain.leaks import LeakKind
from orchestrator.domain.names import split_server_id
from orchestrator.domain.reaping import ActionKind
from orchestrator.ports import JobRun

from .leak_views import LeakView
from .views import ActionView, RunView

_STUMBLED = "Brinepool itself stumbled; ops find why in its log."
_REAPED = {ActionKind.REAP: "reaped", ActionKind.WARN: "warned", ActionKind.KEEP: "kept"}
_SWEPT = {  # what became of a disagreement → how one of them is counted, and several
    "removed": ("leak removed", "leaks removed"),
    "not-removed": ("leak could not be removed", "leaks could not be removed"),
    "degraded": ("server degraded", "servers degraded"),
    "recovered": ("server back", "servers back"),
    "noted": ("seen for the first time",) * 2,
    "unhealed": ("server still degraded", "servers still degraded"),
    "left": ("left alone",) * 2,
}


def run_view(found: JobRun, whole: bool = False) -> RunView:
    """A run. `whole`: with all that it did."""
    result = found.result or {}
    plan, leaks = result.get("plan", []), result.get("leaks", [])
    counts = Counter(ActionKind(action["kind"]) for action in plan)
    told = zip(plan, result.get("sentences", ()), strict=False) if whole else ()
    took = (found.ended_at - found.started_at).total_seconds() if found.ended_at else None
    return RunView(
        id=found.id, job=found.job, due_at=found.due_at, started_at=found.started_at, ended_at=found.ended_at,
        reaped=counts[ActionKind.REAP], warned=counts[ActionKind.WARN], kept=counts[ActionKind.KEEP],
        took_s=took, result=_in_words(result, counts) if found.ended_at else "running", failure=_failure(result),
        actions=[ActionView(sentence=sentence, **action) for action, sentence in told],
        leaks=[leak_view(leak, done(leak)) for leak in leaks] if whole else [],
    )  # fmt: skip


def leak_view(leak: Mapping[str, Any], what: str) -> LeakView:
    """A disagreement, as `engine.sweep.told` gives it. `what`: what is or was done about it, in words."""
    return LeakView(
        kind=leak["kind"], server=leak["server"], reason=leak["reason"], times=leak["times"], due=leak["due"],
        seen_since=datetime.fromisoformat(leak["seen_since"]), what=what, failure=leak.get("failure") or None,
    )  # fmt: skip


def planned(leak: Mapping[str, Any]) -> str:
    """What sweeps will do about a disagreement, in words."""
    when = "at the next sweep" if leak["due"] else "at the second sweep from now, if that is still so"
    return {
        LeakKind.REMOVE: f"removed {when}",
        LeakKind.DEGRADE: f"marked as degraded {when}",
        LeakKind.RECOVER: f"not degraded any more {when}",
        LeakKind.HEAL: f"marked as degraded; {_heal(leak)}",
        LeakKind.REPORT: "nothing",
    }[LeakKind(leak["kind"])]


def done(leak: Mapping[str, Any]) -> str:
    """What a sweep has done about a disagreement, in words."""
    then = "removed" if leak["kind"] == LeakKind.REMOVE else "marked as degraded"
    return {
        "removing": "being removed",
        "removed": "removed",
        "not-removed": f"could not be removed, the next sweep tries again: {leak.get('failure')}",
        "degraded": f"marked as degraded; {_heal(leak)}",
        "recovered": "not degraded any more",
        "noted": f"seen for the first time; {then} at the next sweep, if that is still so",
        "unhealed": f"still degraded; {_heal(leak)}",
        "left": "left alone",
    }[_became(leak)]


def _became(leak: Mapping[str, Any]) -> str:
    kind = LeakKind(leak["kind"])
    if kind in (LeakKind.REMOVE, LeakKind.DEGRADE) and not leak["due"]:
        return "noted"
    if kind is LeakKind.REMOVE:
        return {None: "removing", "": "removed"}.get(leak.get("failure"), "not-removed")
    return {
        LeakKind.DEGRADE: "degraded", LeakKind.RECOVER: "recovered", LeakKind.HEAL: "unhealed", LeakKind.REPORT: "left",
    }[kind]  # fmt: skip


def _heal(leak: Mapping[str, Any]) -> str:
    parts = split_server_id(leak["server"])
    return f"heal it with: brine env retry {parts[0] if parts else leak['server']}"


def _failure(result: Mapping[str, Any]) -> str | None:
    return _STUMBLED if result.get("stumbled") else result.get("failure")


def _in_words(result: Mapping[str, Any], reaped: Counter[ActionKind]) -> str:
    if failure := _failure(result):
        return failure.rstrip(".")
    if "leaks" in result:
        return _swept(result["leaks"])
    return ", ".join(f"{reaped[kind]} {verb}" for kind, verb in _REAPED.items() if reaped[kind]) or "done"


def _swept(leaks: Sequence[Mapping[str, Any]]) -> str:
    """`2 leaks removed, 1 server degraded`, or `nothing to do`."""
    counts = Counter(map(_became, leaks))
    told = (f"{counts[key]} {words[counts[key] > 1]}" for key, words in _SWEPT.items() if counts[key])
    return ", ".join(told) or "nothing to do"
