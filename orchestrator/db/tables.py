"""The tables. Alembic's migrations (`db/migrations`) make them; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime; kept naive in UTC, because SQLite knows no time zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Aware → naive UTC."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Naive UTC → aware."""
        return value.replace(tzinfo=UTC) if value else None


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

environments = sa.Table(
    "environments",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("name", sa.String(40), nullable=False),
    sa.Column("template", sa.String(40), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("target", sa.String(10), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("operation", sa.String(26), nullable=False),  # the operation in charge, or the last one
    sa.Column("uses", sa.String(26), sa.ForeignKey("environments.id")),
    sa.Column("degraded", sa.Text),
    sa.Column("failure", sa.JSON),
    sa.Column("room", sa.String(400)),  # where it was asked for in a chat
    sa.Column("touched_at", UtcDateTime),
    sa.Column("deployed_at", UtcDateTime),
    sa.Column("extended_at", UtcDateTime),
    sa.Column("failed_at", UtcDateTime),
    sa.Column("hold", sa.JSON),
    sa.Column("protection", sa.JSON),
)
# A name is free again when its bearer has ended, so only the others must differ.
sa.Index(
    "uq_environments_name_live",
    environments.c.name,
    unique=True,
    sqlite_where=sa.text("status <> 'terminated'"),
    postgresql_where=sa.text("status <> 'terminated'"),
)

servers = sa.Table(
    "servers",
    metadata,
    sa.Column("environment", sa.String(26), sa.ForeignKey("environments.id"), primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("app", sa.String(60), nullable=False),
    sa.Column("profile", sa.String(100), nullable=False),
    sa.Column("branch", sa.String(200), nullable=False),
    sa.Column("commit", sa.String(64)),
    sa.Column("address", sa.String(255)),
    sa.Column("port", sa.Integer),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("target", sa.String(10), nullable=False),
    sa.Column("jid", sa.String(30)),
    sa.Column("failure", sa.JSON),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("ready_at", UtcDateTime),
    sa.Column("degraded", sa.Text),
    sa.Column("degraded_since", UtcDateTime),
    sa.Column("provider", sa.String(100), nullable=False, server_default="", index=True),
    sa.Column("place", sa.String(120)),  # in the line of those to be built
    sa.Column("building", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("environment", "role", "number"),
)
sa.Index(
    "uq_servers_name_live",
    servers.c.name,
    unique=True,
    sqlite_where=sa.text("status <> 'terminated'"),
    postgresql_where=sa.text("status <> 'terminated'"),
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("environment", sa.String(26), sa.ForeignKey("environments.id"), nullable=False, index=True),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("door", sa.String(40), nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("idempotency_key", sa.String(200)),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("failure", sa.JSON),
    sa.Column("room", sa.String(400)),
    sa.UniqueConstraint("actor", "idempotency_key"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("environment", sa.String(26), nullable=False, index=True),
    sa.Column("server", sa.String(80)),
    sa.Column("operation", sa.String(26), index=True),
    sa.Column("kind", sa.String(60), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("door", sa.String(40), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sqlite_autoincrement=True,  # a seq is never given twice, also not after old events were removed
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("person", sa.String(200), nullable=False),
    sa.Column("label", sa.String(100), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)

# Conversations

chat_accounts = sa.Table(
    "chat_accounts",
    metadata,
    sa.Column("service", sa.String(40), primary_key=True),
    sa.Column("account", sa.String(255), primary_key=True),
    sa.Column("person", sa.String(200), nullable=False),
    sa.Column("linked_at", UtcDateTime, nullable=False),
)

chat_codes = sa.Table(
    "chat_codes",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("person", sa.String(200), nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)

chat_people = sa.Table(
    "chat_people",
    metadata,
    sa.Column("person", sa.String(200), primary_key=True),
    sa.Column("notices", sa.String(10), nullable=False),
)

chat_seen = sa.Table(
    "chat_seen",
    metadata,
    sa.Column("service", sa.String(40), primary_key=True),
    sa.Column("message", sa.String(255), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
)

chat_questions = sa.Table(
    "chat_questions",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("place", sa.String(400), nullable=False),
    sa.Column("account", sa.String(255), nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.UniqueConstraint("place", "account"),
)

chat_cards = sa.Table(
    "chat_cards",
    metadata,
    sa.Column("operation", sa.String(26), sa.ForeignKey("operations.id"), primary_key=True),
    sa.Column("place", sa.String(400), primary_key=True),
    sa.Column("account", sa.String(255), nullable=False),
    sa.Column("message", sa.String(255)),
    sa.Column("closed", sa.Boolean, nullable=False, index=True),
)

console_messages = sa.Table(
    "console_messages",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("person", sa.String(200), nullable=False),
    sa.Column("message", sa.String(26), nullable=False, unique=True),
    sa.Column("thread", sa.String(26), nullable=False),
    sa.Column("reply", sa.JSON, nullable=False),
    sqlite_autoincrement=True,  # a message that was changed gets a new seq, which must never be an old one
)
sa.Index("ix_console_messages_person_seq", console_messages.c.person, console_messages.c.seq)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("person", sa.String(200), nullable=False),
    sa.Column("account", sa.String(300), nullable=False),
    sa.Column("door", sa.String(40), nullable=False),
    sa.Column("room", sa.String(400), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("outcome", sa.String(10), nullable=False),
    sa.Column("code", sa.String(60), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("operation", sa.String(26)),
    sqlite_autoincrement=True,
)

cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
)

# The reaper

warnings = sa.Table(
    "warnings",
    metadata,
    sa.Column("environment", sa.String(26), sa.ForeignKey("environments.id"), primary_key=True),
    sa.Column("cause", sa.String(20), primary_key=True),
    sa.Column("due_at", UtcDateTime, primary_key=True),
    sa.Column("step_s", sa.Float, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("delivered_at", UtcDateTime),
    sa.Column("event", sa.Integer, nullable=False, index=True),  # the number of the event that tells it
)

noticed_causes = sa.Table(
    "noticed_causes",
    metadata,
    sa.Column("environment", sa.String(26), sa.ForeignKey("environments.id"), primary_key=True),
    sa.Column("cause", sa.String(20), primary_key=True),
    sa.Column("since", UtcDateTime, nullable=False),
)

gone_branches = sa.Table(
    "gone_branches",
    metadata,
    sa.Column("environment", sa.String(26), sa.ForeignKey("environments.id"), primary_key=True),
    sa.Column("role", sa.String(20), primary_key=True),
    sa.Column("branch", sa.String(200), nullable=False),
    sa.Column("checks", sa.Integer, nullable=False),
    sa.Column("first_noticed", UtcDateTime, nullable=False),
)

sightings = sa.Table(
    "sightings",
    metadata,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),  # a name that the cloud gave, perhaps no server's of ours
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
)

job_runs = sa.Table(
    "job_runs",
    metadata,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("job", sa.String(40), nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("result", sa.JSON),
)
sa.Index("ix_job_runs_job_due_at", job_runs.c.job, job_runs.c.due_at)

# Processes

replicas = sa.Table(
    "replicas",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("doors", sa.Boolean, nullable=False),  # whether it has front doors: HTTP and the chats
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),  # by the clock of the database
)
