"""Is a command whole, and does everything that it names exist? If not: what to ask for, or what may be meant. Pure.

A name that nothing comes near to passes: the command itself says that there is no such thing. Nothing is corrected
without asking.
"""

import difflib
from collections.abc import Callable, Iterable

from orchestrator.chat.intent import Command, Missing, Part, Unclear, Understood, Verb, Vocabulary
from orchestrator.domain.names import split_server_id

from .create import UNKNOWN_ROLE
from .spelling import spell
from .topics import topic_of
from .words import GAP

Check = Callable[[Command, Vocabulary], Understood]
_LONGEST_SPAN = 30  # characters; nobody means `1d1d1d…`


def settle(command: Command, vocabulary: Vocabulary) -> Understood:
    """The command when it can be carried out, else what it lacks, or what was probably meant."""
    lacking = _gap(command)
    if lacking is not None and not (lacking.part == "branch" and lacking.of is None and command.verb is Verb.DEPLOY):
        return lacking
    if command.ttl and command.until:
        choices = (spell(command.but(until=None)), spell(command.but(ttl=None)))
        return Unclear(command.verb.value, choices, "That says both how long and until when; say one of them.")
    if len(command.ttl or "") > _LONGEST_SPAN:
        return Unclear(command.verb.value, (), "That is not a duration; write it like 30m, 4h, 2d or 1d12h.")
    return _CHECKS.get(command.verb, _fine)(lacking.command if lacking else command, vocabulary)


def near(word: str, known: Iterable[str]) -> list[str]:
    """Names that are nearly this word, the nearest first."""
    if len(word) < 3:
        return []
    cutoff = 0.6 if len(word) < 5 else 0.7  # one wrong letter of three is a third of the word
    return difflib.get_close_matches(word.lower(), sorted(set(known)), n=3, cutoff=cutoff)


def _gap(command: Command) -> Missing | None:
    """What stands at the place of the word that was never typed."""
    for key, branch in command.branches.items():
        if branch == GAP:
            rest = {other: value for other, value in command.branches.items() if other != key}
            return Missing(command.but(branches=rest), "branch", key)
    if command.what is not None and GAP in command.what:
        app = command.what.removesuffix(GAP).rstrip("/") or command.app
        return Missing(command.but(what=None, app=app), "branch", app)
    if GAP in command.targets:
        others = tuple(target for target in command.targets if target != GAP)
        part: Part = "target" if command.verb is Verb.DEPLOY else "environment"
        return Missing(command.but(targets=others), part)
    for field, part in _PARTS.items():
        if getattr(command, field) == GAP:
            return Missing(command.but(**{field: None}), part)
    return None


_PARTS: dict[str, Part] = {
    "template": "template",
    "branch": "branch",
    "name": "name",
    "ttl": "duration",
    "use": "environment",
    "app": "app",
    "person": "person",
}


def _fine(command: Command, _vocabulary: Vocabulary) -> Understood:
    return command


def _create(command: Command, vocabulary: Vocabulary) -> Understood:
    template = command.template
    if template is None:
        return Missing(command, "template")
    if template not in vocabulary.templates:
        if template in vocabulary.targets:
            return Unclear("create", _about(template), f"{template} is there already; to create, name a template.")
        return _meant(command, "template", template, vocabulary.templates, "template") or command
    if command.role == UNKNOWN_ROLE:
        return Missing(command, "role")
    roles = vocabulary.templates[template]
    if command.role is not None and command.role not in roles:
        return _meant(command, "role", command.role, roles, f"role of {template}") or command
    return _keys(command, vocabulary) or _used(command, vocabulary) or command


def _about(target: str) -> tuple[str, ...]:
    return (f"show {target}", f"retry {target}", f"extend {target}")


def _keys(command: Command, vocabulary: Vocabulary) -> Unclear | None:
    """`wbe=main`: a role that the template does not have, and nearly has."""
    roles = vocabulary.templates[command.template or ""]
    for field in ("branches", "counts"):
        given = getattr(command, field)
        for key in given:
            found = [] if key in {*roles, *roles.values()} else near(key, [*roles, *roles.values()])
            if found:
                renamed = [{(each if old == key else old): value for old, value in given.items()} for each in found]
                choices = tuple(spell(command.but(**{field: each})) for each in renamed)
                return Unclear("create", choices, f"{command.template} has no role “{key}”.")
    return None


def _used(command: Command, vocabulary: Vocabulary) -> Unclear | None:
    if command.use is None or command.use in vocabulary.environments:
        return None
    return _meant(command, "use", command.use, vocabulary.environments, "environment")


def _meant(command: Command, field: str, word: str, known: Iterable[str], noun: str) -> Unclear | None:
    """The same command with names instead of `word` that come near to it."""
    found = near(word, known)
    if not found:
        return None
    choices = tuple(spell(command.but(**{field: each})) for each in found)
    return Unclear(command.verb.value, choices, f"There is no {noun} “{word}”.")


def _deploy(command: Command, vocabulary: Vocabulary) -> Understood:
    if command.what is None:
        if not command.targets or command.app:
            return Missing(command, "branch", command.app)
        return _targets(command, vocabulary) or Missing(command, "branch", command.app)
    if not command.targets:
        return Missing(command, "target")
    return _targets(command, vocabulary) or command


def _targets(command: Command, vocabulary: Vocabulary) -> Unclear | None:
    """The same command with known environments and servers instead of one that is unknown."""
    for target in command.targets:
        found = [] if target in vocabulary.targets else near(target, _like(target, vocabulary))
        if found:
            swapped = [tuple(each if old == target else old for old in command.targets) for each in found]
            choices = tuple(spell(command.but(targets=tuple(dict.fromkeys(each)))) for each in swapped)
            return Unclear(command.verb.value, choices, f"There is no environment or server “{target}”.")
    return None


def _like(target: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """What reads like a server is no environment: that would be more than was meant."""
    parts = split_server_id(target)
    return vocabulary.servers if parts and parts[1] in vocabulary.roles else vocabulary.targets


def _aimed(command: Command, vocabulary: Vocabulary) -> Understood:
    part: Part = "server" if command.noun == "servers" or command.verb is Verb.LOGS else "environment"
    command = command.but(noun="")
    if command.everything and command.verb not in (Verb.TERMINATE, Verb.EXTEND, Verb.RETRY):
        return Missing(command.but(everything=""), part)
    if not command.targets and not command.everything:
        return Missing(command, part)
    return _targets(command, vocabulary) or command


def _list(command: Command, vocabulary: Vocabulary) -> Understood:
    return _targets(command, vocabulary) or command


def _about_app(command: Command, vocabulary: Vocabulary) -> Understood:
    known = {*vocabulary.roles, *vocabulary.templates}
    if command.app is None:
        return Missing(command, "app")
    if command.app in known:
        return command
    return _meant(command, "app", command.app, known, "app") or command


def _show(command: Command, vocabulary: Vocabulary) -> Understood:
    if command.template is None:
        return _aimed(command, vocabulary)
    if command.template in vocabulary.templates:
        return command
    return _meant(command, "template", command.template, vocabulary.templates, "template") or command


def _link(command: Command, _vocabulary: Vocabulary) -> Understood:
    return command if command.code or command.person else Missing(command, "person")


def _help(command: Command, _vocabulary: Vocabulary) -> Understood:
    return command.but(topic=topic_of(command.topic) if command.topic else None)


_CHECKS: dict[Verb, Check] = {
    Verb.CREATE: _create,
    Verb.DEPLOY: _deploy,
    Verb.TERMINATE: _aimed,
    Verb.EXTEND: _aimed,
    Verb.RETRY: _aimed,
    Verb.CANCEL: _aimed,
    Verb.HOLD: _aimed,
    Verb.RELEASE: _aimed,
    Verb.PROTECT: _aimed,
    Verb.UNPROTECT: _aimed,
    Verb.PLAN: _list,
    Verb.WHY: _aimed,
    Verb.LOGS: _aimed,
    Verb.SHOW: _show,
    Verb.LIST: _list,
    Verb.JOBS: _list,
    Verb.WHERE: _about_app,
    Verb.BRANCHES: _about_app,
    Verb.LINK: _link,
    Verb.HELP: _help,
}
