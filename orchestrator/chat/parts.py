"""Asking for what a command lacks, with what there is to pick from."""

from orchestrator.commands import branches, find
from orchestrator.domain.conversation import Outcome
from orchestrator.domain.errors import BrinepoolError

from .intent import Command, Missing
from .replies import Reply, Tone
from .talk import Option, Said, Talk

MOST = 8  # options; more are not read, and a name can be typed as well

_QUESTIONS = {
    "template": "Which template?",
    "role": "Which role?",
    "environment": "Which environment?",
    "server": "Which server?",
    "target": "Which environment or server?",
    "name": "What is it to be called?",
    "duration": "For how long? Such as 4h or 2d.",
    "app": "Which app?",
    "person": "Whose?",
}


def ask_for(talk: Talk, missing: Missing) -> Said:
    """The question for the missing part; its answer completes the command."""
    known = _known(talk, missing)
    lines = (f"And {len(known) - MOST} more; type the name.",) if len(known) > MOST else ()
    title = f"Which branch for {missing.of}?" if missing.part == "branch" and missing.of else _title(missing)
    options = [Option(each, each) for each in known[:MOST]]
    return Said(Reply(title=title, tone=Tone.QUESTION, lines=lines), Outcome.ASKED, options=options, missing=missing)


def _title(missing: Missing) -> str:
    return _QUESTIONS.get(missing.part, "Which branch?")


def _known(talk: Talk, missing: Missing) -> list[str]:
    words = talk.vocabulary
    match missing.part:
        case "template":
            return list(words.templates)
        case "role":
            return list(words.templates.get(missing.command.template or "", {}))
        case "environment":
            return list(words.environments)
        case "server":
            return list(words.servers)
        case "target":
            return [*words.environments, *words.servers]
        case "app":
            return sorted({app for roles in words.templates.values() for app in roles.values()})
        case "branch":
            return _branches(talk, missing)
        case "person":
            return list(words.people)
        case _:
            return []


def _branches(talk: Talk, missing: Missing) -> list[str]:
    """The branches of the repositories that are meant, the defaults first. Not knowing them only shortens the help."""
    name = missing.command.template or _template_of(talk, missing.command)
    if name is None:
        return []
    role = talk.vocabulary.role_of(name, missing.of) if missing.of else None
    try:
        found = branches.list_all(talk.world, find.template(talk.world, name), role)
    except BrinepoolError:
        return []
    names = dict.fromkeys([known.default for known in found.values()])
    return list(names | dict.fromkeys(branch for known in found.values() for branch in known.names))


def _template_of(talk: Talk, command: Command) -> str | None:
    """The template of the first thing that is deployed to."""
    wanted = command.targets[:1]
    for view in talk.environments()[0]:
        if view.name in wanted or any(target.startswith(f"{view.name}-") for target in wanted):
            return view.template
    return None
