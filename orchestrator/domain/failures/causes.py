"""What failed first in one return of Salt.

Of a state run these are the failures that are not consequences of others, which Salt says itself: a state that did not
run because a requisite failed has `__state_ran__: False`; one that ran and failed has `result: False` and no such mark
(salt/state.py, `_assign_not_run_result_dict`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

from .text import clean, one_line, shown, worded

MOST_CAUSES = 50
DEEPEST = 12  # orchestrations in orchestrations
_LONGEST_KEY = 4_000
_LARGEST = 2**40  # a number that is larger is none that Salt gave

_ATTEMPT = re.compile(r'Attempt \d+: Returned a result of "False", with the following comment: ')
_COMMAND = re.compile(r'Command ".*" run', re.DOTALL)
_PILLAR = re.compile(r"Pillar failed to render|[Ee]xt_pillar|Failed to load ext_pillar")
_PILLAR_HEADER = re.compile(r"^Pillar failed to render with the following messages:$")
_SLS = re.compile(r"SLS '?\"?(?:\w+:)?(?P<sls>[\w./-]+)'?\"?|in SLS (?P<plain>[\w.]+)")
_LINES = tuple(map(re.compile, (r"; line (\d+)", r'"<template>", line (\d+)', r'"<unicode string>", line (\d+)')))
_OWN_FILE = re.compile(r'File "(?P<file>[^"\n]{1,300})", line (?P<line>\d+)')
_NOT_OURS = re.compile(r"site-packages|dist-packages|/lib/python|<frozen|<string>|<unknown>|<template>")
_SERVED = re.compile(r".*/(?:files/\w+|states|pillar|salt)/")
_SAYS_FAILURE = re.compile(r"\s*(?:Passed invalid arguments|Exception occurred in runner)")
_AFTERMATH = re.compile(r"^Error when rendering state with contents")


@dataclass(frozen=True)
class Cause:
    """One thing that went wrong, as plain, masked text. The catalogue selects from these fields.

    `kind`: state | render | pillar | function | runner | cloud | api | silence | unknown. `function`: `git.latest` and
    the like. `text`: all that was said (comment, then output). `data`: what a state of ours tells as data. `file`,
    `line`: where in the states or the pillar. `log`: the end of a silent minion's own log. `server`: on
    which minion, where a step of an orchestration tells it.
    """

    kind: str
    text: str = ""
    comment: str = ""
    stdout: str = ""
    stderr: str = ""
    retcode: int | None = None
    id: str = ""
    sls: str = ""
    name: str = ""
    function: str = ""
    file: str = ""
    line: str = ""
    code: str = ""
    log: str = ""
    server: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What JSONPath expressions of the catalogue see: `$.cause.text`, `$.cause.data.status` and so on."""
        return {"cause": asdict(self)}


def causes_of(ret: object, depth: int = 0) -> list[Cause]:
    """The root causes in what one minion (or the master, for an orchestration) returned; empty when nothing failed."""
    if isinstance(ret, Mapping):
        return _distinct(_of_states(ret, depth)) if looks_like_states(ret) else _of_data(ret)
    if isinstance(ret, list | tuple):
        return _distinct(_of_messages(ret))
    if isinstance(ret, bool) or ret is None:
        return [] if ret else [Cause("function", text="The function returned nothing that says why it failed.")]
    return [Cause("function", text=clean(ret), comment=_first(clean(ret)))]


def looks_like_states(ret: Mapping[Any, Any]) -> bool:
    """Whether this is what a state run returns: keys `module_|-id_|-name_|-function`, or results."""
    some = [key for key, _ in zip(ret, range(20), strict=False)]
    if any("_|-" in worded(key) for key in some):
        return True
    return bool(some) and all(isinstance(ret[key], Mapping) and "result" in ret[key] for key in some)


def _of_states(states: Mapping[Any, Any], depth: int) -> Iterator[Cause]:
    failed = [(worded(key), state) for key, state in states.items() if _has_failed(state) or _hides_failure(key, state)]
    roots = [(key, state) for key, state in failed if _ran(state)]
    if failed and not roots:
        yield Cause(
            "state", text=clean(_comment(failed[0][1])), comment="Every state that failed waited for another one."
        )
    for key, state in sorted(roots, key=lambda found: _run_number(found[1]))[:MOST_CAUSES]:
        inner = list(_inside(state, depth))
        yield from inner or [_of_state(key, state)]


def _has_failed(state: object) -> bool:
    return not isinstance(state, Mapping) or state.get("result") is False


def _hides_failure(key: object, state: Mapping[str, Any]) -> bool:
    """A step of an orchestration is green when its runner was called wrongly: only the text that it returned tells."""
    if not worded(key).endswith("_|-runner"):
        return False
    returned = _mapping(state.get("changes")).get("return")
    return isinstance(returned, str) and _SAYS_FAILURE.match(returned) is not None


def _ran(state: object) -> bool:
    """Older releases of Salt say only in the comment that a state did not run."""
    if not isinstance(state, Mapping):
        return True
    ran, comment = state.get("__state_ran__"), state.get("comment")
    waited = ran is None and isinstance(comment, str) and comment.startswith("One or more requisite failed")
    return ran is not False and not waited


def _run_number(state: object) -> float:
    number = state.get("__run_num__") if isinstance(state, Mapping) else None
    return float(number) if isinstance(number, int | float) and -_LARGEST < number < _LARGEST else 0.0


def _comment(state: object) -> str:
    return shown(state.get("comment", "") if isinstance(state, Mapping) else state)


def _inside(state: object, depth: int) -> Iterator[Cause]:
    """A step of an orchestration only wraps what went wrong on the minions: `changes.ret.<minion>`."""
    changes = state.get("changes") if isinstance(state, Mapping) else None
    if not isinstance(changes, Mapping) or depth >= DEEPEST:
        return
    returns = changes.get("ret")
    for minion, ret in islice(returns.items(), MOST_CAUSES) if isinstance(returns, Mapping) else ():
        if ret is False:
            yield Cause("silence", text="Minion did not return.", server=server_name(minion))
        elif not isinstance(ret, bool):
            found = causes_of(ret, depth + 1)
            yield from (replace(cause, server=cause.server or server_name(minion)) for cause in found)
    nested = changes.get("return")
    if isinstance(nested, str):
        yield Cause("runner", text=clean(nested), comment=_first(clean(nested)))
    elif isinstance(nested, Mapping):
        yield from _of_nested(nested, depth)


def _of_nested(nested: Mapping[str, Any], depth: int) -> Iterator[Cause]:
    """An orchestration that is a step of another one."""
    data = nested.get("data")
    for ret in islice(data.values(), MOST_CAUSES) if isinstance(data, Mapping) else ():
        if isinstance(ret, Mapping | list):
            yield from causes_of(ret, depth + 1)


def _of_state(key: str, state: object) -> Cause:
    if not isinstance(state, Mapping):
        return Cause("unknown", text=clean(state), id=clean(key)[:200])
    comment = _ATTEMPT.sub("", clean(state.get("comment", "")))
    changes, data = _mapping(state.get("changes")), _mapping(state.get("data"))
    stdout, stderr = clean(changes.get("stdout") or ""), clean(changes.get("stderr") or "")
    parts = (key if len(key) <= _LONGEST_KEY else key[: _LONGEST_KEY // 2] + key[-_LONGEST_KEY // 2 :]).split("_|-")
    function = f"{parts[0]}.{parts[-1]}" if len(parts) >= 4 else ""
    retcode = changes.get("retcode")
    name = clean(state.get("name", "_|-".join(parts[2:-1])))
    # `Command "..." run` only repeats the command, which may hold any words.
    said = ["" if (stdout or stderr) and _COMMAND.fullmatch(comment) else comment, stderr, stdout]
    more = (clean(data[part]) for part in ("error", "body", "output", "log") if data.get(part))
    said += [part for part in more if part not in comment]
    if function == "test.fail_without_changes":  # it says why in its name
        said.append(name)
    return Cause(
        "state",
        text="\n".join(part for part in said if part),
        comment=comment,
        stdout=stdout,
        stderr=stderr,
        retcode=exit_code(retcode),
        id=_id(key, parts, state),
        sls=clean(state.get("__sls__") or "")[:200],
        name=name[:500],
        function=function[:100],
        data={worded(k)[:50]: _datum(v) for k, v in islice(data.items(), 30)},
    )


def _id(key: str, parts: Sequence[str], state: Mapping[str, Any]) -> str:
    """The id as its author wrote it; what could not be loaded has it only in its key, a listener with a prefix."""
    found = clean(state.get("__id__") or (parts[1] if len(parts) >= 4 else key))[:200]
    return found.removeprefix("listener_") if parts[-1] == "mod_watch" else found


def _datum(value: object) -> bool | int | float | str:
    return value if isinstance(value, bool | float) else exit_code(value) or clean(value)


def exit_code(value: object) -> int | None:
    """The number, if it can be one of an exit code or a signal."""
    is_one = isinstance(value, int) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST
    return value if is_one else None  # type: ignore[return-value]


def server_name(value: object) -> str:
    """A minion's id as its return names it: one line, plain, of a length that can be shown."""
    return one_line(clean(value), 200)


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _of_messages(messages: Sequence[Any]) -> Iterator[Cause]:
    """Render errors, one a message; a return that is a list of anything else is told as it is."""
    kind = "pillar" if any(_PILLAR.search(shown(message, 2_000)) for message in messages[:MOST_CAUSES]) else "render"
    for message in messages[:MOST_CAUSES]:
        text = clean(message)
        if text and not _PILLAR_HEADER.search(text) and not (_AFTERMATH.search(text) and len(messages) > 1):
            file, line = _where(text)
            yield Cause(kind, text=text, comment=_first(text), sls=_sls(text), file=file, line=line)


def _sls(text: str) -> str:
    found = _SLS.search(text)
    return (found["sls"] or found["plain"] or "").strip("./") if found else ""


def _where(text: str) -> tuple[str, str]:
    """File and line in the states or the pillar: of our tree, never of Salt's own code."""
    ours = [found for found in _OWN_FILE.finditer(text) if not _NOT_OURS.search(found["file"])]
    if ours:
        return _SERVED.sub("", ours[-1]["file"]), ours[-1]["line"]
    sls = _sls(text)
    line = next((found[1] for pattern in _LINES if (found := pattern.search(text))), "")
    return (f"{sls.replace('.', '/')}.sls" if sls else ""), line


def _of_data(ret: Mapping[Any, Any]) -> list[Cause]:
    """Data that is no state run: failed only if it says so."""
    if not ret or not ({"Error", "error", "Exception", "exception"} & set(map(worded, islice(ret, 50)))):
        return []
    text = clean(shown(ret))
    return [Cause("function", text=text, comment=_first(text))]


def _distinct(causes: Iterable[Cause]) -> list[Cause]:
    """The same thing said by several states (as `names` makes them) is one cause."""
    found: dict[tuple[str, ...], Cause] = {}
    for cause in causes:
        found.setdefault((cause.server, cause.kind, cause.function, cause.text), cause)
    return list(found.values())[:MOST_CAUSES]


def _first(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")
