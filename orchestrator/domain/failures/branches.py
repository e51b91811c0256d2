"""A branch that is not there: the same words before anything is built and after a highstate."""

import difflib
from collections.abc import Iterable, Sequence

from .failure import Failure, Subject, listed


def nearest_branches(wanted: str, names: Iterable[str], at_most: int = 3) -> list[str]:
    """The names most like `wanted`, best first; when nothing is like it, simply the first names."""
    known = sorted(set(names) - {wanted})
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(wanted.lower(), list(lowered), n=at_most, cutoff=0.5)
    return [lowered[name] for name in close] or known[:at_most]


def nearest_sentence(near: Sequence[str]) -> str:
    """`The nearest branches are feature/cart and main.`; nothing when there is none."""
    return f"The nearest {'branch is' if len(near) == 1 else 'branches are'} {listed(near)}." if near else ""


def branch_missing(subject: Subject) -> Failure:
    """A branch that the repository does not have."""
    near = nearest_branches(subject.branch, subject.branches)
    where = f" in {subject.repository}" if subject.repository else ""
    said = f"there is no branch “{subject.branch}”{where}."
    return Failure(
        code="branch-missing",
        title=f"{subject.role}: {said}" if subject.role else f"{said[:1].upper()}{said[1:]}",
        explanation=nearest_sentence(near),
        action="Ask again with a branch that exists, or push this one first.",
        servers=(subject.server,) if subject.server else (),
    )
