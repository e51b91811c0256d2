"""What somebody may have meant: whole commands that differ from what was typed in a word or two. Pure."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from orchestrator.chat.intent import Command, Unclear, Understood, Vocabulary

from .parsing import is_keyword
from .spelling import spell

Reader = Callable[[str], Understood]

VERBS = (
    "create", "make", "start", "deploy", "redeploy", "ship", "update", "switch", "terminate", "destroy",
    "delete", "remove", "kill", "stop", "cancel", "extend", "keep", "retry", "hold", "unhold",
    "protect", "unprotect", "plan", "schedule", "show", "describe", "status", "list", "why", "jobs",
    "where", "branches", "logs", "help", "link", "notify", "mute", "unmute", "whoami",
)  # fmt: skip
WORDS = (
    "environment", "environments", "server", "servers", "template", "templates", "jobs", "branches", "branch", "logs",
    "all", "my", "as", "called", "for", "until", "with", "use", "using", "on", "of", "to", "by", "and", "can", "deploy",
    "days", "day", "hours", "hour", "weeks", "minutes", "today", "tonight", "tomorrow", "monday", "tuesday",
    "wednesday", "thursday", "friday", "saturday", "sunday", "create", "lines",
)  # fmt: skip
# Words for things that we call otherwise; they are offered, never taken for granted.
MEANT = {
    "end": ("terminate",),
    "restart": ("retry", "show"),
    "reboot": ("retry", "show"),
    "rebuild": ("retry",),
    "rollback": ("deploy",),
    "revert": ("deploy",),
    "build": ("create",),
    "pin": ("protect", "extend"),
    "unpin": ("unprotect",),
    "lock": ("protect", "hold"),
    "unlock": ("unprotect", "unhold"),
    "freeze": ("hold",),
    "reap": ("terminate", "plan"),
    "add": ("create",),
    "clone": ("create",),
    "scale": ("create",),
    "connect": ("show",),
    "ssh": ("show",),
    "url": ("show",),
    "error": ("why",),
    "errors": ("why",),
    "tickets": ("jobs",),
    "queue": ("jobs",),
}
_LOOKED_AT = 10  # words; a longer line is no mistyped command
_TRIES = 30
_SPREAD = 0.1  # how much less like the best one the others may be
_CUTOFFS = {2: 0.5, 3: 0.6, 4: 0.6}  # one wrong letter of two is half of the word
_A_VERB = 0.83  # two letters of six changed places


def nearest(line: str, vocabulary: Vocabulary, read: Reader) -> list[str]:
    """At most three commands, the nearest first. `read` tells what a line means, without suggestions of its own."""
    words = line.split(" ")
    found: dict[str, float] = {}
    for changed, likeness in islice(_changes(words, vocabulary), _TRIES):
        for command in _commands(read(" ".join(changed)), alone=len(words) == 1, likeness=likeness):
            found[command] = max(found.get(command, 0.0), likeness)
    worst = max(found.values(), default=0.0) - _SPREAD
    return [command for command in sorted(found, key=lambda each: -found[each]) if found[command] >= worst][:3]


def _commands(understood: Understood, alone: bool, likeness: float) -> Iterable[str]:
    """Whole commands. A single word that is hardly like a verb is no beginning of a command (“there?”, “lunch?”)."""
    if isinstance(understood, Unclear):
        return understood.suggestions
    if isinstance(understood, Command):
        return [spell(understood)]
    return [] if alone and likeness < _A_VERB else [spell(understood.command)]


def _changes(words: list[str], vocabulary: Vocabulary) -> Iterator[tuple[list[str], float]]:
    """The line with one word replaced, then with the best replacement of two."""
    joined = [[*words[:at], "-".join(words[at : at + 2]), *words[at + 2 :]] for at in range(1, len(words) - 1)]
    yield from ((line, 0.95) for line in joined if set(line) & set(vocabulary.targets) - set(words))  # tax demo
    places = range(min(len(words), _LOOKED_AT))
    single = [(place, *change) for place in places for change in _instead(words, place, vocabulary)]
    single.sort(key=lambda change: -change[2])
    for place, other, likeness in single:
        yield [*words[:place], other, *words[place + 1 :]], likeness
    for index, (place, other, likeness) in enumerate(single):
        for second, another, more in single[index + 1 :]:
            if second != place:
                both = list(words)
                both[place], both[second] = other, another
                yield both, likeness * more


def _instead(words: list[str], place: int, vocabulary: Vocabulary) -> Iterator[tuple[str, float]]:
    """Words that may have been meant at this place, with how like they are."""
    word = words[place].strip("!,").lower()
    known = {*vocabulary.templates, *vocabulary.roles, *vocabulary.targets, *vocabulary.people}
    if word in known:
        return
    if place == 0 and word in MEANT:
        yield from ((other, 0.9) for other in MEANT[word])
        return
    if word.isdigit() and place > 0:
        yield from ((f"{word}{unit}", 0.9) for unit in "dh")
        return
    if len(word) < 2:
        return
    pool = VERBS if place == 0 else (*WORDS, *known)
    if is_keyword(word) and word in pool:
        return
    for other in difflib.get_close_matches(word, pool, n=3, cutoff=_CUTOFFS.get(len(word), 0.7)):
        yield other, difflib.SequenceMatcher(None, word, other).ratio()
