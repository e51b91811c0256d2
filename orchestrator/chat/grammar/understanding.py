"""`understand` and `complete`: the way of a line through the grammar, and what happens when it goes wrong."""

from datetime import datetime
from zoneinfo import ZoneInfo

from lark import UnexpectedInput

from orchestrator.chat.intent import Command, Missing, Part, Unclear, Understood, Verb, Vocabulary

from .checks import settle
from .nearest import nearest
from .parsing import broken_at, parse
from .reading import Scene, read
from .spelling import spell
from .topics import examples
from .typed import LONGEST, tidy
from .words import GAP, Odd

_TOO_LONG = f"That is too long for a command; say it in at most {LONGEST} characters."


def understand(text: str, vocabulary: Vocabulary, now: datetime, zone: ZoneInfo) -> Understood:
    """What a line means. `now` is aware; `zone` is the person's, in which “18:00” is meant."""
    scene = Scene(vocabulary, now, zone)
    line = _line(text, vocabulary)
    return line if isinstance(line, Unclear) else _understand(line, scene)


def complete(
    command: Command,
    part: Part,
    text: str,
    vocabulary: Vocabulary,
    now: datetime,
    zone: ZoneInfo,
    of: str | None = None,
) -> Understood:
    """The command with what was missing (`Missing.command`, `.part` and `.of`), taken from the answer.

    An answer that is a command of its own (`help`, `never mind`, `list environments`, a number to pick) is that
    command. The result may be Missing again, for the next part.
    """
    scene = Scene(vocabulary, now, zone)
    line = _line(text, vocabulary)
    if isinstance(line, Unclear):
        return line
    other = _read(line, scene)
    if _is_of_its_own(other, line, part, vocabulary):
        return other
    if part in ("template", "role", "name") and " " not in line:
        return settle(command.but(**{part: _named(command, part, _unquoted(line).lower(), vocabulary)}), vocabulary)
    understood = _understand(_filled(command, part, of, line), scene)
    if part == "duration" and isinstance(understood, Unclear):  # friday 18:00
        until = _read(f"{spell(command)} until {line}", scene)
        return understood if isinstance(until, Unclear) else until
    return understood


def _line(text: str, vocabulary: Vocabulary) -> str | Unclear:
    """The tidied line; Unclear when there is nothing in it, or too much."""
    general = tuple(examples(vocabulary)[:3])
    if len(text) > 4 * LONGEST:
        return Unclear("", general, _TOO_LONG)
    line = tidy(text, vocabulary.bots)
    if len(line) > LONGEST:
        return Unclear("", general, _TOO_LONG)
    return line or Unclear("", general, "Tell me what to do.")


def _understand(line: str, scene: Scene) -> Understood:
    """As `_read`; what is unclear gets suggestions."""
    understood = _read(line, scene)
    if not isinstance(understood, Unclear) or understood.suggestions:
        return understood
    found = nearest(line, scene.vocabulary, lambda other: _read(other, scene))
    if not found and understood.understood:
        found = _beginning(understood.understood, scene)
    return Unclear(understood.understood, tuple(found or examples(scene.vocabulary)[:3]), understood.reason)


def _beginning(line: str, scene: Scene) -> list[str]:
    """The part that made sense, as a command of its own; never one that takes away more than was named."""
    begun = _read(line, scene)
    command = begun.command if isinstance(begun, Missing) else begun
    if isinstance(command, Unclear) or command.everything or isinstance(settle(command, scene.vocabulary), Missing):
        return []
    return [spell(command)]


def _read(line: str, scene: Scene) -> Understood:
    """What a tidied line means. Unclear has suggestions only when the reading itself knows some."""
    try:
        tree = parse(line)
    except UnexpectedInput as error:
        return _broken(line, broken_at(line, error), scene)
    try:
        return settle(read(tree, scene), scene.vocabulary)
    except Odd as odd:
        return Unclear(_understood_of(line, odd.reason), odd.suggestions, odd.reason)


def _understood_of(line: str, reason: str) -> str:
    """What stands before the word that a reason quotes."""
    quoted = reason.partition("“")[2].partition("”")[0]
    return line[: line.find(f" {quoted}")].strip() if quoted and f" {quoted}" in line else ""


def _broken(line: str, place: int, scene: Scene) -> Understood:
    """The grammar gave up at `place`: something is missing, the name comes first, or it is no command."""
    if place == len(line) and GAP not in line:
        asked = _read(f"{line} {GAP}", scene)
        if isinstance(asked, Missing):
            return asked
    first, _, rest = line.partition(" ")
    names = [each.lower() in scene.vocabulary.targets for each in line.split()[:2]]
    if names in ([True], [True, False]) and GAP not in line:  # cart-test, cart-test status
        return _read(f"{rest} {first}".strip(), scene) if rest else Command(Verb.SHOW, targets=(first.lower(),))
    begun = line[:place].strip()
    if not begun or begun.isdigit():
        said = line if first.isdigit() else first
        return Unclear("", (), f"I do not know the command “{said.strip(',:')}”.")
    rest = line[place:].replace(GAP, "").strip()
    reason = f"I understood “{begun}”, but not “{rest}”." if rest else f"After “{begun}” I expected something more."
    return Unclear(begun, (), reason)


_NOISE = ("the branch ", "branch ", "on ", "the ", "for ", "by ", "to ", "from ", "use ", "it is ", "it's ")


def _named(command: Command, part: Part, name: str, vocabulary: Vocabulary) -> str:
    """A role may be named by its app."""
    return vocabulary.role_of(command.template or "", name) or name if part == "role" else name


def _filled(command: Command, part: Part, of: str | None, answer: str) -> str:
    """The text of the command with the answer at its place."""
    noise = next((begin for begin in _NOISE if answer.lower().startswith(begin)), "")
    answer = answer[len(noise) :].removesuffix(" one")
    if part == "duration":
        return f"{spell(command)} {answer if answer.lower().startswith('until ') else f'for {answer}'}"
    value = _unquoted(answer) if part == "branch" and " " not in answer else GAP
    return spell(_with(command, part, of, value)).replace(GAP, answer)


def _unquoted(answer: str) -> str:
    return answer[1:-1] if len(answer) > 2 and answer[0] in "\"'" and answer[-1] == answer[0] else answer


def _with(command: Command, part: Part, of: str | None, value: str) -> Command:
    """The command with `value` as the part that was missing."""
    if part == "branch" and command.verb is Verb.DEPLOY:
        return command.but(what=f"{of}/{value}" if of and value != GAP else value, app=None)
    if part == "branch" and of and command.role is None:
        return command.but(branches={**command.branches, of: value})
    if part in ("target", "server") or (part == "environment" and command.verb is not Verb.CREATE):
        return command.but(targets=(*command.targets, value))
    return command.but(**{_FIELDS.get(part, part): value})


_FIELDS = {"environment": "use"}


def _is_of_its_own(other: Understood, line: str, part: Part, vocabulary: Vocabulary) -> bool:
    """Whether an answer is a command rather than the part that was asked for."""
    names = {*vocabulary.targets, *vocabulary.templates, *vocabulary.roles, *vocabulary.people, *vocabulary.branches}
    if isinstance(other, Unclear) or line.lower() in names or line in vocabulary.branches:
        return False
    if part == "branch" and isinstance(other, Missing) and " " not in line:
        return False  # a branch may well be called release or fix
    bare_list = isinstance(other, Command) and other.verb is Verb.LIST and not line.lower().startswith(_LISTS)
    return not (bare_list and part in ("environment", "server", "target"))


_LISTS = ("list", "ls", "show", "get", "what", "which")
