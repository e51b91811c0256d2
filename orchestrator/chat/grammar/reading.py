"""From a parsed sentence to a command, with what there is in this installation in view. Pure.

Nothing is corrected or asked for here: checks.py looks at what came out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from lark import Token, Tree

from orchestrator.chat.intent import Command, Everything, Verb, Vocabulary
from orchestrator.domain.names import ENVIRONMENT

from . import when
from .create import create, odd_time
from .deploy import deploy
from .words import Node, Odd, Thing, kind_of, names, thing, things, tokens, word

_CODE = re.compile(r"[a-z0-9]{4}-[a-z0-9]{4}", re.IGNORECASE)
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_SAYS_LINK = ("link", "connect", "code", "my code")
_BECAUSE = re.compile(r",? ?(?:because|due to|--why)[ =](?:of )*", re.IGNORECASE)
_LONGEST_WHY = 200
_SAYS_SHOW = ("show", "display", "describe", "view", "status", "info", "inspect", "get", "details")


@dataclass(frozen=True)
class Scene:
    """What a sentence is read against."""

    vocabulary: Vocabulary
    now: datetime
    zone: ZoneInfo

    def until(self, node: Node) -> datetime:
        """The moment of an `until`. Raises Odd when there is none."""
        try:
            return when.moment(tokens(node, "DAY", "DATE", "TIME"), self.now, self.zone)
        except when.NotAMoment as error:
            raise Odd(str(error)) from error


def read(tree: Tree[Token], scene: Scene) -> Command:
    """What the sentence says. Raises Odd when it makes no sense."""
    kind = next((child for child in tree.children if kind_of(child) == "KIND"), None)
    sentence = next(child for child in tree.children if isinstance(child, Tree))
    reader = _READERS[kind_of(sentence)]
    if kind is not None and isinstance(kind, Token):  # env create …, server list
        sentence = Tree(sentence.data, [*sentence.children[:1], kind, *sentence.children[1:]])
    return reader(sentence, scene)


def _create(sentence: Tree[Token], scene: Scene) -> Command:
    return create(sentence.children[1:], scene.vocabulary, scene.until)


def _deploy(sentence: Tree[Token], scene: Scene) -> Command:
    if str(sentence.children[0]).lower() == "release" and (held := _held(sentence.children[1:], scene.vocabulary)):
        return Command(Verb.RELEASE, targets=held)
    return deploy(str(sentence.children[0]), sentence.children[1:], scene.vocabulary)


def _held(nodes: list[Node], vocabulary: Vocabulary) -> tuple[str, ...]:
    """“release cart-test” ends a hold: what is named, if it is no branch and no app, but can be environments."""
    if not {kind_of(node) for node in nodes} <= {"WORD", "KIND"}:
        return ()
    found = tuple(word(node).lower() for node in nodes if kind_of(node) == "WORD")
    if set(found) <= set(vocabulary.targets):
        return found
    others = {*vocabulary.branches, *vocabulary.roles, *vocabulary.templates}
    may_be = len(found) == 1 and ENVIRONMENT.fullmatch(found[0]) and found[0] not in others
    return found if may_be else ()


def _everything(found: list[Thing]) -> Everything:
    if not any(each.whole for each in found):
        return ""
    if len(found) > 1 or found[0].kind == "templates":
        raise Odd("That is too many things at once; name them one after the other.")
    one = found[0]
    if one.mine or one.owned_by_me:
        return "mine" if one.all or one.several or not one.kind else ""
    return "all"


def _aimed(verb: Verb, sentence: Tree[Token], scene: Scene, strict: bool = True) -> Command:
    """A command about environments or servers: some that are named, all of them, or one still to be named."""
    found = things(sentence)
    if len(found) == 1 and found[0].all and found[0].kind == "servers" and found[0].owner:
        return Command(verb, targets=(found[0].owner,))  # all servers of cart-test are cart-test
    everything = _everything(found)
    if everything == "all" and found[0].owner:
        raise Odd(
            "Name the environments; I do not take away everything of one person at once.",
            [f"list environments of {found[0].owner}"],
        )
    noun_ = found[0].kind if len(found) == 1 and not found[0].words and not everything else ""
    targets = () if everything else names(found, scene.vocabulary, strict)
    return Command(verb, targets=targets, everything=everything, noun=noun_)


def _terminate(sentence: Tree[Token], scene: Scene) -> Command:
    sure = any(kind_of(child) == "CONFIRM" for child in sentence.children)
    return _aimed(Verb.TERMINATE, sentence, scene).but(confirmed=sure)


def _retry(sentence: Tree[Token], scene: Scene) -> Command:
    return _aimed(Verb.RETRY, sentence, scene)


def _cancel(sentence: Tree[Token], scene: Scene) -> Command:
    return _aimed(Verb.CANCEL, sentence, scene)


def _why(sentence: Tree[Token], scene: Scene) -> Command:
    return _aimed(Verb.WHY, sentence, scene, strict=False)


def _extend(sentence: Tree[Token], scene: Scene) -> Command:
    return _lasting(_aimed(Verb.EXTEND, sentence, scene), sentence, scene)


def _hold(sentence: Tree[Token], scene: Scene) -> Command:
    if tokens(sentence, "OFF"):
        return _release(sentence, scene)
    return _lasting(_aimed(Verb.HOLD, sentence, scene), sentence, scene)


def _release(sentence: Tree[Token], scene: Scene) -> Command:
    return _aimed(Verb.RELEASE, sentence, scene)


def _protect(sentence: Tree[Token], scene: Scene) -> Command:
    if tokens(sentence, "OFF"):
        return _unprotect(sentence, scene)
    command = _lasting(_aimed(Verb.PROTECT, sentence, scene), sentence, scene)
    why = next((_BECAUSE.sub("", str(token), count=1) for token in tokens(sentence, "BECAUSE")), None)
    if why and len(why) > _LONGEST_WHY:
        raise Odd(f"That is a long reason; say it in at most {_LONGEST_WHY} characters.")
    return command.but(why=why)


def _unprotect(sentence: Tree[Token], scene: Scene) -> Command:
    return _aimed(Verb.UNPROTECT, sentence, scene)


def _lasting(command: Command, sentence: Tree[Token], scene: Scene) -> Command:
    """The command with how long, or until when."""
    ttl, until = None, None
    for node in sentence.children:
        match kind_of(node):
            case "ttl":
                ttl = (ttl or "") + when.duration(str(tokens(node, "DURATION")[0]))
            case "until":
                until = scene.until(node)
            case "odd_span" | "odd_moment":
                ttl = odd_time(node)
    return command.but(ttl=ttl, until=until)


def _show(sentence: Tree[Token], scene: Scene) -> Command:
    found = things(sentence) or [thing(sentence.children)]
    one, known = found[0], scene.vocabulary
    said = str(sentence.children[0]).lower()
    if said == "status" and found == [Thing()]:
        return Command(Verb.LIST, noun="environments")
    if len(found) == 1 and (_is_list(one) or (one.kind == "servers" and one.several)):
        return _listing(one, scene)
    words = [text.lower() for text in one.words]
    if len(found) == 1 and len(words) == 1 and words[0] in known.templates and words[0] not in known.targets:
        return Command(Verb.SHOW, template=words[0])
    if len(found) == 1 and one.kind == "templates" and len(words) == 1:
        return Command(Verb.SHOW, template=words[0])
    command = _aimed(Verb.SHOW, sentence, scene, strict=said.startswith(_SAYS_SHOW))
    if not said.startswith(_SAYS_SHOW) and not set(command.targets) <= set(known.targets):
        raise Odd(f"I do not know “{', '.join(command.targets)}”.")
    return command


def _is_list(one: Thing) -> bool:
    return one.whole or (bool(one.kind) and one.several and not one.words)


def _list(sentence: Tree[Token], scene: Scene) -> Command:
    found = things(sentence)
    if len(found) > 1:
        raise Odd("I can list one thing at a time.")
    return _listing(found[0] if found else thing(sentence.children), scene)


def _listed(sentence: Tree[Token], scene: Scene) -> Command:
    about = next((str(token).lower() for token in tokens(sentence, "ARE_THERE")), "")
    listing = _listing(thing(sentence.children), scene)
    mine = " have" in about and about.split()[1] == "i" and listing.noun != "templates"
    return listing.but(everything="mine") if mine else listing


def _listing(one: Thing, scene: Scene) -> Command:
    """Environments, servers or templates: all, somebody's, or the servers of one environment."""
    known, kind = scene.vocabulary, one.kind or "environments"
    owner = one.owner or (one.words[0].lower() if len(one.words) == 1 else "")
    everything: Everything = "mine" if one.mine or one.owned_by_me else "all" if one.all else ""
    if len(one.words) > 1 or (one.owner and one.words):
        raise Odd(f"I do not know what “{one.words[-1]}” means there.")
    if kind == "templates" or not owner:
        if one.words:
            raise Odd(f"I do not know what “{one.words[0]}” means there.")
        return Command(Verb.LIST, noun=kind, everything="" if kind == "templates" else everything)
    if owner in known.targets or (kind == "servers" and owner not in known.people):
        return Command(Verb.LIST, noun="servers", targets=(owner,))
    if owner in known.people or one.owner:
        return Command(Verb.LIST, noun=kind, person=owner)
    raise Odd(f"I do not know what “{owner}” means there.")


def _jobs(sentence: Tree[Token], scene: Scene) -> Command:
    found = things(sentence)
    if not found or any(each.whole for each in found):
        return Command(Verb.JOBS)
    one = found[0]
    name = one.owner or (one.words[0].lower() if one.words else "")
    app = _app(one.words[0]) if one.owner and one.words else None
    if name in scene.vocabulary.roles and name not in scene.vocabulary.targets:
        return Command(Verb.JOBS, app=name)
    return Command(Verb.JOBS, targets=(name,) if name else (), app=app)


def _plan(sentence: Tree[Token], scene: Scene) -> Command:
    """What ends, and when: all that there is, somebody's own, or what is named."""
    found = things(sentence) or [thing(sentence.children)]  # “when does cart-test end” is no thing of its own
    until = next((scene.until(node) for node in sentence.children if kind_of(node) == "until"), None)
    mine = any(each.mine or each.owned_by_me for each in found) or "my" in _words_of(sentence, "WHAT_ENDS")
    if mine or all(each.whole or not (each.words or each.owner) for each in found):
        return Command(Verb.PLAN, everything="mine" if mine else "", until=until)
    return Command(Verb.PLAN, targets=names(found, scene.vocabulary), until=until)


def _words_of(sentence: Tree[Token], terminal: str) -> list[str]:
    return [text for token in tokens(sentence, terminal) for text in token.lower().split()]


def _app(text: str) -> str:
    """`shop-web/main` → shop-web."""
    return text.lower().partition("/")[0]


def _about_app(verb: Verb, sentence: Tree[Token], scene: Scene) -> Command:
    vocabulary = scene.vocabulary
    words = [_app(text) for each in things(sentence) for text in (*each.words, each.owner) if text]
    known = [text for text in words if text in vocabulary.roles or text in vocabulary.templates]
    return Command(verb, app=next(iter(known or words), None))


def _where(sentence: Tree[Token], scene: Scene) -> Command:
    return _about_app(Verb.WHERE, sentence, scene)


def _branches(sentence: Tree[Token], scene: Scene) -> Command:
    return _about_app(Verb.BRANCHES, sentence, scene)


def _logs(sentence: Tree[Token], scene: Scene) -> Command:
    numbers = [when.number(str(token)) for token in tokens(sentence, "NUMBER")]
    return _aimed(Verb.LOGS, sentence, scene).but(lines=numbers[0] if numbers else None)


def _help(sentence: Tree[Token], _scene: Scene) -> Command:
    words = [word(node).lower() for node in sentence.children if kind_of(node) == "WORD"]
    verb = kind_of(sentence.children[0]).lower()
    return Command(Verb.HELP, topic=" ".join(words) or (verb if verb != "help" else None))


def _link(sentence: Tree[Token], scene: Scene) -> Command:
    said, *rest = sentence.children
    text = word(rest[0]) if rest else ""
    if text.lower() in scene.vocabulary.people:
        return Command(Verb.LINK, person=text.lower())
    if _CODE.fullmatch(text):
        return Command(Verb.LINK, code=text.upper())
    if not str(said).lower().startswith(_SAYS_LINK):
        raise Odd(f"I do not know anybody called “{text}”." if text else "I do not know who you are.")
    return Command(Verb.LINK, person=text.lower() or None)


def _pick(sentence: Tree[Token], _scene: Scene) -> Command:
    text = str(sentence.children[-1]).lower()
    digits = re.search(r"\d+", text)
    spelled = next((index for index, name in enumerate(_ORDINALS, 1) if name in text), 0)
    return Command(Verb.PICK, number=int(digits[0]) if digits else spelled)


def _always(command: Command) -> Callable[[Tree[Token], Scene], Command]:
    return lambda _sentence, _scene: command


_READERS: dict[str, Callable[[Tree[Token], Scene], Command]] = {
    "create": _create,
    "deploy": _deploy,
    "terminate": _terminate,
    "extend": _extend,
    "retry": _retry,
    "cancel": _cancel,
    "hold": _hold,
    "release": _release,
    "protect": _protect,
    "unprotect": _unprotect,
    "plan": _plan,
    "schedule": _always(Command(Verb.SCHEDULE)),
    "show": _show,
    "list": _list,
    "listed": _listed,
    "why": _why,
    "jobs": _jobs,
    "where": _where,
    "branches": _branches,
    "logs": _logs,
    "help": _help,
    "link": _link,
    "pick": _pick,
    "mute": _always(Command(Verb.NOTIFY, mode="mute")),
    "unmute": _always(Command(Verb.NOTIFY, mode="unmute")),
    "direct": _always(Command(Verb.NOTIFY, mode="direct")),
    "in_room": _always(Command(Verb.NOTIFY, mode="room")),
    "notify": _always(Command(Verb.NOTIFY)),
    "whoami": _always(Command(Verb.WHOAMI)),
    "yes": _always(Command(Verb.YES)),
    "no": _always(Command(Verb.NO)),
}
