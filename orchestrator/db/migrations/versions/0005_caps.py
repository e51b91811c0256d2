"""Caps: the provider of servers, who waits for a turn to be built, and who is being built."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Give servers their provider, their place in the line and their mark."""
    with op.batch_alter_table("servers") as batch:
        batch.add_column(sa.Column("provider", sa.String(length=100), server_default="", nullable=False))
        batch.add_column(sa.Column("place", sa.String(length=120), nullable=True))
        batch.add_column(sa.Column("building", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch.create_index(op.f("ix_servers_provider"), ["provider"])
