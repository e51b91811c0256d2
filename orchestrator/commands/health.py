"""Whether Brinepool itself is well."""

from importlib.metadata import version

from orchestrator.domain.errors import Unavailable

from .world import World


def ready(world: World) -> list[str]:
    """What is not ready, a sentence each; empty when everything is."""
    problems = []
    for check in (world.store.ping, world.salt.health):
        try:
            check()
        except Unavailable as error:
            problems.append(error.message)
    return problems


def live() -> dict[str, str]:
    """That this process answers, and which version it is."""
    return {"status": "ok", "version": version("brinepool")}
