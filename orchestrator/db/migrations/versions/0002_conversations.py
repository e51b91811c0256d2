"""Conversations: accounts, questions, live cards, the console's messages and the audit."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of conversations, and remember in which room something was asked for."""
    _people()
    _said()
    _cards()
    _console()
    _audit()
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursors")),
    )
    for table in ("environments", "operations"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("room", sa.String(length=400), nullable=True))


def _people() -> None:
    op.create_table(
        "chat_accounts",
        sa.Column("service", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("linked_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("service", "account", name=op.f("pk_chat_accounts")),
    )
    op.create_table(
        "chat_codes",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_chat_codes")),
    )
    op.create_table(
        "chat_people",
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("notices", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_chat_people")),
    )


def _said() -> None:
    op.create_table(
        "chat_seen",
        sa.Column("service", sa.String(length=40), nullable=False),
        sa.Column("message", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("service", "message", name=op.f("pk_chat_seen")),
    )
    op.create_index(op.f("ix_chat_seen_at"), "chat_seen", ["at"], unique=False)
    op.create_table(
        "chat_questions",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("place", sa.String(length=400), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_questions")),
        sa.UniqueConstraint("place", "account", name=op.f("uq_chat_questions_place_account")),
    )


def _cards() -> None:
    op.create_table(
        "chat_cards",
        sa.Column("operation", sa.String(length=26), nullable=False),
        sa.Column("place", sa.String(length=400), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("message", sa.String(length=255), nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["operation"], ["operations.id"], name=op.f("fk_chat_cards_operation")),
        sa.PrimaryKeyConstraint("operation", "place", name=op.f("pk_chat_cards")),
    )
    op.create_index(op.f("ix_chat_cards_closed"), "chat_cards", ["closed"], unique=False)


def _console() -> None:
    op.create_table(
        "console_messages",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("message", sa.String(length=26), nullable=False),
        sa.Column("thread", sa.String(length=26), nullable=False),
        sa.Column("reply", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_console_messages")),
        sa.UniqueConstraint("message", name=op.f("uq_console_messages_message")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_console_messages_person_seq", "console_messages", ["person", "seq"], unique=False)


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("account", sa.String(length=300), nullable=False),
        sa.Column("door", sa.String(length=40), nullable=False),
        sa.Column("room", sa.String(length=400), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("operation", sa.String(length=26), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], unique=False)
