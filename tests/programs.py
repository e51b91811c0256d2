"""A whole Brinepool in a test: real commands, engine and database, over a fake or a real Salt."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator import bootstrap
from orchestrator.bootstrap import Adapters, Brinepool
from orchestrator.commands import World, operations
from orchestrator.commands.views import Accepted, CreateEnvironment, OperationView
from orchestrator.domain.environment import Actor
from orchestrator.ports import Clock, Salt
from orchestrator.settings import Settings

ALICE = Actor("alice", "api")
BOB = Actor("bob", "cli")

SHOP = """\
name: shop
description: Storefront
ttl: {default: 1d, max: 3d, extend: 1d}
limits: {per_person: 3, total: 4}
deadlines: {boot: 20s, configure: 20s, health: 5s}
roles:
  api:
    app: shop-api
    repository: https://git.example.org/shop/api.git
    profile: small
    run: ./serve
    port: 8000
    health: /healthz
    count: {default: 1, min: 1, max: 2}
  web:
    app: shop-web
    repository: https://git.example.org/shop/web.git
    profile: small
    run: ./serve
    port: 8000
    count: {default: 2, min: 1, max: 4}
    needs: {API_URL: api}
"""


def roomy_shop(**deadlines: str) -> str:
    """The template `shop` with room for many environments, and with these deadlines instead of its own."""
    all_of_them = {"boot": "20s", "configure": "20s", "health": "5s"} | deadlines
    shown = ", ".join(f"{phase}: {span}" for phase, span in all_of_them.items())
    roomy = SHOP.replace("limits: {per_person: 3, total: 4}", "limits: {per_person: 99, total: 99}")
    return roomy.replace("deadlines: {boot: 20s, configure: 20s, health: 5s}", f"deadlines: {{{shown}}}")


ACCESS = """\
unknown: viewer
people:
  alice: {role: developer}
  bob: {role: developer}
  ada: {role: developer, timezone: Europe/Berlin}
  olga: {role: ops}
  vic: {role: viewer}
"""
BRANCHES = {
    ("shop", "api"): ("feature/cart", "feature/tax", "main"),
    ("shop", "web"): ("feature/cart", "main"),
}


def make_site(folder: Path) -> Path:
    """A site with the template `shop` and a few people."""
    (folder / "templates").mkdir(parents=True)
    (folder / "access.yaml").write_text(ACCESS)
    (folder / "templates" / "shop.yaml").write_text(SHOP)
    return folder


def settings_for(folder: Path, **overrides: object) -> Settings:
    """Settings of a home and a site below `folder`."""
    site = folder / "site"
    return Settings(home=folder / "home", site=site if site.exists() else make_site(site), **overrides)  # type: ignore[arg-type]


@contextmanager
def brinepool(settings: Settings, salt: Salt, clock: Clock | None = None) -> Iterator[World]:
    """Brinepool over `salt`, stopped at the end."""
    with whole_brinepool(settings, salt, clock) as running:
        yield running.world


@contextmanager
def whole_brinepool(
    settings: Settings, salt: Salt, clock: Clock | None = None, adapters: Adapters | None = None
) -> Iterator[Brinepool]:
    """The same with its chats: those of `adapters`, else the console alone."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with bootstrap.running(settings, salt, clock, adapters) as running:
        yield running


def shop(name: str | None = "cart-test", **asked: object) -> CreateEnvironment:
    """A request for an environment of `shop`."""
    return CreateEnvironment(template="shop", name=name, **asked)  # type: ignore[arg-type]


def ended(world: World, accepted: Accepted) -> OperationView:
    """Wait until the operation has ended."""
    for _ in operations.follow(world, accepted.operation.id):
        pass
    return operations.show(world, accepted.operation.id)
