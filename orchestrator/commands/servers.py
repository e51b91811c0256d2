"""Servers: list, show, create, deploy, terminate, logs."""

from orchestrator.domain.environment import Actor, Environment, Kind, Operation, Server
from orchestrator.domain.errors import Conflict, Unavailable
from orchestrator.domain.failures import listed
from orchestrator.domain.lifecycle import EnvironmentStatus, ServerStatus, Target
from orchestrator.domain.policy import Act
from orchestrator.domain.wiring import dependents
from orchestrator.ports import Ledger, SaltRefused

from . import environments, find, permissions
from .deployments import deploy_to
from .operations import Asking, accept, new, replayed
from .show import server_view
from .views import Accepted, CreateEnvironment, CreateServer, Deploy, LogView, ServerView, Terminate
from .world import World

_LOG_SECONDS = 15.0


def list_all(world: World, environment: str | None = None) -> list[ServerView]:
    """The servers that have not ended, of one environment or of all."""
    now = world.clock.now()
    with world.store.transaction() as ledger:
        chosen = [find.environment(ledger, environment, world)] if environment else ledger.environments()
        return [server_view(server, found, now) for found in chosen for server in ledger.servers(found.id)]


def show(world: World, name: str) -> ServerView:
    """One server. NotFound when there is none."""
    with world.store.transaction() as ledger:
        found = find.server(ledger, name)
        return server_view(found, ledger.environment_by_id(found.environment), world.clock.now())


def create(world: World, actor: Actor, ask: CreateServer, key: str | None = None) -> Accepted:
    """Create one server: an environment with one role and one server."""
    wanted = CreateEnvironment(
        template=ask.template,
        name=ask.name,
        branches={ask.role: ask.branch} if ask.branch else {},
        ttl=ask.ttl,
        roles=(ask.role,),
        use=ask.use,
    )
    return environments.create(world, actor, wanted, key)


def deploy(world: World, actor: Actor, name: str, ask: Deploy, key: str | None = None) -> Accepted:
    """Deploy a branch to one server."""
    asked = {"server": name, "what": ask.what}
    if (known := replayed(world, Asking(actor, frozenset({Kind.DEPLOY}), asked, key))) is not None:
        return known
    with world.store.transaction() as ledger:
        server = find.server(ledger, name)
        environment = ledger.environment_by_id(server.environment)
        permissions.check(world, actor, Act.DEPLOY, environment.template)
    return deploy_to(world, actor, environment, [server], asked, key)


def terminate(world: World, actor: Actor, name: str, ask: Terminate, key: str | None = None) -> Accepted:
    """Terminate one server; with the last one its environment ends.

    Conflict("needed-by-others") when other servers point at it and the request is not confirmed.
    """
    asked = {"server": name}
    asking = Asking(actor, frozenset({Kind.TERMINATE_SERVER, Kind.TERMINATE}), asked, key)
    if (known := replayed(world, asking)) is not None:
        return known
    with world.store.transaction() as ledger:
        server = find.server(ledger, name)
        environment = ledger.environment_by_id(server.environment)
        permissions.check(world, actor, Act.TERMINATE, environment.template)
        others = [other for other in ledger.servers(environment.id) if other.name != name]
    if not others:
        return environments.terminate(world, actor, environment.name, ask, key, asked)

    def write_down(ledger: Ledger) -> tuple[Operation, list[str]]:
        now = ledger.environment_by_id(environment.id)
        find.idle(ledger, now, world)
        if not ask.confirmed:
            _nobody_needs(world, ledger, server, now)
        operation = new(actor, Kind.TERMINATE_SERVER, now.id, {"asked": asked, "server": name}, world)
        ledger.add_operation(operation, key)
        ledger.take_over(now.id, operation, after=now.operation)
        ledger.move_environment(now.id, operation.id, EnvironmentStatus.DEPLOYING)
        going = {"kind": "server.terminating", "target": Target.GONE}
        ledger.move_server(now.id, name, operation.id, ServerStatus.TERMINATING, **going)
        return operation, []

    return accept(world, asking, write_down)


def _nobody_needs(world: World, ledger: Ledger, server: Server, environment: Environment) -> None:
    template = world.templates.current().templates.get(environment.template)
    needing = dependents(server.role, dict(template.roles)) if template else []
    needy = [other.name for other in ledger.servers(environment.id) if other.role in needing]
    needy += [user.name for user in ledger.users_of(environment.id)]
    if needy:
        verb = "needs" if len(needy) == 1 else "need"
        raise Conflict("needed-by-others", f"{listed(needy)} {verb} {server.name} and would be left without it.")


def logs(world: World, name: str, lines: int = 100) -> LogView:
    """The end of the app's own log, read on the server and masked there."""
    with world.store.transaction() as ledger:
        server = find.server(ledger, name)
    if server.address is None:
        raise Conflict("server-not-made", f"{name} was never made, so it has no log.")
    jid = world.salt.new_jid()
    silent = Unavailable(
        "server-silent", f"{name} did not hand out its log; its minion may be down. Try again shortly."
    )
    try:
        world.salt.submit(name, jid, "logs", {"lines": lines})
    except SaltRefused as refused:
        raise silent from refused
    deadline = world.clock.now().timestamp() + _LOG_SECONDS
    while (left := deadline - world.clock.now().timestamp()) > 0:
        news = world.salt.news(name, jid, min(2.0, left))
        if news.returned is not None:
            return LogView(server=name, lines=str(news.returned.ret or "").splitlines())
        if news.lost:
            break
    raise silent
