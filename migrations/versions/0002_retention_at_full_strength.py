"""Periods, masks that are followed by deletion, key ranges, archives, approvers, watermarks, purges."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Id, Moment, Name, Plain

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SAFETY = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")


def upgrade() -> None:
    """Add columns and tables; nothing that is there is changed."""
    if op.get_context().dialect.name == "postgresql":
        for statement in SAFETY:
            op.execute(statement)
    _add_columns()
    op.create_table(
        "aegis_run_shards",
        sa.Column("run", Id, nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bounds", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", Moment, nullable=True),
        sa.Column("lease_owner", Name, nullable=True),
        sa.Column("lease_until", Moment, nullable=True),
        sa.Column("finished_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(["run"], ["aegis_runs.id"], name=op.f("fk_aegis_run_shards_run_aegis_runs")),
        sa.PrimaryKeyConstraint("run", "shard", name=op.f("pk_aegis_run_shards")),
    )
    _create_archives()
    op.create_table(
        "aegis_approvers",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("actor_ref", sa.String(length=64), nullable=False),
        sa.Column("scheme", sa.String(length=20), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("from_time", Moment, nullable=False),
        sa.Column("until_time", Moment, nullable=True),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.Column("added_at", Moment, nullable=False),
        sa.Column("removed_at", Moment, nullable=True),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aegis_approvers")),
    )
    op.create_index(op.f("ix_aegis_approvers_name"), "aegis_approvers", ["name"], unique=False)
    op.create_table(
        "aegis_watermarks",
        sa.Column("policy", Name, nullable=False),
        sa.Column("tenant", Name, nullable=False),
        sa.Column("datasource", Name, nullable=False),
        sa.Column("table_name", Name, nullable=False),
        sa.Column("nothing_older_than", Moment, nullable=True),
        sa.Column("remaining", Plain, nullable=True),
        sa.Column("overdue", sa.BigInteger(), nullable=True),
        sa.Column("arriving_per_day", sa.Double(), nullable=True),
        sa.Column("run", Id, nullable=False),
        sa.Column("measured_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("policy", "tenant", name=op.f("pk_aegis_watermarks")),
    )
    _create_purges()


def _add_columns() -> None:
    for column in (
        sa.Column("period", sa.String(length=40), nullable=True),
        sa.Column("delete_after_days", sa.Integer(), nullable=True),
        sa.Column("budget", Plain, nullable=True),
        sa.Column("parallel", sa.Integer(), server_default="1", nullable=False),
    ):
        op.add_column("data_retention_policies", column)
    op.add_column("aegis_runs", sa.Column("moment", Moment, nullable=True))
    op.add_column("aegis_runs", sa.Column("canary_at", Moment, nullable=True))
    op.add_column("aegis_runs", sa.Column("waits_for", sa.String(length=20), nullable=True))
    op.add_column("aegis_holds", sa.Column("overdue_at", Moment, nullable=True))
    op.add_column("aegis_approvals", sa.Column("mac", sa.LargeBinary(), nullable=True))
    op.add_column("aegis_runs", sa.Column("tally", Plain, nullable=True))
    op.add_column(
        "aegis_holds", sa.Column("kind", sa.String(length=20), server_default="hold", nullable=False)
    )


def _create_archives() -> None:
    op.create_table(
        "aegis_archives",
        sa.Column("id", Id, nullable=False),
        sa.Column("run", Id, nullable=False),
        sa.Column("policy", Name, nullable=False),
        sa.Column("datasource", Name, nullable=False),
        sa.Column("table_name", Name, nullable=False),
        sa.Column("tenant", Name, nullable=True),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("parts", sa.Integer(), nullable=True),
        sa.Column("manifest_digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("completed_at", Moment, nullable=True),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("expired_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(["run"], ["aegis_runs.id"], name=op.f("fk_aegis_archives_run_aegis_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aegis_archives")),
    )
    for column in ("expires_at", "run", "state"):
        op.create_index(op.f(f"ix_aegis_archives_{column}"), "aegis_archives", [column], unique=False)


def _create_purges() -> None:
    op.create_table(
        "aegis_purges",
        sa.Column("run", Id, nullable=False),
        sa.Column("policy", Name, nullable=False),
        sa.Column("datasource", Name, nullable=False),
        sa.Column("table_name", Name, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("changed_at", Moment, nullable=False),
        sa.Column("due_at", Moment, nullable=False),
        sa.Column("report", Plain, nullable=True),
        sa.Column("looked_at", Moment, nullable=True),
        sa.Column("done_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(["run"], ["aegis_runs.id"], name=op.f("fk_aegis_purges_run_aegis_runs")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_aegis_purges")),
    )
    op.create_index(op.f("ix_aegis_purges_state"), "aegis_purges", ["state"], unique=False)
