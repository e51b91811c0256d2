"""What `help` tells: for each topic how to say it, what it does, and examples made from what is installed here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lark import UnexpectedInput

from orchestrator.chat.intent import Vocabulary

from .parsing import parse

_SHOWN = 3


@dataclass(frozen=True)
class Topic:
    """One topic. `usage`: the form of the command; `sentence`: what it does; `examples`: commands that work here."""

    usage: str
    sentence: str
    examples: Callable[[Vocabulary], list[str]]


def help_topics() -> Mapping[str, Topic]:
    """Topic → what to tell of it, in the order in which people need them."""
    return _TOPICS


def examples(vocabulary: Vocabulary) -> list[str]:
    """A handful of commands to begin with, made from this installation's templates and environments."""
    return [
        *_creates(vocabulary)[:2],
        *_deploys(vocabulary)[:1],
        "list environments",
        f"show {_environment(vocabulary)}",
        f"terminate {_environment(vocabulary)}",
        "help",
    ]


def topic_of(words: str) -> str | None:
    """The topic that somebody asks about: a topic's name, or words that begin like one of its commands."""
    for word in words.lower().split():
        if word in _TOPICS:
            return word
        if (meant := _verb_of(word)) in _TOPICS:
            return meant
    return None


def _verb_of(word: str) -> str | None:
    if word in _ALIASES:
        return _ALIASES[word]
    try:
        tree = parse(word)
    except UnexpectedInput:
        return None
    name = str(next(tree.find_pred(lambda node: node is not tree)).data) if tree.children else ""
    return _ALIASES.get(name, name)


_ALIASES = {
    "listed": "list", "mute": "notify", "unmute": "notify", "direct": "notify", "in_room": "notify",
    "release": "hold", "unhold": "hold", "unprotect": "protect", "reap": "plan", "reaper": "plan",
}  # fmt: skip


def _template(vocabulary: Vocabulary) -> str:
    return next(iter(vocabulary.templates), "shop")


def _roles(vocabulary: Vocabulary) -> Mapping[str, str]:
    return vocabulary.templates.get(_template(vocabulary)) or {"api": "shop-api", "web": "shop-web"}


def _environment(vocabulary: Vocabulary) -> str:
    return next(iter(vocabulary.environments), "cart-test")


def _server(vocabulary: Vocabulary) -> str:
    last = list(_roles(vocabulary))[-1]
    return next(iter(vocabulary.servers), f"{_environment(vocabulary)}-{last}-1")


def _branch(vocabulary: Vocabulary) -> str:
    return next(iter(vocabulary.branches), "main")


def _app(vocabulary: Vocabulary) -> str:
    return list(_roles(vocabulary).values())[-1]


def _creates(vocabulary: Vocabulary) -> list[str]:
    template, roles, branch = _template(vocabulary), list(_roles(vocabulary)), _branch(vocabulary)
    pairs = [f"{role}=main" for role in roles[:-1]] + [f"{roles[-1]}={branch}"]
    return [
        f"create {template} {branch}",
        f"create {template} {' '.join(pairs)} as my-test for 2d",
        f"create {template} {branch} {roles[-1]}=2 until friday 18:00",
        f"create server {template} {roles[0]} main",
    ]


def _deploys(vocabulary: Vocabulary) -> list[str]:
    branch, environment = _branch(vocabulary), _environment(vocabulary)
    return [
        f"deploy {branch} to {environment}",
        f"deploy {_app(vocabulary)}/{branch} to {environment}",
        f"deploy main to {_server(vocabulary)}",
    ]


def _of(*forms: str) -> Callable[[Vocabulary], list[str]]:
    """Examples from forms in which ENV, SERVER and APP stand for names."""

    def filled(vocabulary: Vocabulary) -> list[str]:
        names = {"ENV": _environment(vocabulary), "SERVER": _server(vocabulary), "APP": _app(vocabulary)}
        texts = []
        for form in forms:
            texts.append(" ".join(names.get(word, word) for word in form.split()))
        return texts

    return filled


_TOPICS: dict[str, Topic] = {
    "create": Topic(
        "create TEMPLATE [BRANCH] [ROLE=BRANCH] [ROLE=NUMBER] [as NAME] [for 2d] [use ENVIRONMENT]",
        "Makes an environment. The branch goes on every role whose repository has it; the others get their default. "
        "“create server TEMPLATE ROLE BRANCH” makes a single server.",
        _creates,
    ),
    "deploy": Topic(
        "deploy BRANCH to ENVIRONMENT, deploy APP/BRANCH to ENVIRONMENT or SERVER",
        "Puts another branch on servers that are there.",
        _deploys,
    ),
    "list": Topic(
        "list [my | all] environments, list servers [of ENVIRONMENT], list templates",
        "Shows what there is.",
        _of("list environments", "list my environments", "list servers of ENV", "list templates"),
    ),
    "show": Topic(
        "show ENVIRONMENT or SERVER",
        "Shows one environment or server: its state, branches, addresses and when it expires.",
        _of("show ENV", "show SERVER"),
    ),
    "why": Topic("why ENVIRONMENT", "Tells why something failed, and what to do next.", _of("why ENV")),
    "extend": Topic(
        "extend ENVIRONMENT [by 1d | until friday 18:00]",
        "Lets an environment live longer, as far as its template allows.",
        _of("extend ENV by 1d", "extend ENV until friday 18:00"),
    ),
    "hold": Topic(
        "hold ENVIRONMENT [for 4h | until tonight], release ENVIRONMENT",
        "Keeps an environment for debugging, as long as its template allows at most.",
        _of("hold ENV for 4h", "release ENV"),
    ),
    "protect": Topic(
        "protect ENVIRONMENT [for 7d | until friday 18:00] [because REASON], unprotect ENVIRONMENT",
        "Keeps an environment until then, or without end. For ops.",
        _of("protect ENV for 7d because we show it on friday", "unprotect ENV"),
    ),
    "plan": Topic(
        "when does ENVIRONMENT end, what ends tonight, reap plan",
        "Tells what ends by itself, when and why, and what is kept.",
        _of("when does ENV end", "what ends tonight", "reap plan"),
    ),
    "schedule": Topic("schedule", "Shows the scheduled jobs: when each runs, and how it went.", _of("schedule")),
    "retry": Topic("retry ENVIRONMENT", "Tries again what failed.", _of("retry ENV")),
    "cancel": Topic(
        "cancel ENVIRONMENT",
        "Ends what is being done to it: a create is taken back, a deploy or a retry leaves it failed.",
        _of("cancel ENV"),
    ),
    "terminate": Topic(
        "terminate ENVIRONMENT or SERVER",
        "Takes an environment or a server away for good. It asks first when that is somebody else's, when others need "
        "it, or when it is more than one.",
        _of("terminate ENV", "terminate SERVER", "terminate all my environments"),
    ),
    "logs": Topic("logs SERVER [LINES]", "Shows the end of a server's log.", _of("logs SERVER", "logs SERVER 50")),
    "branches": Topic("branches of APP", "Shows the branches that can be deployed.", _of("branches of APP")),
    "where": Topic("where can I deploy APP", "Shows the environments that run an app.", _of("where can I deploy APP")),
    "jobs": Topic("jobs", "Shows what is being done now, by whom and since when.", _of("jobs", "jobs of ENV")),
    "notify": Topic(
        "mute, unmute, notify me directly, notify me in the room",
        "Says how you want to hear of your environments.",
        _of("mute", "unmute", "notify me directly", "notify me in the room"),
    ),
    "link": Topic(
        "link CODE",
        "Connects this account with you, with the code that you were given.",
        _of("link 7KQ4-92MX", "whoami"),
    ),
}
