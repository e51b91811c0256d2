"""The reaper's decisions: which environments end, when, and why; which are warned about, and which are kept.

Pure. `facts` says what is looked at, `causes` why an environment would end, `keeping` what keeps it, `plan` what is
to be done now, `words` how a person is told.
"""

from orchestrator.domain.keeping import Hold, Protection

from .facts import (
    ENOUGH_CHECKS,
    UNREADABLE,
    Action,
    ActionKind,
    Candidate,
    Cause,
    GoneBranch,
    Policy,
    Snapshot,
    Warned,
    checked,
    policy_of,
)
from .keeping import extended, hold_ends, hold_until, tomorrow_morning
from .plan import noticed, plan_reap
from .words import explain

__all__ = [
    "ENOUGH_CHECKS",
    "UNREADABLE",
    "Action",
    "ActionKind",
    "Candidate",
    "Cause",
    "GoneBranch",
    "Hold",
    "Policy",
    "Protection",
    "Snapshot",
    "Warned",
    "checked",
    "explain",
    "extended",
    "hold_ends",
    "hold_until",
    "noticed",
    "plan_reap",
    "policy_of",
    "tomorrow_morning",
]
