"""Environments, servers, operations, events and tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    _environments()
    _events()
    _tokens()
    _operations()
    _servers()


def _environments() -> None:
    op.create_table(
        "environments",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("template", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("operation", sa.String(length=26), nullable=False),
        sa.Column("uses", sa.String(length=26), nullable=True),
        sa.Column("degraded", sa.Text(), nullable=True),
        sa.Column("failure", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["uses"], ["environments.id"], name=op.f("fk_environments_uses")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environments")),
    )
    op.create_index(
        "uq_environments_name_live",
        "environments",
        ["name"],
        unique=True,
        sqlite_where=sa.text("status <> 'terminated'"),
        postgresql_where=sa.text("status <> 'terminated'"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("environment", sa.String(length=26), nullable=False),
        sa.Column("server", sa.String(length=80), nullable=True),
        sa.Column("operation", sa.String(length=26), nullable=True),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("door", sa.String(length=40), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_environment"), "events", ["environment"], unique=False)
    op.create_index(op.f("ix_events_operation"), "events", ["operation"], unique=False)


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_tokens")),
    )


def _operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("environment", sa.String(length=26), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("door", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("requested_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("failure", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["environment"], ["environments.id"], name=op.f("fk_operations_environment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
        sa.UniqueConstraint("actor", "idempotency_key", name=op.f("uq_operations_actor_idempotency_key")),
    )
    op.create_index(op.f("ix_operations_environment"), "operations", ["environment"], unique=False)
    op.create_index(op.f("ix_operations_state"), "operations", ["state"], unique=False)


def _servers() -> None:
    op.create_table(
        "servers",
        sa.Column("environment", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("app", sa.String(length=60), nullable=False),
        sa.Column("profile", sa.String(length=100), nullable=False),
        sa.Column("branch", sa.String(length=200), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=255), nullable=True),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(length=10), nullable=False),
        sa.Column("jid", sa.String(length=30), nullable=True),
        sa.Column("failure", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("ready_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["environment"], ["environments.id"], name=op.f("fk_servers_environment")),
        sa.PrimaryKeyConstraint("environment", "name", name=op.f("pk_servers")),
        sa.UniqueConstraint("environment", "role", "number", name=op.f("uq_servers_environment_role_number")),
    )
    op.create_index(
        "uq_servers_name_live",
        "servers",
        ["name"],
        unique=True,
        sqlite_where=sa.text("status <> 'terminated'"),
        postgresql_where=sa.text("status <> 'terminated'"),
    )
