"""The branches of a role's repository, asked by the master, where the credentials are."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import salt.utils.yaml

from orchestrator.domain.template import Role, Template
from orchestrator.saltext.answers import Refused, without_login

GIT_SECONDS = 30


def branches(site: Path, template: str, role: str, git_config: Path) -> dict[str, Any]:
    """`{repository, default, branches}` of a role. Names go in, never a URL, so no caller can make git go elsewhere.

    `git_config`: git's configuration when the environment names none, as when salt-run is typed by hand.

    Raises Refused: template-unknown, role-unknown, repository-unreachable.
    """
    return _of_role(_role(site, template, role), git_config)


def all_branches(site: Path, template: str, git_config: Path) -> dict[str, Any]:
    """`{roles: {role: the same}}`, with the repositories asked in parallel. Raises Refused as `branches` does."""
    roles = _template(site, template).roles
    with ThreadPoolExecutor(max_workers=len(roles)) as pool:
        found = pool.map(lambda role: _of_role(role, git_config), roles.values())
        return {"roles": dict(zip(roles, found, strict=True))}


def _of_role(described: Role, git_config: Path) -> dict[str, Any]:
    shown = without_login(described.repository)
    found = sorted(_remote_branches(described.repository, shown, git_config))
    return {"repository": shown, "default": described.branch, "branches": found}


def _role(site: Path, template: str, role: str) -> Role:
    roles = _template(site, template).roles
    if role not in roles:
        raise Refused("role-unknown", f"The template {template} has no role “{role}”; it has {', '.join(roles)}.")
    return roles[role]


def _template(site: Path, template: str) -> Template:
    folder = site / "templates"
    curated = sorted(path.stem for path in folder.glob("*.yaml"))
    if not isinstance(template, str) or template not in curated:
        raise Refused(
            "template-unknown", f"There is no template “{template}”; there are: {', '.join(curated) or 'none'}."
        )
    try:
        return Template.model_validate(salt.utils.yaml.safe_load((folder / f"{template}.yaml").read_text()))
    except Exception as error:  # YAML and pydantic have an error of their own for each way to be wrong
        raise Refused("template-unknown", f"The template {template} is not valid; ask ops.", str(error)) from error


def _remote_branches(repository: str, shown: str, git_config: Path) -> list[str]:
    """`git ls-remote`, which never asks anybody for a password and never runs a program named by a URL."""
    quiet = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "LC_ALL": "C",
    }
    configured = {"GIT_CONFIG_GLOBAL": str(git_config)} if git_config.is_file() else {}
    environment = configured | os.environ | quiet
    command = ["git", "-c", "protocol.ext.allow=never", "ls-remote", "--heads", "--", repository]
    try:
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=GIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise _unreachable(shown, f"git did not answer within {GIT_SECONDS} seconds.") from None
    if asked.returncode:
        raise _unreachable(shown, without_login(asked.stderr))
    refs = (line.partition("\t")[2] for line in asked.stdout.splitlines())
    return [ref.removeprefix("refs/heads/") for ref in refs if ref.startswith("refs/heads/")]


def _unreachable(shown: str, detail: str) -> Refused:
    return Refused("repository-unreachable", f"The repository {shown} cannot be reached from the Salt master.", detail)
