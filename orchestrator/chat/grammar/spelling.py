"""A command as one would type it: what buttons and suggestions say. `understand(spell(command))` is the command."""

import re
from collections.abc import Callable, Iterable

from orchestrator.chat.intent import Command, Verb

from .parsing import is_keyword
from .typed import is_courtesy
from .words import GAP

_PLAIN = re.compile(r"[^\W_](?:[\w./#@+-]*[\w/#@+-])?")  # a full stop at the end would be taken for one
_MODES = {"mute": "mute", "unmute": "unmute", "direct": "notify me directly", "room": "notify me in the room"}


def spell(command: Command) -> str:
    """The canonical text of a whole command."""
    words = _SPELLERS.get(command.verb, _aimed)(command)
    return " ".join([*words, "--yes"] if command.confirmed else words)


def say(text: str) -> str:
    """A name or a branch, in quotes when it would be taken for something else."""
    if text == GAP or (_PLAIN.fullmatch(text) and not is_keyword(text) and not is_courtesy(text)):
        return text
    return '"' + text.replace('"', '""') + '"'


def _create(command: Command) -> list[str]:
    words = ["create", *(["server"] if command.role is not None else [])]
    words += [say(command.template)] if command.template else []
    words += [say(command.role)] if command.role else []
    words += _bare_or_on(command.branch) if command.branch else []
    words += [f"{key}={_branch_of(branch)}" for key, branch in command.branches.items()]
    words += [f"{key}={count}" for key, count in command.counts.items()]
    words += ["as", say(command.name)] if command.name else []
    words += _span(command, "for")
    return words + (["use", say(command.use)] if command.use else [])


def _bare_or_on(branch: str) -> list[str]:
    """No role, template or number has a slash in it; a branch without one could be taken for it."""
    return [say(branch)] if "/" in branch else ["on", say(branch)]


def _branch_of(branch: str) -> str:
    """`web=3` would be a number of servers."""
    return f'"{branch}"' if branch.isdigit() else say(branch)


def _span(command: Command, before: str) -> list[str]:
    if command.ttl:
        return [before, command.ttl]
    return ["until", f"{command.until:%Y-%m-%d %H:%M}"] if command.until else []


def _joined(names: Iterable[str]) -> list[str]:
    return [" and ".join(say(name) for name in names)]


def _everything(command: Command) -> list[str]:
    return ["all my environments" if command.everything == "mine" else "all environments"]


def _objects(command: Command) -> list[str]:
    if command.everything:
        return _everything(command)
    return _joined(command.targets) if command.targets else []


def _aimed(command: Command) -> list[str]:
    return [command.verb.value, *_objects(command)]


def _deploy(command: Command) -> list[str]:
    what = command.what if command.what is not None else command.app
    words = ["deploy", *([say(what)] if what else [])]
    return words + (["to", *_joined(command.targets)] if command.targets else [])


def _extend(command: Command) -> list[str]:
    return [*_aimed(command), *_span(command, "by")]


def _hold(command: Command) -> list[str]:
    return [*_aimed(command), *_span(command, "for")]


def _protect(command: Command) -> list[str]:
    """The reason comes last: it is everything up to the end of the line."""
    return [*_hold(command), *(["because", command.why] if command.why else [])]


def _plan(command: Command) -> list[str]:
    objects = _objects(command)
    return ["reap plan", *(["of"] if objects else []), *objects, *_span(command, "for")]


def _show(command: Command) -> list[str]:
    return ["show template", say(command.template)] if command.template else _aimed(command)


def _list(command: Command) -> list[str]:
    quantity = {"mine": ["my"], "all": ["all"], "": []}[command.everything]
    owner = say(command.person) if command.person else ""
    place = [f"of {owner or _joined(command.targets)[0]}"] if owner or command.targets else []
    return ["list", *quantity, command.noun or "environments", *place]


def _jobs(command: Command) -> list[str]:
    app = ["of", say(command.app)] if command.app else []
    return ["jobs", *app, *(["in" if app else "of", *_joined(command.targets)] if command.targets else [])]


def _logs(command: Command) -> list[str]:
    return [*_aimed(command), *([str(command.lines)] if command.lines is not None else [])]


def _after(words: str, field: str) -> Callable[[Command], list[str]]:
    def speller(command: Command) -> list[str]:
        value = getattr(command, field)
        return [words, say(value)] if value else [words]

    return speller


_SPELLERS: dict[Verb, Callable[[Command], list[str]]] = {
    Verb.CREATE: _create,
    Verb.DEPLOY: _deploy,
    Verb.EXTEND: _extend,
    Verb.HOLD: _hold,
    Verb.RELEASE: lambda command: ["unhold", *_objects(command)],  # “release” may be about a branch as well
    Verb.PROTECT: _protect,
    Verb.PLAN: _plan,
    Verb.SHOW: _show,
    Verb.LIST: _list,
    Verb.JOBS: _jobs,
    Verb.LOGS: _logs,
    Verb.WHERE: _after("where can I deploy", "app"),
    Verb.BRANCHES: _after("branches of", "app"),
    Verb.HELP: lambda command: ["help", *([command.topic] if command.topic else [])],
    Verb.LINK: lambda command: ["link", *([command.code or say(command.person or "")])],
    Verb.NOTIFY: lambda command: [_MODES.get(command.mode, "notifications")],
    Verb.PICK: lambda command: [str(command.number)],
}
