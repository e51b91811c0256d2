"""The reaper: what keeps environments, warnings, branches that are gone, and the runs of scheduled jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the reaper's tables, and give environments what it looks at."""
    with op.batch_alter_table("environments") as batch:
        for moment in ("touched_at", "deployed_at", "extended_at", "failed_at"):
            batch.add_column(sa.Column(moment, sa.DateTime(), nullable=True))
        for keeper in ("hold", "protection"):
            batch.add_column(sa.Column(keeper, sa.JSON(), nullable=True))
    op.execute("UPDATE environments SET touched_at = created_at, deployed_at = created_at")
    op.execute("UPDATE environments SET failed_at = created_at WHERE status = 'failed'")
    _warnings()
    _causes()
    _runs()


def _warnings() -> None:
    op.create_table(
        "warnings",
        sa.Column("environment", sa.String(length=26), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("step_s", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(), nullable=True),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["environment"], ["environments.id"], name=op.f("fk_warnings_environment")),
        sa.PrimaryKeyConstraint("environment", "cause", "due_at", "step_s", name=op.f("pk_warnings")),
    )
    op.create_index(op.f("ix_warnings_event"), "warnings", ["event"], unique=False)


def _causes() -> None:
    op.create_table(
        "noticed_causes",
        sa.Column("environment", sa.String(length=26), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["environment"], ["environments.id"], name=op.f("fk_noticed_causes_environment")),
        sa.PrimaryKeyConstraint("environment", "cause", name=op.f("pk_noticed_causes")),
    )
    op.create_table(
        "gone_branches",
        sa.Column("environment", sa.String(length=26), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("branch", sa.String(length=200), nullable=False),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.Column("first_noticed", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["environment"], ["environments.id"], name=op.f("fk_gone_branches_environment")),
        sa.PrimaryKeyConstraint("environment", "role", name=op.f("pk_gone_branches")),
    )


def _runs() -> None:
    op.create_table(
        "job_runs",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
    )
    op.create_index("ix_job_runs_job_due_at", "job_runs", ["job", "due_at"], unique=False)
