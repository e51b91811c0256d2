"""From any Salt outcome to root causes that a person understands.

`unwrap` finds the returns in whatever Salt gave, `causes` finds in a return what failed first, `catalogue` has the
words that ops curate, and `explain` brings them together. Nothing here raises, whatever it is given.
"""

from .branches import branch_missing, nearest_branches, nearest_sentence
from .catalogue import Catalogue, Entry
from .explain import explain, explain_document, never_started, no_return, salt_refused, unanswered
from .failure import Failure, Subject, group, leading, listed

__all__ = [
    "Catalogue",
    "Entry",
    "Failure",
    "Subject",
    "branch_missing",
    "explain",
    "explain_document",
    "group",
    "leading",
    "listed",
    "nearest_branches",
    "nearest_sentence",
    "never_started",
    "no_return",
    "salt_refused",
    "unanswered",
]
