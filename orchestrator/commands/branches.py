"""What a branch means: which role gets which branch, decided with the repositories' real branches."""

from collections.abc import Iterable, Mapping

from orchestrator.domain.errors import BadInput, Unavailable
from orchestrator.domain.failures import Failure, Subject, branch_missing, nearest_branches, nearest_sentence
from orchestrator.domain.template import Template, is_branch_name, public_url
from orchestrator.ports import Branches, SaltRefused

from .world import World


def at_remote(world: World, template: str, roles: Iterable[str]) -> dict[str, Branches]:
    """The branches of each role's repository. Unavailable when a repository does not answer."""
    names = list(roles)
    try:
        if len(names) == 1:
            return {names[0]: world.salt.branches(template, names[0])}
        known = world.salt.all_branches(template)
        return {role: known[role] for role in names}
    except SaltRefused as refused:
        raise Unavailable(refused.code, refused.message, detail=refused.detail) from refused


def valid(branch: str) -> str:
    """Return `branch` if git would take it as a name."""
    if not is_branch_name(branch):
        raise BadInput(
            "branch-invalid", f"“{branch}” cannot be a branch's name; check it for spaces and odd characters."
        )
    return branch


def named(world: World, template: Template, wanted: Mapping[str, str]) -> None:
    """Check branches that were asked for by role, before anything is built (unless that check is switched off)."""
    for branch in wanted.values():
        valid(branch)
    if not wanted or not world.settings.early_branch_check:
        return
    for role, known in at_remote(world, template.name, wanted).items():
        if wanted[role] not in known.names:
            missing = branch_missing(Subject("", role, wanted[role], known.repository, known.names))
            raise refusal(missing, wanted[role], known.names)


def everywhere(world: World, template: Template, roles: Iterable[str], branch: str) -> list[str]:
    """The roles whose repository has `branch`. BadInput when none has it."""
    known = at_remote(world, template.name, roles)
    having = [role for role, found in known.items() if valid(branch) in found.names]
    if not having:
        everything = {name for found in known.values() for name in found.names}
        raise refusal(_nowhere(template, branch, known), branch, everything)
    return having


def refusal(failure: Failure, wanted: str, names: Iterable[str]) -> BadInput:
    """A missing branch as a bad request, in the very words of the failed highstate; `nearest` for who offers them."""
    near = nearest_branches(wanted, names)
    return BadInput(failure.code, " ".join(failure.lines), failure=failure, wanted=wanted, nearest=near)


def list_all(world: World, template: Template, role: str | None = None) -> dict[str, Branches]:
    """The branches of a template's roles, or of one: role → branches."""
    return at_remote(world, template.name, [role] if role else template.roles)


def _nowhere(template: Template, branch: str, known: Mapping[str, Branches]) -> Failure:
    if len(known) == 1:
        role, found = next(iter(known.items()))
        return branch_missing(Subject("", role, branch, found.repository, found.names))
    repositories = sorted({public_url(template.roles[role].repository) for role in known})
    near = nearest_branches(branch, {name for found in known.values() for name in found.names})
    return Failure(
        code="branch-missing",
        title=f"There is no branch “{branch}” in {' or '.join(repositories)}.",
        explanation=nearest_sentence(near) or "The repositories show no branches.",
        action="Ask again with a branch that exists, or push this one first.",
    )
