"""`python -m orchestrator.saltext.master`: salt-master, with what every call of our runner imports imported once.

Salt forks a process for each runner call. What the master has imported before it forks costs the call nothing; what it
has not costs every one of them, about 0.1 s of processor time for these. A salt-master that is started in the ordinary
way works just the same, a little slower.
"""

import salt.cloud
from salt.scripts import salt_master

from orchestrator.domain import record, template
from orchestrator.saltext import branches, pool, stored

IMPORTED_FOR_ITS_FORKS = (salt.cloud, record, template, branches, pool, stored)

if __name__ == "__main__":
    salt_master()
