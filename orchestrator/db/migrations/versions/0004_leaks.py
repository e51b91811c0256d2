"""Drift and leaks: what was sighted, and which servers are degraded."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table of sightings, and give servers their mark."""
    op.create_table(
        "sightings",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_sightings")),
    )
    with op.batch_alter_table("servers") as batch:
        batch.add_column(sa.Column("degraded", sa.Text(), nullable=True))
        batch.add_column(sa.Column("degraded_since", sa.DateTime(), nullable=True))
