"""From a Salt outcome to root causes that a person understands.

A failed highstate is told as the failures that are not consequences of others. What is a consequence, Salt says
itself: a state that did not run because a requisite failed has `__state_ran__: False`; a state that ran and failed
has `result: False` and no such mark (salt/state.py, `_assign_not_run_result_dict`).
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jsonpath_ng.ext import parse

ROOT_CAUSES = "$[?(@.result == false && @.__state_ran__ != false)]"
_NO_REVISION = re.compile(r"No revision matching '(?P<branch>[^']+)' exists in the remote repository")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b")  # each server has its own, the cause is the same
_TELLING = re.compile(r"(?i)error|fatal|exception|denied|refused|no such|not found|missing|cannot|could not|needed")
# Salt's own words, and those of our brinepool.highstate.
_BUSY = re.compile(r"is running as PID|Another highstate is running")
_EVIDENCE_LINES = 20


@dataclass(frozen=True)
class Failure:
    """One cause, told once: what is wrong (`title`), why or where (`explanation`), what to do next (`action`).

    `audience` is who can do it: developer | ops. `evidence` is the telling part of what Salt said, already masked.
    """

    code: str
    title: str
    explanation: str = ""
    action: str = ""
    audience: str = "developer"
    servers: tuple[str, ...] = ()
    evidence: str = ""

    @property
    def lines(self) -> list[str]:
        """What a person reads: at most three lines."""
        return [line for line in (self.title, self.explanation, self.action) if line]

    def to_data(self) -> dict[str, Any]:
        """Plain data for a database row or a JSON answer."""
        return {
            "code": self.code,
            "title": self.title,
            "explanation": self.explanation,
            "action": self.action,
            "audience": self.audience,
            "servers": list(self.servers),
            "evidence": self.evidence,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Failure":
        """The reverse of `to_data`."""
        return cls(**{**data, "servers": tuple(data.get("servers", ()))})


@dataclass(frozen=True)
class Subject:
    """Whose outcome it is: the server and what was being put on it."""

    server: str
    role: str
    branch: str
    repository: str
    branches: Sequence[str] = field(default_factory=tuple)


def nearest_branches(wanted: str, names: Iterable[str], at_most: int = 3) -> list[str]:
    """The names most like `wanted`, best first; when nothing is like it, simply the first names."""
    known = sorted(set(names))
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(wanted.lower(), list(lowered), n=at_most, cutoff=0.5)
    return [lowered[name] for name in close] or known[:at_most]


def nearest_sentence(near: Sequence[str]) -> str:
    """`The nearest branches are feature/cart and main.`; nothing when there is none."""
    return f"The nearest {'branch is' if len(near) == 1 else 'branches are'} {listed(near)}." if near else ""


def branch_missing(subject: Subject) -> Failure:
    """A branch that the repository does not have; the same words before anything is built and after a highstate."""
    near = nearest_branches(subject.branch, subject.branches)
    return Failure(
        code="branch-missing",
        title=f"{subject.role}: there is no branch “{subject.branch}” in {subject.repository}.",
        explanation=nearest_sentence(near) or "The repository shows no branches.",
        action="Ask again with a branch that exists, or push this one first.",
        servers=(subject.server,) if subject.server else (),
    )


def explain(ret: object, subject: Subject) -> list[Failure]:
    """The root causes in what a highstate returned; empty when it succeeded.

    `ret` is a state dict, a list of render errors, or a string (reference: Salt's own returns, docs/failures.md).
    """
    if isinstance(ret, Mapping):
        return _explain_states(ret, subject)
    if isinstance(ret, list):
        return [_render_error("\n".join(str(item) for item in ret), subject)]
    return [_unexpected_return(str(ret), subject)]


def _explain_states(states: Mapping[str, Any], subject: Subject) -> list[Failure]:
    if any(not isinstance(state, Mapping) for state in states.values()):
        return [_unexpected_return(str(states), subject)]
    keyed = {key: {**state, "__key__": key} for key, state in states.items()}
    causes = [match.value for match in parse(ROOT_CAUSES).find(keyed)]
    causes.sort(key=lambda state: state.get("__run_num__", 0))
    if not causes and any(state.get("result") is False for state in states.values()):
        return [_unexpected_return("Every failed state waited for another one.", subject)]
    return [_state_failure(state, subject) for state in causes]


def _state_failure(state: Mapping[str, Any], subject: Subject) -> Failure:
    comment = str(state.get("comment", "")).strip()
    if match := _NO_REVISION.search(comment):
        return branch_missing(replace(subject, branch=match["branch"]))
    output = _output(state, comment)
    return Failure(
        code="state-failed",
        title=f"{subject.server}: the step “{_state_id(state)}” failed on branch {subject.branch}.",
        explanation=_explanation(output),
        action="Mend it on the branch and deploy again, or ask ops if it is not about your change.",
        servers=(subject.server,),
        evidence=_last_lines(output),
    )


def _state_id(state: Mapping[str, Any]) -> str:
    """The id as its author wrote it; states that could not be loaded carry it only in their key."""
    if "__id__" in state:
        return str(state["__id__"])
    parts = str(state["__key__"]).split("_|-")
    return parts[1] if len(parts) == 4 else str(state["__key__"])


def _explanation(output: str) -> str:
    """What the state says, and the one line of its program's output that tells most."""
    said, *rest = [line.strip() for line in output.splitlines() if line.strip()] or [""]
    telling = [line for line in rest if _TELLING.search(line)] or rest
    return f"{said[:200]} {telling[-1][:200]}" if telling else said[:300]


def _output(state: Mapping[str, Any], comment: str) -> str:
    changes = state.get("changes")
    output = (
        [str(changes[key]) for key in ("stdout", "stderr") if changes.get(key)] if isinstance(changes, Mapping) else []
    )
    return "\n".join([comment, *output])


def _render_error(text: str, subject: Subject) -> Failure:
    if _BUSY.search(text):
        return Failure(
            code="minion-busy",
            title=f"{subject.server}: another highstate is still running there.",
            explanation="Salt runs one at a time on a server.",
            action="Try again when it has ended.",
            servers=(subject.server,),
            evidence=_last_lines(text),
        )
    return Failure(
        code="states-do-not-render",
        title=f"{subject.server}: Salt could not read the states or the pillar, so nothing was changed.",
        explanation=_first_line(text),
        action="This is for ops: correct the state tree or the pillar, then retry.",
        audience="ops",
        servers=(subject.server,),
        evidence=_last_lines(text),
    )


def _unexpected_return(text: str, subject: Subject) -> Failure:
    return Failure(
        code="highstate-broke",
        title=f"{subject.server}: Salt could not run the highstate.",
        explanation=_first_line(text),
        action="This is for ops: the evidence holds what Salt said.",
        audience="ops",
        servers=(subject.server,),
        evidence=_last_lines(text),
    )


def no_return(server: str, waited: str) -> Failure:
    """The minion took the job and never returned."""
    return Failure(
        code="no-return",
        title=f"{server}: its minion took the highstate and did not return within {waited}.",
        explanation="The job is not running there any more, or its result was lost.",
        action="Retry; if it happens again, ask ops to look at the minion.",
        servers=(server,),
    )


def never_started(server: str, waited: str) -> Failure:
    """The machine was made, but its minion never answered."""
    return Failure(
        code="never-started",
        title=f"{server}: the machine was made, but its minion did not answer within {waited}.",
        explanation="Nothing could be configured on it.",
        action="Retry; if it happens again, ask ops to look at the machine and at the minion's log.",
        audience="ops",
        servers=(server,),
    )


def salt_refused(server: str, code: str, message: str, detail: str) -> Failure:
    """Our runner on the master refused, as data."""
    return Failure(
        code=code,
        title=f"{server}: {message}" if server else message,
        action="This is for ops: correct it, then retry.",
        audience="ops",
        servers=(server,) if server else (),
        evidence=_last_lines(detail),
    )


def group(failures: Iterable[Failure]) -> list[Failure]:
    """The same cause on several servers, told once."""
    grouped: dict[tuple[str, str, str], Failure] = {}
    for failure in failures:
        generic = failure.title
        for server in failure.servers:
            generic = generic.replace(server, "{server}")
        key = (failure.code, generic, _ADDRESS.sub("{address}", failure.explanation))
        known = grouped.get(key)
        if known is None:
            grouped[key] = failure
            continue
        servers = tuple(sorted({*known.servers, *failure.servers}))
        grouped[key] = replace(known, servers=servers, title=generic.replace("{server}", listed(servers)))
    return list(grouped.values())


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; nothing for none."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:300]


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_EVIDENCE_LINES:])
