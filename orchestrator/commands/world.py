"""What commands work with."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.domain.environment import Operation
from orchestrator.engine.progress import Hub
from orchestrator.ports import AccessFile, Clock, JobRun, Salt, Store, Templates
from orchestrator.settings import Settings


@dataclass(frozen=True)
class World:
    """The ports, the hub that says when something was written, `start`, which starts an operation's workflow, and
    `start_run`, which starts that of a scheduled job's run. `stopping`: this process is about to end; nothing new is
    begun in it."""

    store: Store
    salt: Salt
    templates: Templates
    access: AccessFile
    clock: Clock
    hub: Hub
    start: Callable[[Operation], None]
    start_run: Callable[[JobRun], None]
    settings: Settings
    stopping: threading.Event = field(default_factory=threading.Event)
