"""What the inside needs and the outside provides. Fakes and real adapters are held to the same contract tests."""

from .chat import Chats, Conversations
from .curated import (
    AccessFile,
    CuratedAccess,
    CuratedFailures,
    CuratedProblem,
    CuratedTemplates,
    FailureCatalogue,
    Templates,
)
from .salt import Branches, Clock, Job, JobNews, JobReturn, Machine, Salt, SaltRefused, StateProgress
from .store import DATABASE_AWAY, JobRun, Ledger, ReaperBook, ReplicaBook, Store, Superseded

__all__ = [
    "DATABASE_AWAY",
    "AccessFile",
    "Branches",
    "Chats",
    "Clock",
    "Conversations",
    "CuratedAccess",
    "CuratedFailures",
    "CuratedProblem",
    "CuratedTemplates",
    "FailureCatalogue",
    "Job",
    "JobNews",
    "JobReturn",
    "JobRun",
    "Ledger",
    "Machine",
    "ReaperBook",
    "ReplicaBook",
    "Salt",
    "SaltRefused",
    "StateProgress",
    "Store",
    "Superseded",
    "Templates",
]
