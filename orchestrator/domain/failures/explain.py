"""From what Salt gave to what people are told."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from orchestrator.domain.errors import Unavailable

from .branches import branch_missing
from .catalogue import Catalogue, Recognised
from .causes import Cause, causes_of, looks_like_states
from .failure import Failure, Subject, group
from .text import clean, evidence, lines_of, one_line, short, shown, telling_line
from .unwrap import outcomes_of

BRANCH_MISSING = "branch-missing"
MOST_TOLD = 500  # causes of all servers together; of each server the first one is told in any case
TITLE, EXPLANATION = 500, 1_000  # characters
_WRAPPING = re.compile(r"^Rendering SLS '[^']*' failed: ")
_OPS = "This is for ops: correct it, then retry."


def explain(ret: object, subject: Subject, catalogue: Catalogue, retcode: int = 0) -> list[Failure]:
    """The root causes in what a highstate of one server returned; empty when it succeeded.

    `ret` is a state dict, a list of render errors, or a string. What is none of these is a failure too.
    """
    causes = causes_of(ret)
    odd = isinstance(ret, Mapping) and bool(ret) and not looks_like_states(ret)
    if not causes and (odd or retcode):
        causes = [Cause("unknown", text=clean(shown(ret)))]
    return told(causes, subject, catalogue)


def explain_document(document: object, subject: Subject, catalogue: Catalogue) -> list[Failure]:
    """The root causes in a saved answer, job, event or return of any shape, the same one on several servers once."""
    outcomes = outcomes_of(document)
    failed = [outcome for outcome in outcomes if outcome.causes]
    most = max(1, MOST_TOLD // max(1, len(failed)))  # of each, so that very many do not take very long
    found = [
        failure
        for outcome in failed
        for failure in told(outcome.causes[:most], replace(subject, server=outcome.server or subject.server), catalogue)
    ]
    return group(found, len({outcome.server for outcome in outcomes}))


def told(causes: Iterable[Cause], subject: Subject, catalogue: Catalogue) -> list[Failure]:
    """What is said about each cause, the same once."""
    return group([_failure(cause, _whose(cause, subject), catalogue) for cause in causes])


def _whose(cause: Cause, subject: Subject) -> Subject:
    return replace(subject, server=cause.server) if cause.server else subject


def _failure(cause: Cause, subject: Subject, catalogue: Catalogue) -> Failure:
    """What is said about a cause, in lines of a length that people read."""
    found = _said(cause, subject, catalogue)
    title, explanation = one_line(found.title, TITLE), one_line(found.explanation, EXPLANATION)
    return replace(found, title=title, explanation=explanation, action=one_line(found.action, TITLE))


def _said(cause: Cause, subject: Subject, catalogue: Catalogue) -> Failure:
    words = {
        "server": subject.server, "role": subject.role, "branch": subject.branch, "repository": subject.repository,
        "on": _on(subject),
    }  # fmt: skip
    recognised = catalogue.recognise(cause, words)
    if recognised is None:
        return _refused(cause, subject) if cause.kind == "cloud" and cause.code else _fallback(cause, subject)
    if recognised.code == BRANCH_MISSING:
        return _branch_missing(recognised, cause, subject)
    entry = recognised.entry
    return Failure(
        code=recognised.code,
        title=_titled(subject, recognised.say(entry.title)),
        explanation=recognised.say(entry.explanation).strip(),
        action=recognised.say(entry.action),
        audience=entry.audience,
        servers=_servers(subject),
        evidence=evidence(cause.text, recognised.at),
        link=entry.link,
    )


def _branch_missing(recognised: Recognised, cause: Cause, subject: Subject) -> Failure:
    """In the words that are used before anything is built, with the nearest branches if they are known."""
    branch = recognised.words.get("branch") or subject.branch
    repository = subject.repository or cause.name
    failure = branch_missing(replace(subject, branch=branch, repository=repository))
    return replace(failure, evidence=evidence(cause.text, recognised.at), link=recognised.entry.link)


def _fallback(cause: Cause, subject: Subject) -> Failure:
    """What no entry knows: what was said itself, cleaned."""
    code, title, action, audience = _FALLBACKS[cause.kind]
    said = _WRAPPING.sub("", telling_line(cause.text))
    if cause.kind in ("render", "pillar") and cause.file:
        said = f"{cause.file}{f', line {cause.line}' if cause.line else ''}: {said}"
    where = _titled(subject, title.format(id=cause.id, branch=subject.branch, on=_on(subject)))
    return Failure(code, where, said, action, audience, _servers(subject), evidence(cause.text, said))


def _on(subject: Subject) -> str:
    return f" on branch {subject.branch}" if subject.branch else ""


_FALLBACKS = {
    "state": (
        "state-failed", "the step “{id}” failed{on}.",
        "Mend it on the branch and deploy again, or ask ops if it is not about your change.", "developer",
    ),
    "render": ("states-do-not-render", "Salt could not read the states, so nothing was changed.", _OPS, "ops"),
    "pillar": ("pillar-does-not-render", "Salt could not read the pillar, so nothing was changed.", _OPS, "ops"),
    "function": ("highstate-broke", "Salt could not run what it was asked to.", _OPS, "ops"),
    "runner": ("runner-failed", "a runner on the Salt master failed.", _OPS, "ops"),
    "cloud": ("cloud-failed", "the cloud refused.", _OPS, "ops"),
    "api": ("salt-api-refused", "salt-api refused.", _OPS, "ops"),
    "silence": ("no-return", "its minion did not return.", "Retry; if it happens again, ask ops to look at it.", "ops"),
    "unknown": ("highstate-broke", "Salt answered in a way that makes no sense.", _OPS, "ops"),
}  # fmt: skip


FALLBACK_CODES = frozenset(code for code, *_ in _FALLBACKS.values())


def _titled(subject: Subject, text: str) -> str:
    """What is wrong, with the server that it is about before it; a sentence of its own when it is about none."""
    return f"{subject.server}: {text}" if subject.server else f"{text[:1].upper()}{text[1:]}"


def _servers(subject: Subject) -> tuple[str, ...]:
    return (subject.server,) if subject.server else ()


def no_return(
    server: str, waited: str, log: str = "", catalogue: Catalogue | None = None, reached: str = ""
) -> Failure:
    """The minion took the job and never returned. `log`: the end of its own log, if there is one.

    `reached`: a sentence that says how far it came, if that is known.
    """
    return _silent(
        Failure(
            code="no-return",
            title=f"{server}: its minion took the highstate and did not return within {waited}.",
            explanation=reached or "The job is not running there any more, or its result was lost.",
            action="Retry; if it happens again, ask ops to look at the minion.",
            servers=(server,),
        ),
        log,
        catalogue,
    )


def never_started(server: str, waited: str, log: str = "", catalogue: Catalogue | None = None) -> Failure:
    """The machine was made, but its minion never answered. `log`: the end of its own log, if there is one."""
    return _silent(
        Failure(
            code="never-started",
            title=f"{server}: the machine was made, but its minion did not answer within {waited}.",
            explanation="Nothing could be configured on it.",
            action="Retry; if it happens again, ask ops to look at the machine and at the minion's log.",
            audience="ops",
            servers=(server,),
        ),
        log,
        catalogue,
    )


def _silent(failure: Failure, log: str, catalogue: Catalogue | None) -> Failure:
    """Of what is known about a silent minion, the reason if the catalogue finds it in its log, else its last words."""
    text = clean(log)
    if not text:
        return failure
    cause, subject = Cause("silence", log=text), Subject(failure.servers[0])
    if (catalogue or Catalogue()).recognise(cause, {}) is not None:
        return replace(_failure(cause, subject, catalogue or Catalogue()), evidence=evidence(text))
    said = telling_line(text)
    return replace(
        failure, explanation=f"Its log says: {said}" if said else failure.explanation, evidence=evidence(text)
    )


def unanswered(server: str, undone: str, waited: str, error: Unavailable, because: str) -> Failure:
    """Salt was away until the time of a phase was over. `undone`: what has not happened (`its machine was not made`).

    `because`: what was wrong with Salt (`salt-api did not answer`).
    """
    return Failure(
        code=error.code,
        title=f"{server}: {undone} within {waited}, because {because}.",
        explanation=one_line(clean(error.message), EXPLANATION),
        action="Ask ops to look with `brine status`, then try again.",
        audience="ops",
        servers=(server,),
        evidence=evidence(clean(error.detail)),
    )


def salt_refused(server: str, code: str, message: str, detail: str, catalogue: Catalogue | None = None) -> Failure:
    """Our runner on the master refused, as data. The driver's words, in `detail`, are looked up in the catalogue."""
    cause = Cause("cloud", text=clean(detail), comment=clean(message), code=code)
    return _failure(cause, Subject(server), catalogue or Catalogue())


def _refused(cause: Cause, subject: Subject) -> Failure:
    """What our own code says about a refusal, and the telling line of the driver's."""
    said = short(next(iter(lines_of(cause.comment)), "Salt refused."))
    return Failure(
        code=cause.code,
        title=f"{subject.server}: {said}" if subject.server else said,
        explanation=telling_line(cause.text),
        action=_OPS,
        audience="ops",
        servers=_servers(subject),
        evidence=evidence(cause.text),
    )
