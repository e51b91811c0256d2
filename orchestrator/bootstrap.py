"""The composition root: the only place that names concrete adapters, and where everything is connected and started."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SQLAlchemyDatasource

from orchestrator.chat.base import ChatAdapter
from orchestrator.chat.console import Console
from orchestrator.chat.front import Chats
from orchestrator.commands import World, tokens
from orchestrator.curated.access import CuratedAccessFile
from orchestrator.curated.templates import CuratedFolder
from orchestrator.db.connect import connect, migrate
from orchestrator.db.store import SqlStore
from orchestrator.domain.errors import BadInput
from orchestrator.embedded import home as embedded
from orchestrator.engine.notices import start_notices
from orchestrator.engine.progress import Hub
from orchestrator.engine.recovery import start
from orchestrator.engine.runtime import Runtime, install
from orchestrator.engine.schedule import start_scheduler
from orchestrator.ports import Clock, Salt
from orchestrator.saltapi.adapter import SaltApi
from orchestrator.saltapi.client import password_file
from orchestrator.settings import Settings
from orchestrator.web import serve as web
from orchestrator.web.app import create_app

# Both are pinned. The version, because a changed source would otherwise leave work of the older one lying; a story
# whose steps changed carries DBOS.patch() instead. The executor, because a second start under another id would not
# resume what the first one left.
_VERSION = "1"
_EXECUTOR = "brinepool"
_GRACE_S = 3

log = logging.getLogger(__name__)


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class Brinepool:
    """A whole Brinepool that runs: what commands work with, and the chats."""

    world: World
    chats: Chats


Adapters = Callable[[World], Sequence[ChatAdapter]]


@contextmanager
def running(
    settings: Settings, salt: Salt | None = None, clock: Clock | None = None, adapters: Adapters | None = None
) -> Iterator[Brinepool]:
    """Brinepool, connected and started; stopped at the end of the block.

    `salt`, `clock` and `adapters` are for tests. Operations and notices that an earlier process left unfinished go on
    at once.
    """
    clock = clock or SystemClock()
    with ExitStack() as ending:
        engine = connect(settings.database)
        ending.callback(engine.dispose)
        migrate(engine)
        if salt is None:
            salt = adapter = _salt_api(settings)
            ending.callback(adapter.close)
            adapter.start()
        store, hub, templates = SqlStore(engine, clock), Hub(), CuratedFolder(settings.site / "templates")
        access = CuratedAccessFile(settings.site / "access.yaml")
        world = World(store, salt, templates, access, clock, hub, start, settings)
        chats = Chats(world, (adapters or chat_adapters)(world))
        runtime = Runtime(store, salt, templates, clock, _durable_engine(settings, engine), hub, chats.courier)
        install(runtime)
        ending.callback(_stop_engine, runtime)
        DBOS.launch()
        ending.callback(start_notices())
        ending.callback(start_scheduler().shutdown, wait=False)
        _admin_token(world)
        ending.callback(chats.stop)
        chats.start()
        yield Brinepool(world, chats)


def serve(settings: Settings) -> None:
    """`brine serve`: API, engine and scheduler in one process, until SIGTERM."""
    address, port = embedded.claim(settings).brinepool
    with running(settings) as brinepool:
        log.info("Brinepool %s answers at http://%s:%s", version("brinepool"), address, port)
        web.serve(create_app(brinepool.world, brinepool.chats), address, port, settings.threads)


def _stop_engine(runtime: Runtime) -> None:
    """Let running operations pause at their next step, for a few seconds; what is left is resumed as after a crash."""
    runtime.stopping.set()
    DBOS.destroy(workflow_completion_timeout_sec=_GRACE_S)


def chat_adapters(world: World) -> list[ChatAdapter]:
    """The chat services that the settings name; the console is always there."""
    return [Console(world.store, world.hub)]


def _salt_api(settings: Settings) -> SaltApi:
    """The adapter to the salt-api of the settings, else to the embedded one."""
    url = settings.salt_api_url or embedded.find(settings).salt_api_url
    return SaltApi(url, settings.salt_api_user, password_file(settings.password_file), settings.salt_api_eauth)


def _durable_engine(settings: Settings, engine: sa.Engine) -> SQLAlchemyDatasource:
    """Set up the durable engine on the application's own database; it launches when the ports are installed."""
    serializer = DBOSPortableJSONSerializer()  # the default, pickle, would let whoever writes the database run code
    config: DBOSConfig = {
        "name": "brinepool",
        "system_database_url": settings.database,
        "system_database_engine": engine,  # its own would not have our settings for SQLite
        "application_version": _VERSION,
        "executor_id": _EXECUTOR,
        "serializer": serializer,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    return SQLAlchemyDatasource.create(settings.database, engine=engine, serializer=serializer)


def _admin_token(world: World) -> None:
    """The token that `brine up` made opens the door; without one, nobody gets in."""
    file = world.settings.admin_token_file
    try:
        token = file.read_text().strip()
    except FileNotFoundError:
        log.warning("there is no admin token at %s, so only tokens in the database are valid", file)
        return
    if len(token) < 32:
        raise BadInput("admin-token-weak", f"The admin token in {file} is too short; delete the file and run brine up.")
    tokens.ensure(world, token, "admin", "embedded-admin")
