"""What Salt returned, for people who know Salt: a line for each state, and all that the failed ones said."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.commands.views import SaltJobView

from .render import plain

State = Mapping[str, Any]

_NEITHER = "–"  # noqa: RUF001
_MARKS = {True: "✔", False: "✘", None: _NEITHER}
_BLAMED = "requisite failed: "
_NOT_RUN = "State was not run because "
_NAMED = 10  # of the states that did not run


def job_lines(view: SaltJobView) -> list[str]:
    """The whole job, minion by minion. No line can drive the terminal."""
    lines = [f"{view.function} {' '.join(_shown(each) for each in view.arguments)}"] if view.function else []
    for server, ret in view.returns.items():
        retcode = view.retcodes.get(server)
        if retcode is None:
            lines.append(f"{server}: it has not returned.")
        else:
            lines += [f"{server}: job {view.jid}, retcode {retcode}", *(f"  {line}" for line in return_lines(ret))]
    return [plain(line) for line in lines]


def return_lines(ret: Any) -> list[str]:
    """What one minion returned: states, a list of render errors, a text, or other data."""
    if isinstance(ret, str):
        return ret.splitlines()
    if isinstance(ret, list) and all(isinstance(each, str) for each in ret):
        return [line for each in ret for line in each.splitlines()]
    states = states_of(ret)
    return _state_lines(states) if states else json.dumps(ret, indent=2, ensure_ascii=False).splitlines()


def states_of(ret: Any) -> dict[str, State]:
    """The states in a return, in the order in which they ran; none when it is something else."""
    if not isinstance(ret, Mapping) or not all("_|-" in key and isinstance(ret[key], Mapping) for key in ret):
        return {}
    return dict(sorted(ret.items(), key=lambda item: _number(item[1].get("__run_num__"))))


def _state_lines(states: Mapping[str, State]) -> list[str]:
    ran = [(_id(tag, state), _function(tag), state) for tag, state in states.items() if _ran(state)]
    width, wide = (max((len(row[column]) for row in ran), default=0) for column in (0, 1))
    lines = []
    for name, function, state in ran:
        seconds = f"{_number(state.get('duration')) / 1000:8.1f} s"
        lines.append(f"{_mark(state)} {name:<{width}}  {function:<{wide}}{seconds}")
        if state.get("result") is False:
            lines += [f"    {line}" for line in _said(state)]
    return lines + _not_run(states)


def _said(state: State) -> Iterator[str]:
    """What a state said of its failure: its comment, and the output of what it ran."""
    yield from _shown(state.get("comment")).splitlines()
    changes = state.get("changes")
    for stream in ("stdout", "stderr"):
        output = _shown(changes.get(stream)) if isinstance(changes, Mapping) else ""
        if output.strip():
            yield f"{stream}:"
            yield from (f"  {line}" for line in output.splitlines())


def _not_run(states: Mapping[str, State]) -> list[str]:
    """Those that did not run, in one line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for tag, state in states.items():
        if not _ran(state):
            by_reason.setdefault(_reason(tag, states), []).append(_id(tag, state))
    return [
        f"{_NEITHER} {len(names)} did not run because {reason}: {_few(names)}" for reason, names in by_reason.items()
    ]


def _reason(tag: str, states: Mapping[str, State]) -> str:
    comment = _shown(states[tag].get("comment")).strip()
    if _BLAMED not in comment:
        return comment.removeprefix(_NOT_RUN).rstrip(".") or "Salt left it out"
    return f"{' and '.join(_roots(comment, states))} failed"


def _roots(comment: str, states: Mapping[str, State]) -> Sequence[str]:
    """The states that really failed: what a requisite that did not run itself blames, and so on."""
    known = {f"{state.get('__sls__')}.{_id(tag, state)}": (tag, state) for tag, state in states.items()}
    roots: dict[str, None] = {}
    seen: set[str] = set()
    waiting = _blamed(comment)
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        tag, state = known.get(name, ("", {}))
        further = _blamed(_shown(state.get("comment"))) if not _ran(state) else []
        waiting += further
        if not further:
            roots[_id(tag, state) if tag else name] = None
    return list(roots)


def _blamed(comment: str) -> list[str]:
    return [name.strip() for name in comment.partition(_BLAMED)[2].split(",") if name.strip()]


def _ran(state: State) -> bool:
    return state.get("__state_ran__") is not False


def _mark(state: State) -> str:
    result = state.get("result")
    return _MARKS[result] if isinstance(result, bool) else _MARKS[None]


def _id(tag: str, state: State) -> str:
    return str(state.get("__id__") or tag.split("_|-")[1])


def _function(tag: str) -> str:
    parts = tag.split("_|-")
    return f"{parts[0]}.{parts[-1]}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
