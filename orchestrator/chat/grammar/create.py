"""What a `create` sentence means. Its pieces come in any order; what the bare words are is decided here. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from lark import Token

from orchestrator.chat.intent import Command, Verb, Vocabulary
from orchestrator.domain.names import ENVIRONMENT

from . import when
from .spelling import spell
from .words import GAP, Node, Odd, kind_of, noun, quoted, tokens, word

_ROLE_OR_APP = re.compile(r"[a-z][a-z0-9._-]*")
UNKNOWN_ROLE = ""  # a single server is meant, and it has not been said of which role
Until = Callable[[Node], datetime]


@dataclass(frozen=True)
class _Bare:
    """A word that stands for itself. `plain`: it may be a role or a template (it is not in quotes)."""

    text: str
    plain: bool = True


@dataclass
class _Draft:
    """What has been read so far."""

    vocabulary: Vocabulary
    until_of: Until
    bare: list[_Bare] = field(default_factory=list)
    branch: list[str] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    name: str | None = None
    ttl: str | None = None
    until: datetime | None = None
    use: str | None = None
    template: str | None = None
    role: str | None = None
    single: bool = False
    confirmed: bool = False


def create(nodes: list[Node], vocabulary: Vocabulary, until_of: Until) -> Command:
    """The command, as far as it goes. Raises Odd for what cannot be meant."""
    draft = _Draft(vocabulary, until_of)
    nodes = [node for node in nodes if kind_of(node) != "made"]  # what is left of “a”, “and” and commas
    for place, node in enumerate(nodes):
        _take(draft, node, nodes[:place], nodes[place + 1 :])
    _find_template(draft)
    _find_role(draft)
    _find_branch_and_name(draft)
    return _command(draft)


def _take(draft: _Draft, node: Node, before: list[Node], after: list[Node]) -> None:
    match kind_of(node):
        case "WORD":
            _take_word(draft, node, before, after)
        case "NUMBER" | "TIMES":
            _take_number(draft, node, after)
        case "KIND" if isinstance(node, Token):
            counted = len(before) > 1 and kind_of(before[-2]) in ("NUMBER", "TIMES")
            draft.single = draft.single or (noun(node) == ("servers", False) and not counted)
        case "CONFIRM":
            draft.confirmed = True
        case "branch":
            _take_branch(draft, node, before)
        case "pair":
            key, value = tokens(node, "KEY")[0], tokens(node, "WORD")[0]
            _pair(draft, str(key).rstrip("=: ").lower(), value)
        case "of" | "span_or_template":
            _take_template(draft, word(tokens(node, "WORD")[0]), kind_of(node))
        case "name" | "use" as part:
            _once(draft, part, _use_or_name(node))
        case "ttl":
            _once(draft, "ttl", when.duration(str(tokens(node, "DURATION")[0])))
        case "until":
            _once(draft, "until", draft.until_of(node))
        case "odd_span" | "odd_moment":
            draft.ttl = odd_time(node)


def odd_time(node: Node) -> str:
    """Raise Odd for a duration or a moment that is none; a gap at its place is returned."""
    text = word(tokens(node, "WORD", "NUMBER")[0])
    if text == GAP:
        return GAP
    if kind_of(node) == "odd_moment":
        raise Odd(f"“{text}” is no day or time that I know; write it like friday 18:00 or 2026-11-27 18:00.")
    raise Odd(f"“{text}” is not a duration; write it like 30m, 4h, 2d or 1d12h.")


def _use_or_name(node: Node) -> str:
    owner = tokens(node, "POSSESSIVE")
    return str(owner[0]).removesuffix("'s").lower() if owner else word(tokens(node, "WORD")[0]).lower()


def _once(draft: _Draft, part: str, value: str | datetime) -> None:
    if getattr(draft, part) not in (None, value):
        raise Odd(f"That says twice {_TWICE[part]}; say it once.")
    setattr(draft, part, value)


_TWICE = {"name": "what to call it", "use": "whose servers to use", "ttl": "how long", "until": "until when"}


def _take_word(draft: _Draft, node: Node, before: list[Node], after: list[Node]) -> None:
    text, last = word(node), kind_of(before[-1]) if before else ""
    if last in ("NUMBER", "TIMES") and _counts_next(before[-1], before):
        _count(draft, text, before[-1])
    elif last == "WITH" and not quoted(node) and after and kind_of(after[0]) == "branch":
        return  # “with web on feature/cart”: the branch takes it
    elif last == "WITH" and text.lower() not in draft.vocabulary.templates:
        draft.branch.append(text)
    else:
        draft.bare.append(_Bare(text, not quoted(node)))


def _counts_next(number: Node, before: list[Node]) -> bool:
    """`3 web` and `3x web` count what follows; `web x3` counts what went before."""
    return not _backwards(number) or len(before) < 2 or kind_of(before[-2]) != "WORD"


def _count(draft: _Draft, text: str, number: Node) -> None:
    draft.counts[_role_or_app(text)] = when.number(str(number))


def _role_or_app(text: str) -> str:
    if not _ROLE_OR_APP.fullmatch(text.lower()):
        raise Odd(f"I do not know what “{text}” means there.")
    return text.lower()


def _backwards(times: Node) -> bool:
    return kind_of(times) == "TIMES" and not str(times)[0].isdigit()


def _take_number(draft: _Draft, node: Node, after: list[Node]) -> None:
    if _backwards(node) and draft.bare and draft.bare[-1].text.lower() in draft.vocabulary.templates:
        raise Odd(f"I do not know what “{node}” means there; a number of servers is written like web=3.")
    if _backwards(node) and draft.bare:
        _count(draft, draft.bare.pop().text, node)
    elif not after or kind_of(after[0]) != "WORD":
        draft.bare.append(_Bare(str(node)))


def _take_branch(draft: _Draft, node: Node, before: list[Node]) -> None:
    """`on feature/cart`; `from shop` means a template; `web on feature/cart` one role's when there are others."""
    value = tokens(node, "WORD")[0]
    previous = word(before[-1]).lower() if before and kind_of(before[-1]) == "WORD" else ""
    named = word(value).lower()
    is_from = str(tokens(node, "ON")[0]).lower() == "from"
    if is_from and not quoted(value) and draft.template is None and named in draft.vocabulary.templates:
        draft.template = named
    elif previous and len(before) > 1 and kind_of(before[-2]) == "WITH":
        draft.branches[_role_or_app(previous)] = word(value)
    elif (draft.branch or draft.branches) and previous and _last_role(draft) == previous:
        draft.bare.pop()
        first = _last_role(draft) if len(draft.branch) == 1 else None
        if first:  # “web on feature/cart api on main”: the first was one role's as well
            draft.bare.pop()
            draft.branches[first] = draft.branch.pop()
        draft.branches[previous] = word(value)
    else:
        draft.branch.append(word(value))


def _last_role(draft: _Draft) -> str | None:
    """The bare word before this place, if it is a role's or an app's name."""
    return draft.bare[-1].text.lower() if draft.bare and _is_role(draft, draft.bare[-1].text) else None


def _is_role(draft: _Draft, text: str) -> bool:
    return text.lower() in draft.vocabulary.roles


def _pair(draft: _Draft, key: str, value: Node) -> None:
    """`web=3` is a number of servers, `web=main` and `web="3"` a branch."""
    text = word(value)
    if text.isascii() and text.isdigit() and len(text) < 4 and not quoted(value):
        draft.counts[key] = int(text)
    else:
        draft.branches[key] = text


def _take_template(draft: _Draft, text: str, how: str) -> None:
    named = text.lower()
    if draft.template is None and (named in draft.vocabulary.templates or how == "of"):
        draft.template = named
    elif text == GAP:
        draft.ttl = GAP
    else:
        raise Odd(f"“{text}” is not a duration; write it like 30m, 4h, 2d or 1d12h.")


def _find_template(draft: _Draft) -> None:
    """The first word that is a template; else a role or an app that only one template has; else the first word."""
    if draft.template is not None:
        return
    known = [bare for bare in draft.bare if bare.text.lower() in draft.vocabulary.templates]
    if known:
        draft.bare.remove(known[0])
        draft.template = known[0].text.lower()
    elif draft.bare and draft.bare[0].plain and _is_role(draft, draft.bare[0].text):
        having = draft.vocabulary.roles[draft.bare[0].text.lower()]
        draft.template = having[0] if len(having) == 1 else None
        if draft.template is None:
            draft.role = draft.bare.pop(0).text.lower()
    elif draft.bare:
        draft.template = draft.bare.pop(0).text.lower()


def _find_role(draft: _Draft) -> None:
    """A bare word that is a role (or an app) of the template means one server of it."""
    template, roles = draft.template, dict(draft.vocabulary.templates.get(draft.template or "", {}))
    if template is None:
        draft.role = draft.role or (UNKNOWN_ROLE if draft.single else None)
        return
    found = [bare for bare in draft.bare if draft.vocabulary.role_of(template, bare.text.lower())]
    found = [bare for bare in found if bare.plain] or (found[:1] if draft.single else [])
    if len(found) > 1:
        raise Odd(
            f"{found[0].text} and {found[1].text} are both parts of {template}; ask for one, or for all of {template}.",
            [f"create {template}"],
        )
    if found:
        draft.bare.remove(found[0])
        draft.role = draft.vocabulary.role_of(template, found[0].text.lower())
    elif draft.single and len(roles) == 1:
        draft.role = next(iter(roles))
    elif draft.single and draft.role is None:
        draft.role = draft.bare.pop(0).text.lower() if draft.bare and not roles else UNKNOWN_ROLE


def _find_branch_and_name(draft: _Draft) -> None:
    """What is left is the branch; beside a branch that was said otherwise it is the name."""
    if len(draft.branch) > 1:
        each = [spell(Command(Verb.CREATE, draft.template, branch=branch)) for branch in draft.branch[:2]]
        raise Odd(f"That names two branches, {' and '.join(draft.branch[:2])}; say which one is for which role.", each)
    rest = draft.bare
    if not draft.branch and rest:
        draft.branch.append(rest.pop(0).text)
        if len(rest) == 1 and draft.name is None and ENVIRONMENT.fullmatch(rest[0].text.lower()):
            raise Odd(f"I do not know what “{rest[0].text}” means there.", [_naming(draft, rest[0].text)])
    elif draft.branch and rest and draft.name is None:
        draft.name = rest.pop(0).text.lower()
    if rest:
        raise Odd(f"I do not know what “{rest[0].text}” means there.")


def _naming(draft: _Draft, name: str) -> str:
    words = ["create", draft.template or "", draft.role or "", draft.branch[0], "as", name.lower()]
    return " ".join(part for part in words if part)


def _command(draft: _Draft) -> Command:
    if draft.role and not draft.single and set(draft.branches) - {draft.role}:
        _pair_up(draft, draft.role)
    branches, counts = dict(draft.branches), dict(draft.counts)
    branch = draft.branch[0] if draft.branch else None
    command = Command(
        Verb.CREATE, draft.template, draft.role, branch, branches, counts, draft.name, draft.ttl, draft.until, draft.use
    )
    command = _of_one_role(command, draft.vocabulary) if draft.role else command
    return command.but(confirmed=draft.confirmed)


def _pair_up(draft: _Draft, role: str) -> None:
    """`api=main web feature/cart`: beside pairs, a role is the begin of another one."""
    draft.branches[role] = draft.branch.pop() if draft.branch else GAP
    draft.role = None


def _of_one_role(command: Command, vocabulary: Vocabulary) -> Command:
    """A single server has one branch and is one."""
    role, template = command.role or "", command.template or ""
    given = {*command.branches, *command.counts}
    own = given & {role, vocabulary.templates.get(template, {}).get(role, role)}
    if given != own or any(command.counts[key] != 1 for key in own & set(command.counts)):
        raise Odd(f"A single {role} server is one server on one branch; for more create the whole {template}.".strip())
    named = next((command.branches[key] for key in own if key in command.branches), None)
    return command.but(branch=command.branch or named, branches={}, counts={})
