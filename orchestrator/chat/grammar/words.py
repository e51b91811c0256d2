"""The words of a parsed sentence, as the readers of the single commands want them. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lark import Token, Tree

from orchestrator.chat.intent import Noun, Vocabulary

Node = Token | Tree[Token]
GAP = "\ue000"  # stands for a word that is not there yet; nobody types it
_NOUNS: dict[str, Noun] = {"templ": "templates", "env": "environments", "stack": "environments"}


class Odd(Exception):
    """It parses, and still makes no sense. `reason`: a sentence; `suggestions`: whole commands that would."""

    def __init__(self, reason: str, suggestions: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.reason, self.suggestions = reason, tuple(suggestions)


def kind_of(node: Node) -> str:
    """The name of a terminal or of a rule."""
    return str(node.type if isinstance(node, Token) else node.data)


def word(token: Node) -> str:
    """What was typed, without quotes around it."""
    text = str(token)
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        return text[1:-1].replace(text[0] * 2, text[0])
    return text


def quoted(token: Node) -> bool:
    """Whether it stands in quotes, and is a word whatever it says."""
    return word(token) != str(token)


def tokens(node: Node, *types: str) -> list[Token]:
    """The tokens of these types in a part of the sentence, in order."""
    if isinstance(node, Token):
        return [node] if not types or node.type in types else []
    return [found for child in node.children for found in tokens(child, *types)]


def noun(token: Token) -> tuple[Noun, bool]:
    """`servers` → ("servers", True); the second is whether there are several."""
    last = str(token).lower().rsplit(" ", 1)[-1]
    found: Noun = next((name for begin, name in _NOUNS.items() if last.startswith(begin)), "servers")
    return found, last.endswith(("s", "es"))


@dataclass(frozen=True)
class Thing:
    """One thing that is talked about: `all my servers`, `server cart-test-web-1`, `the web servers of cart-test`."""

    words: tuple[str, ...] = ()
    mine: bool = False
    all: bool = False
    kind: Noun = ""
    several: bool = False
    owner: str = ""
    owned_by_me: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is a number of things, none of them named."""
        return not self.words and (self.all or self.mine or self.owned_by_me)


@dataclass
class _Parts:
    words: list[str] = field(default_factory=list)
    kind: Noun = ""
    several: bool = False
    owner: str = ""
    flags: set[str] = field(default_factory=set)

    def take(self, node: Node) -> None:
        match kind_of(node):
            case "WORD":
                self.words.append(word(node))
            case "KIND" if isinstance(node, Token):
                self.kind, self.several = noun(node)
            case "POSSESSIVE":
                self.owner = str(node).lower().removesuffix("'s").removesuffix("'")
            case "owner":
                self._take_owner(node)
            case "ALL" | "MY" | "MINE" as flag:
                self.flags.add(flag)
            case "quantity":
                for token in tokens(node):
                    self.take(token)

    def _take_owner(self, node: Node) -> None:
        for name in tokens(node, "WORD"):
            self.owner = word(name).lower()
        if tokens(node, "ME"):
            self.flags.add("ME")

    def thing(self) -> Thing:
        mine = bool(self.flags & {"MY", "MINE"})
        owned = "ME" in self.flags
        return Thing(tuple(self.words), mine, "ALL" in self.flags, self.kind, self.several, self.owner, owned)


def thing(nodes: Iterable[Node]) -> Thing:
    """One thing, from the parts of a `thing` or of a sentence that is one."""
    parts = _Parts()
    for node in nodes:
        parts.take(node)
    return parts.thing()


def things(tree: Tree[Token]) -> list[Thing]:
    """All things that a sentence talks about."""
    return [thing(found.children) for found in tree.find_data("thing")]


def names(found: Iterable[Thing], vocabulary: Vocabulary, strict: bool = True) -> tuple[str, ...]:
    """The environments and servers that are named, in order and once each.

    Of several words side by side only known names count; one that is not known is Odd (when not `strict`: left out).
    """
    known, chosen = set(vocabulary.targets), list[str]()
    for each in found:
        if each.owner and each.words:
            chosen += _servers_of(each, vocabulary)
            continue
        words = [one.lower() for one in each.words]
        strangers = [one for one in words if one not in known]
        if len(words) > 1 and strangers:
            if strict:
                raise Odd(f"I do not know what “{strangers[0] if words[0] in known else strangers[-1]}” means there.")
            words = [one for one in words if one in known] or words[:1]
        chosen += words
    return tuple(dict.fromkeys(chosen))


def _servers_of(each: Thing, vocabulary: Vocabulary) -> Iterator[str]:
    """`the web servers of cart-test` → the servers of that role."""
    role = each.words[0].lower()
    if role in vocabulary.targets:
        yield role
        return
    roles = {vocabulary.role_of(template, role) for template in vocabulary.roles.get(role, ())} or {role}
    begins = tuple(f"{each.owner}-{found}-" for found in roles)
    having = [server for server in vocabulary.servers if server.startswith(begins)]
    if not having:
        raise Odd(f"{each.owner} has no {role} server that I know of.", [f"show {each.owner}"])
    yield from having
