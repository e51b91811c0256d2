"""Salt's jobs, whole: for ops, who know how to read them."""

from typing import Any

from orchestrator.domain.environment import Actor
from orchestrator.domain.jids import check_jid
from orchestrator.domain.masking import mask_secrets_in
from orchestrator.domain.policy import Act
from orchestrator.ports import Job

from . import permissions
from .views import SaltJobView
from .world import World


def show(world: World, actor: Actor, jid: str) -> SaltJobView:
    """All that Salt returned for a job, masked.

    NotAllowed below ops; BadInput for what is no job id; NotFound when Salt has nothing of it (any more).
    """
    permissions.check(world, actor, Act.READ_RETURNS)
    return _view(world.salt.job(check_jid(jid)))


def _view(job: Job) -> SaltJobView:
    """What minions returned was masked there, with the values that they know; what looks like a secret is once more."""
    returns: dict[str, Any] = {name: each.ret if each else None for name, each in job.returns.items()}
    return SaltJobView(
        jid=job.jid,
        function=job.function,
        arguments=mask_secrets_in(list(job.arguments)),
        returns=mask_secrets_in(returns),
        retcodes={name: each.retcode if each else None for name, each in job.returns.items()},
    )
