"""Finding the returns in whatever Salt gave: answers of salt-api, the job cache, events, the command line, runners.

The shapes are those of Salt 3008.3, recorded in tests/failures/corpus; other versions' differ in the wrapping only.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .causes import Cause, causes_of, exit_code, looks_like_states, server_name
from .text import clean, lines_of, one_line, without_tags, worded

DEEPEST = 12
MOST = 2_000  # minions
_ERRORS = ("Error", "error")
_NO_RETURN = "Minion did not return"


@dataclass(frozen=True)
class Outcome:
    """What failed on one minion, if anything; `server` is "" for the master itself and where it is not known."""

    server: str
    causes: tuple[Cause, ...]


def outcomes_of(document: object) -> list[Outcome]:
    """The outcomes in a document of any of the known shapes; those without causes went well, or tell nothing."""
    return list(islice(_outcomes(document, "", 0), MOST))


def _outcomes(document: object, server: str, depth: int) -> Iterator[Outcome]:
    if isinstance(document, Mapping) and depth < DEEPEST:
        yield from _of_mapping(document, server, depth)
    elif isinstance(document, str):
        yield Outcome(server, tuple(_of_text(document)))
    else:
        yield Outcome(server, tuple(causes_of(document)))


def _of_mapping(document: Mapping[Any, Any], server: str, depth: int) -> Iterator[Outcome]:
    if looks_like_states(document):
        yield Outcome(server, tuple(causes_of(document)))
    elif isinstance(document.get("return"), list) and len(document) <= 2:  # salt-api; with `info` for GET /jobs/JID
        for part in document["return"][:MOST]:
            yield from _of_answer(part, depth + 1)
    elif document.get("ok") is False and isinstance(document.get("error"), Mapping):  # our own runner
        yield Outcome(server, (_refusal(document["error"]),))
    elif isinstance(document.get("Result"), Mapping) and "Error" not in document:  # jobs.list_job
        yield from _of_job(document, depth + 1)
    elif "status" in document and "body" in document:  # an answer of salt-api over HTTP
        yield from _of_http(document, depth)
    elif "data" in document and ("outputter" in document or "tag" in document):  # jobs.lookup_jid, an event
        yield from _outcomes(document["data"], server, depth + 1)
    elif "fun" in document and "return" in document:  # the return of a job, as an event has it
        yield from _outcomes(document["return"], server_name(document.get("id") or server), depth + 1)
    elif "ret" in document and ("retcode" in document or "jid" in document):  # full_return
        yield from _of_full_return(document, server, depth)
    elif any(isinstance(document.get(key), str) for key in _ERRORS):
        text = clean("\n".join(str(document[key]) for key in _ERRORS if isinstance(document.get(key), str)))
        yield Outcome(server, (Cause("cloud", text=text, comment=lines_of(text)[0] if lines_of(text) else ""),))
    elif not server or depth < 3:
        for name, part in islice(document.items(), MOST):
            if part is None:  # `brine job` shows so that a minion has not returned
                yield Outcome(server_name(name), (Cause("silence", text=f"{_NO_RETURN}."),))
            elif isinstance(part, Mapping | list | str):
                yield from _outcomes(part, server_name(name), depth + 1)
    else:
        yield Outcome(server, tuple(causes_of(document)))


def _refusal(error: Mapping[Any, Any]) -> Cause:
    """A refusal of our own runner: `code`, `message`, and `detail`, which has the driver's words."""
    message, detail = clean(error.get("message") or ""), clean(error.get("detail") or "")
    return Cause("cloud", text=detail, comment=message, code=one_line(clean(error.get("code") or ""), 60))


def _of_answer(part: object, depth: int) -> Iterator[Outcome]:
    """One element of salt-api's list `return`."""
    if isinstance(part, str):
        text = clean(part)
        yield Outcome("", (Cause("runner", text=text, comment=lines_of(text)[0] if lines_of(text) else ""),))
    elif part == {}:
        yield Outcome("", (Cause("silence", text="No minions matched the target."),))
    else:
        yield from _outcomes(part, "", depth)


def _of_job(job: Mapping[Any, Any], depth: int) -> Iterator[Outcome]:
    """A job of which some minions may be missing, which is all that tells that they did not return."""
    result = job["Result"]
    for name, part in islice(result.items(), MOST):
        returned = part.get("return") if isinstance(part, Mapping) else part
        yield from _outcomes(returned, server_name(name), depth)
    minions = job.get("Minions")
    for name in minions[:MOST] if isinstance(minions, list) else ():
        if name not in result:
            yield Outcome(server_name(name), (Cause("silence", text=f"{_NO_RETURN}."),))


def _of_full_return(document: Mapping[Any, Any], server: str, depth: int) -> Iterator[Outcome]:
    found = list(_outcomes(document["ret"], server, depth + 1))
    retcode = document.get("retcode")
    if any(outcome.causes for outcome in found) or retcode in (0, None):
        yield from found
    else:
        yield Outcome(server, (Cause("function", text=clean(document["ret"]), retcode=exit_code(retcode)),))


def _of_http(document: Mapping[Any, Any], depth: int) -> Iterator[Outcome]:
    status, body = document["status"], document["body"]
    is_fine = isinstance(status, int) and status < 400
    if is_fine and isinstance(body, str):
        body = _parsed(body)
    if isinstance(body, Mapping | list):
        yield from _outcomes(body, "", depth + 1)
    elif not is_fine:
        words, said = clean(without_tags(worded(body))), f"HTTP {one_line(clean(status), 20)}"
        yield Outcome("", (Cause("api", text=f"{said}\n{words}", comment=said, code=said.removeprefix("HTTP ")),))


def _parsed(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _of_text(text: str) -> list[Cause]:
    """A string is never a success of a state run; of another function it is just what it returned."""
    plain = clean(text)
    if _NO_RETURN in plain or "No response" in plain[:200]:
        return [Cause("silence", text=plain)]
    return [cause for cause in causes_of(plain) if _says_failure(plain)]


def _says_failure(text: str) -> bool:
    marks = (
        "Traceback",
        "Exception",
        "ERROR",
        "Error",
        "not available",
        "invalid arguments",
        "denied",
        "rror occurred",
    )
    return any(mark in text for mark in marks)
