"""Whether Brinepool itself is well."""

from dataclasses import dataclass
from importlib.metadata import version

from orchestrator.domain.errors import Unavailable

from .world import World

_SALT = {"salt-unreachable": "unreachable", "salt-login-refused": "login-refused", "salt-unanswered": "slow"}


@dataclass(frozen=True)
class Readiness:
    """`missing`: what is not ready, in sentences. `salt`: answers | unreachable | login-refused | slow | nonsense."""

    missing: list[str]
    salt: str


def ready(world: World) -> Readiness:
    """Whether Brinepool can do its work; nothing is missing when it can."""
    missing, salt = [], "answers"
    if world.stopping.is_set():
        missing.append("Brinepool is about to stop, or to be started anew.")
    try:
        world.store.ping()
    except Unavailable as error:
        missing.append(error.message)
    try:
        world.salt.health()
    except Unavailable as error:
        missing.append(error.message)
        salt = "nonsense" if error.extra.get("nonsense") else _SALT.get(error.code, "unreachable")
    return Readiness(missing, salt)


def live() -> dict[str, str]:
    """That this process answers, and which version it is."""
    return {"status": "ok", "version": version("brinepool")}
