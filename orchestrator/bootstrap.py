"""The composition root: the only place that names concrete adapters, and where everything is connected and started."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SQLAlchemyDatasource
from pydantic import SecretStr, ValidationError
from ulid import ULID

from orchestrator.chat.base import ChatAdapter
from orchestrator.chat.console import Console
from orchestrator.chat.front import Chats
from orchestrator.chat.mattermost import Mattermost, MattermostConfig
from orchestrator.chat.webhook import BotConfig, Webhook
from orchestrator.commands import World, tokens
from orchestrator.curated.access import CuratedAccessFile
from orchestrator.curated.failures import CuratedCatalogue
from orchestrator.curated.templates import CuratedFolder
from orchestrator.db.connect import IDLE_S, claimed, connect, is_shared, migrate, one_at_a_time
from orchestrator.db.store import SqlStore
from orchestrator.domain.durations import parse_duration
from orchestrator.domain.errors import BadInput
from orchestrator.embedded import home as embedded
from orchestrator.engine.notices import start_notices
from orchestrator.engine.progress import Hub
from orchestrator.engine.reaper import start_run
from orchestrator.engine.recovery import start
from orchestrator.engine.replicas import Replica
from orchestrator.engine.runtime import BEGUN, POLL_S, Runtime, Schedule, install
from orchestrator.engine.schedule import start_scheduler
from orchestrator.ports import Clock, Salt
from orchestrator.saltapi.adapter import SaltApi
from orchestrator.saltapi.client import password_file
from orchestrator.settings import CHECKOUT, Settings
from orchestrator.web import serve as web
from orchestrator.web.app import create_app

# Both are pinned. The version, because a changed source would otherwise leave work of the older one lying; a story
# whose steps changed carries DBOS.patch() instead. The executor, because a second start under another id would not
# resume what the first one left; where there are several, each has an id of its own (engine/replicas.py).
_VERSION = "1"
_EXECUTOR = "brinepool"
_GRACE_S = 3.0
_CLOSING_S = 5.0

log = logging.getLogger(__name__)


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class Brinepool:
    """A whole Brinepool that runs: what commands work with, and the chats. `idle`: whether no operation is at work."""

    world: World
    chats: Chats
    idle: Callable[[], bool]


Adapters = Callable[[World], Sequence[ChatAdapter]]


@contextmanager
def running(
    settings: Settings,
    salt: Salt | None = None,
    clock: Clock | None = None,
    adapters: Adapters | None = None,
    doors: bool = True,
) -> Iterator[Brinepool]:
    """Brinepool, connected and started; stopped at the end of the block.

    `salt`, `clock` and `adapters` are for tests. `doors`: with the chats, and with somebody who tells notices.
    Operations and notices that an earlier process left unfinished go on at once, or as soon as it is known to be dead.
    """
    clock = clock or SystemClock()
    with ExitStack() as ending:
        ending.enter_context(claimed(settings.database))
        engine = connect(settings.database)
        ending.callback(engine.dispose)
        with one_at_a_time(engine):
            migrate(engine)
        if salt is None:
            salt = adapter = _salt_api(settings)
            ending.callback(adapter.close)
            adapter.start()
        store, hub, templates = SqlStore(engine, clock), Hub(), CuratedFolder(settings.site / "templates")
        access, catalogue = CuratedAccessFile(settings.site / "access.yaml"), failure_catalogue(settings)
        world = World(store, salt, templates, access, clock, hub, start, start_run, settings)
        replica = Replica(store, _replica_id(), doors) if is_shared(settings.database) else None
        chats = Chats(world, (adapters or chat_adapters)(world), replica.is_first if replica else lambda: True)
        schedule = Schedule(settings.jobs, parse_duration(settings.retention), settings.ops_room)
        durable = _durable_engine(settings, engine, replica.id if replica else _EXECUTOR)
        runtime = Runtime(
            store, salt, templates, catalogue, clock, durable, hub, chats.courier, schedule, caps=settings.caps,
            stopping=world.stopping, shared=replica is not None,
        )  # fmt: skip
        install(runtime)
        ending.enter_context(_launched(runtime, replica, doors))
        if doors:
            ending.callback(start_notices())
        ending.callback(start_scheduler().shutdown, wait=False)
        if doors:
            with one_at_a_time(engine):
                _admin_token(world)
            ending.callback(chats.stop)
            chats.start()
        yield Brinepool(world, chats, lambda: runtime.at_work.wait_until_idle(0))


def failure_catalogue(settings: Settings) -> CuratedCatalogue:
    """The catalogue that Brinepool brings along, and what the site adds to it or words differently."""
    return CuratedCatalogue(CHECKOUT / "failures", settings.site / "failures")


def serve(settings: Settings) -> None:
    """`brine serve`: API, engine and scheduler in one process, until SIGTERM. Does not return: it ends the process."""
    address, port = embedded.claim(settings).brinepool
    with running(settings) as brinepool:
        log.info("Brinepool %s answers at http://%s:%s", version("brinepool"), address, port)
        app, stopping = create_app(brinepool.world, brinepool.chats), brinepool.world.stopping
        web.serve(app, address, port, settings.threads, stopping, brinepool.idle)
        _end_in_any_case()
    _end()


def work(settings: Settings) -> None:
    """`brine worker`: engine and scheduler without front doors, until SIGTERM. Does not return: it ends the process."""
    if not is_shared(settings.database):
        raise BadInput(
            "worker-needs-postgresql",
            "A worker helps others on the same PostgreSQL, and this database is SQLite, which is for one process: set "
            "BRINE_DATABASE_URL, or run brine serve alone.",
        )
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    with running(settings, doors=False):
        log.info("Brinepool %s works for %s", version("brinepool"), sa.make_url(settings.database).render_as_string())
        asked.wait()
        _end_in_any_case()
    _end()


def _end_in_any_case() -> None:
    """What does not let itself be closed, such as a chat that hangs, keeps nobody waiting."""
    watch = threading.Timer(_CLOSING_S, _end)
    watch.daemon = True
    watch.start()


def _end() -> None:
    """End the process, with the steps that still wait for Salt, perhaps for a minute; Python would wait for them. They
    are repeated at the next start, as after a crash."""
    logging.shutdown()
    os._exit(0)


@contextmanager
def _launched(runtime: Runtime, replica: Replica | None, doors: bool) -> Iterator[None]:
    """The durable engine, from its launch to its end; among others, as one of the replicas."""
    with ExitStack() as ending:
        if replica:
            replica.enter()
            ending.callback(replica.leave)
        ending.callback(_stop_engine, runtime)
        if not doors:
            DBOS.listen_queues([BEGUN])  # and not to the notices: who tells them is connected to the chats
        DBOS.launch()
        if replica:
            DBOS.register_queue(BEGUN, polling_interval_sec=POLL_S)
            replica.start()
            ending.callback(replica.stop)
        yield


def _replica_id() -> str:
    """Unique for each process, and telling whoever reads logs which one it is."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{ULID()}"


def _stop_engine(runtime: Runtime) -> None:
    """Let running operations pause at their next step, for a few seconds; what is left is resumed as after a crash."""
    if not runtime.stopping.is_set():  # else the web server has waited for that
        runtime.stopping.set()
        runtime.at_work.wait_until_idle(_GRACE_S)
    DBOS.destroy(workflow_completion_timeout_sec=0)  # it would sleep a whole second before it looked


def chat_adapters(world: World) -> list[ChatAdapter]:
    """The chat services that the settings name; the console is always there."""
    found: list[ChatAdapter] = [Console(world.store, world.hub)]
    if (slack := _slack(world)) is not None:
        found.append(slack)
    if (matrix := _matrix(world.settings)) is not None:
        found.append(matrix)
    found += [_bot(world, name, data) for name, data in world.settings.bots.items()]
    names = [adapter.service for adapter in found]
    for name in names:
        if names.count(name) > 1:
            raise BadInput("setting-invalid", f"There are two chat services called {name}; call the bot otherwise.")
    return found


def _slack(world: World) -> ChatAdapter | None:
    def templates() -> dict[str, str]:
        return {name: each.description for name, each in world.templates.current().templates.items()}

    chosen = world.settings
    if chosen.slack_bot_token is None:
        return None
    from orchestrator.chat.slack import Slack  # importing it, or Matrix, costs half a second of everybody's start

    return Slack(
        _plain(chosen.slack_bot_token), app_token=_plain(chosen.slack_app_token),
        signing_secret=_plain(chosen.slack_signing_secret), templates=templates, url=chosen.slack_url,
    )  # fmt: skip


def _matrix(chosen: Settings) -> ChatAdapter | None:
    if chosen.matrix_homeserver is None:
        return None
    from orchestrator.chat.matrix import Matrix

    if chosen.matrix_user is None:
        raise BadInput("setting-invalid", "Set BRINE_MATRIX_USER as well, the bot's account on that homeserver.")
    return Matrix(
        chosen.matrix_homeserver, chosen.matrix_user, chosen.home / "matrix",
        password_file=chosen.matrix_password_file, token_file=chosen.matrix_token_file,
        edits_per_minute=chosen.matrix_edits_per_minute, bots=chosen.matrix_bots, invited_by=chosen.matrix_invited_by,
    )  # fmt: skip


def _bot(world: World, name: str, data: Mapping[str, Any]) -> Webhook:
    """A bot of the settings: of its own making, or Mattermost (with `tokens`)."""

    def first_time(service: str, delivery: str) -> bool:
        with world.store.transaction() as ledger:
            return ledger.chat.first_time(service, f"delivery:{delivery}")

    try:
        given = {"name": name, **data}
        if (file := given.pop("secret_file", None)) is not None:
            given["secret"] = Path(file).expanduser().read_text().strip()
        if "tokens" in given:
            return Mattermost(MattermostConfig.model_validate(given), first_time)
        return Webhook(BotConfig.model_validate(given), first_time)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            "setting-invalid", f"The bot “{name}” in the settings is wrong: {field}: {first['msg']}."
        ) from error
    except OSError as error:
        raise BadInput(
            "setting-invalid", f"The secret of the bot “{name}” cannot be read: {error.strerror}."
        ) from error


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _salt_api(settings: Settings) -> SaltApi:
    """The adapter to the salt-api of the settings, else to the embedded one."""
    url = settings.salt_api_url or embedded.find(settings).salt_api_url
    return SaltApi(url, settings.salt_api_user, password_file(settings.password_file), settings.salt_api_eauth)


def _durable_engine(settings: Settings, engine: sa.Engine, executor: str) -> SQLAlchemyDatasource:
    """Set up the durable engine on the application's own database; it launches when the ports are installed.

    On SQLite through our engine: its own would not have our settings. On PostgreSQL through its own: a thread in a
    transaction of ours needs a connection of its, which must not wait for those that wait for that transaction.
    """
    serializer = DBOSPortableJSONSerializer()  # the default, pickle, would let whoever writes the database run code
    config: DBOSConfig = {
        "name": "brinepool",
        "system_database_url": settings.database,
        "system_database_engine": None if is_shared(settings.database) else engine,
        "sys_db_idle_transaction_timeout_sec": IDLE_S,
        "application_version": _VERSION,
        "executor_id": executor,
        "serializer": serializer,
        # Nothing here uses its notifications; their thread sleeps so long before it notices that it should end.
        "notification_listener_polling_interval_sec": 0.25,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    with one_at_a_time(engine):
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
