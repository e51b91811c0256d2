"""`python -m orchestrator.saltext.master`: salt-master, with what every call of our runner imports imported once.

Salt forks a process for each runner call, and that process loads every runner module there is before it calls one
(salt/client/mixins.py, `SyncClientMixin.low`). What the master has imported before it forks costs the call nothing;
what it has not, every one of them. A salt-master that is started in the ordinary way works just the same, more slowly.
"""

import contextlib
import importlib
import pkgutil

import salt.cloud
import salt.runners
from salt.scripts import salt_master

from orchestrator.domain import record, template
from orchestrator.saltext import branches, pool, stored

OURS = (salt.cloud, record, template, branches, pool, stored)


def import_runners() -> None:
    """Import all of Salt's runners for what they import; one that lacks a library of its own is of no use here."""
    for module in pkgutil.iter_modules(salt.runners.__path__, "salt.runners."):
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)


if __name__ == "__main__":
    import_runners()
    salt_master()
