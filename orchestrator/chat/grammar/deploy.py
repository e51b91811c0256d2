"""What a `deploy` sentence means: which of its words is the branch, which the app, and where it goes. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from orchestrator.chat.intent import Command, Verb, Vocabulary

from .words import GAP, Node, Odd, kind_of, tokens, word

_MOVES = ("switch", "move", "set", "upgrade", "update")  # “switch cart-test to main”: where, then what


@dataclass
class _Draft:
    bare: list[str] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    of: str | None = None
    of_target: bool = False
    branch: str | None = None
    pairs: list[tuple[str, str]] = field(default_factory=list)
    confirmed: bool = False
    after_branch: bool = False


def deploy(verb: str, nodes: list[Node], vocabulary: Vocabulary) -> Command:
    """The command, as far as it goes. Raises Odd for what cannot be meant."""
    draft = _Draft()
    for node in nodes:
        _take(draft, node)
    if len(draft.pairs) > 1:
        where = f" to {' and '.join(draft.to)}" if draft.to else ""
        each = [f"deploy {app}/{branch}{where}" for app, branch in draft.pairs]
        raise Odd("One deployment is one branch; ask for them one after the other.", each)
    app, what, targets = _places(draft, verb.lower(), vocabulary)
    app, targets = _hosts(app, targets, vocabulary)
    return _command(app, what, targets, draft.confirmed, vocabulary)


def _take(draft: _Draft, node: Node) -> None:
    after_branch, draft.after_branch = draft.after_branch, False
    match kind_of(node):
        case "WORD" if after_branch and draft.branch is None:
            draft.branch = word(node)
        case "WORD":
            draft.bare.append(word(node))
        case "BRANCH":
            draft.after_branch = True
        case "branch":
            draft.branch = word(tokens(node, "WORD")[0])
        case "pair":
            key, value = tokens(node, "KEY")[0], tokens(node, "WORD")[0]
            draft.pairs.append((str(key).rstrip("=: ").lower(), word(value)))
        case "to" if draft.to:
            raise Odd("That names two places to deploy to; name one, or join them with “and”.")
        case "to":
            draft.to = [word(found) for found in tokens(node, "WORD")]
            if {str(found).lower() for found in tokens(node, "WORD")} & {"all", "every", "everything", "my", "mine"}:
                raise Odd("Name the environments to deploy to; several are joined with “and”.")
        case "of":
            draft.of, draft.of_target = word(tokens(node, "WORD")[0]).lower(), bool(draft.to)
        case "CONFIRM":
            draft.confirmed = True


def _places(draft: _Draft, verb: str, vocabulary: Vocabulary) -> tuple[str | None, str | None, list[str]]:
    """(app, branch, targets): first what the sentence says by its form, then what the bare words are."""
    is_target, is_app = _one_of(vocabulary.targets), _one_of(vocabulary.roles)
    bare, to, what, app = list(draft.bare), list(draft.to), draft.branch, draft.of
    if what is not None and is_app(what) and bare and app is None:  # feature/tax from web
        app, what = what.lower(), None
    if draft.pairs:
        app, what = draft.pairs[0]
    elif draft.of and draft.of_target:  # to the api server of cart-test
        app, to = to[0].lower(), [draft.of]
    elif draft.of and is_target(draft.of) and bare and to:  # the web servers of cart-test to feature/tax
        return bare[0].lower(), to[0], [draft.of]
    if what is None and _is_turned(bare, to, verb, is_target):  # put cart-test on feature/tax
        return app, to[0] if to[0] != GAP else None, [bare[0].lower()]
    if not to:
        more_than_what = len(bare) + (what is not None) > (2 if any(is_app(text) for text in bare) else 1)
        to = _take_target(bare, more_than_what, is_target)
    if app is None and len(bare) + (what is not None) > 1:
        app = _take_app(bare, is_app)
    if what is None and bare:
        what = bare.pop(0)
    if bare:
        raise Odd(f"I do not know what “{bare[0]}” means there.")
    return app, what, [one.lower() for one in to]


def _one_of(known: Iterable[str]) -> Callable[[str], bool]:
    names = frozenset(known)
    return lambda text: text.lower() in names


def _is_turned(bare: list[str], to: list[str], verb: str, is_target: Callable[[str], bool]) -> bool:
    if len(bare) != 1 or len(to) != 1 or is_target(to[0]):
        return False
    return is_target(bare[0]) or (verb in _MOVES and "/" not in bare[0] and to[0] != GAP)


def _take_target(bare: list[str], spare: bool, is_target: Callable[[str], bool]) -> list[str]:
    """Take the target from among the bare words: one that is known, else the last one when it is to `spare`."""
    found = next((text for text in reversed(bare) if is_target(text)), None)
    if found is None and bare and spare:
        found = bare[-1]
    if found is None:
        return []
    bare.remove(found)
    return [found]


def _take_app(bare: list[str], is_app: Callable[[str], bool]) -> str | None:
    """`web feature/cart`, `feature/cart web`: take the app from among the bare words."""
    found = next((text for text in bare if is_app(text)), None)
    if found is None:
        return None
    bare.remove(found)
    return found.lower()


def _hosts(app: str | None, targets: list[str], vocabulary: Vocabulary) -> tuple[str | None, list[str]]:
    """`cart-test/web`, as hubot-deploy has it, means the web servers of cart-test."""
    names = []
    for target in targets:
        head, _, role = target.partition("/")
        fits = role in vocabulary.roles and app in (None, role)
        app, name = (role, head) if fits else (app, target)
        names.append(name)
    return app, list(dict.fromkeys(names))


def _command(app: str | None, what: str | None, targets: list[str], confirmed: bool, vocabulary: Vocabulary) -> Command:
    """One word that is an app is that app, its branch is still to be named; `app/branch` is kept in one."""
    if what is not None and app is None and what.lower().rstrip("/") in vocabulary.roles:
        app, what = what.lower().rstrip("/"), None
    if what is not None:
        head, slash, rest = what.partition("/")
        named = head.lower() in vocabulary.roles
        if slash and rest and named:
            what = f"{head.lower()}/{rest}"
        if app is not None and not (slash and named and _same(app, head.lower(), vocabulary)):
            what = f"{app}/{what}"
        app = None
    return Command(Verb.DEPLOY, what=what, app=app, targets=tuple(targets), confirmed=confirmed)


def _same(one: str, other: str, vocabulary: Vocabulary) -> bool:
    """Whether both words mean one role: its name and its app's."""
    return one == other or any(
        vocabulary.role_of(template, one) == vocabulary.role_of(template, other) is not None
        for template in vocabulary.templates
    )
