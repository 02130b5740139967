"""The control database of the first version."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Id, Moment, Name, Plain

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "aegis_actors",
        sa.Column("actor_ref", sa.String(length=64), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("actor_ref", name=op.f("pk_aegis_actors")),
    )
    op.create_table(
        "aegis_approvals",
        sa.Column("id", Id, nullable=False),
        sa.Column("subject_type", sa.String(length=20), nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("digest_version", sa.Integer(), nullable=False),
        sa.Column("actor_ref", sa.String(length=64), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("key_name", Name, nullable=True),
        sa.Column("signature_scheme", sa.String(length=20), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("revoked_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aegis_approvals")),
    )
    op.create_index(op.f("ix_aegis_approvals_subject_id"), "aegis_approvals", ["subject_id"], unique=False)
    op.create_table(
        "aegis_holds",
        sa.Column("id", Id, nullable=False),
        sa.Column("matter", sa.Text(), nullable=False),
        sa.Column("owner_ref", sa.String(length=64), nullable=False),
        sa.Column("review_by", sa.Date(), nullable=False),
        sa.Column("datasource", Name, nullable=False),
        sa.Column("policy", Name, nullable=True),
        sa.Column("table_name", Name, nullable=True),
        sa.Column("tenant", Name, nullable=True),
        sa.Column("from_time", Moment, nullable=True),
        sa.Column("until_time", Moment, nullable=True),
        sa.Column("key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("placed_at", Moment, nullable=False),
        sa.Column("in_force_at", Moment, nullable=True),
        sa.Column("released_at", Moment, nullable=True),
        sa.Column("released_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aegis_holds")),
    )
    op.create_index(op.f("ix_aegis_holds_datasource"), "aegis_holds", ["datasource"], unique=False)
    op.create_index(op.f("ix_aegis_holds_state"), "aegis_holds", ["state"], unique=False)
    op.create_table(
        "aegis_ledger",
        sa.Column("policy", Name, nullable=False),
        sa.Column("table_name", Name, nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("policy", "table_name", "action", name=op.f("pk_aegis_ledger")),
    )
    op.create_table(
        "aegis_relay_marks",
        sa.Column("datasource", Name, nullable=False),
        sa.Column("run", Id, nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("datasource", "run", "shard", name=op.f("pk_aegis_relay_marks")),
    )
    op.create_table(
        "aegis_requests",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("operation", Name, nullable=False),
        sa.Column("payload_digest", sa.String(length=64), nullable=False),
        sa.Column("arguments", Plain, nullable=True),
        sa.Column("producer", Name, nullable=True),
        sa.Column("actor_ref", sa.String(length=64), nullable=True),
        sa.Column("datasource", Name, nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("received_at", Moment, nullable=False),
        sa.Column("due_at", Moment, nullable=True),
        sa.Column("extended_because", sa.Text(), nullable=True),
        sa.Column("plan_digest", sa.String(length=64), nullable=True),
        sa.Column("planned_at", Moment, nullable=True),
        sa.Column("executed_at", Moment, nullable=True),
        sa.Column("verified_at", Moment, nullable=True),
        sa.Column("closed_at", Moment, nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", Moment, nullable=True),
        sa.Column("lease_owner", Name, nullable=True),
        sa.Column("lease_until", Moment, nullable=True),
        sa.Column("sent_at", Moment, nullable=True),
        sa.Column("result", Plain, nullable=True),
        sa.Column("sealed_result", sa.LargeBinary(), nullable=True),
        sa.Column("finished_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_aegis_requests")),
    )
    op.create_index(op.f("ix_aegis_requests_state"), "aegis_requests", ["state"], unique=False)
    op.create_table(
        "aegis_sources",
        sa.Column("name", Name, nullable=False),
        sa.Column("identity", Id, nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("journal_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("relayed", sa.BigInteger(), nullable=False),
        sa.Column("relayed_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_aegis_sources")),
    )
    op.create_table(
        "audit_logs",
        sa.Column("id", Id, nullable=False),
        sa.Column("time", Moment, nullable=False),
        sa.Column("action", Name, nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("actor_ref", sa.String(length=64), nullable=False),
        sa.Column("target_type", Name, nullable=False),
        sa.Column("target_ref", Name, nullable=False),
        sa.Column("tenant", Name, nullable=True),
        sa.Column("correlation_id", Id, nullable=True),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_logs")),
    )
    op.create_index(op.f("ix_audit_logs_action"), "audit_logs", ["action"], unique=False)
    op.create_index(op.f("ix_audit_logs_correlation_id"), "audit_logs", ["correlation_id"], unique=False)
    op.create_index(op.f("ix_audit_logs_time"), "audit_logs", ["time"], unique=False)
    op.create_table(
        "audit_pending",
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_pending")),
    )
    op.create_table(
        "data_retention_policies",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("datasource", Name, nullable=False),
        sa.Column("schema_name", Name, nullable=True),
        sa.Column("table_name", Name, nullable=False),
        sa.Column("key_columns", Plain, nullable=True),
        sa.Column("timestamp_column", Name, nullable=False),
        sa.Column("timestamp_unit", sa.String(length=2), nullable=True),
        sa.Column("zone", Name, nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("tenant_column", Name, nullable=True),
        sa.Column("filter_sql", sa.Text(), nullable=True),
        sa.Column("masks", Plain, nullable=True),
        sa.Column("marker_column", Name, nullable=True),
        sa.Column("tenant_days", Plain, nullable=True),
        sa.Column("guards", Plain, nullable=True),
        sa.Column("archive", Plain, nullable=True),
        sa.Column("cascades", Plain, nullable=True),
        sa.Column("after", Plain, nullable=True),
        sa.Column("cron", sa.String(length=200), nullable=False),
        sa.Column("cron_zone", Name, nullable=False),
        sa.Column("windows", Plain, nullable=True),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("legal_basis", sa.Text(), nullable=True),
        sa.Column("categories", Plain, nullable=True),
        sa.Column("owner_ref", sa.String(length=64), nullable=True),
        sa.Column("review_by", sa.Date(), nullable=True),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("digest_version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("approved_at", Moment, nullable=True),
        sa.Column("confirmed_at", Moment, nullable=True),
        sa.Column("disabled_at", Moment, nullable=True),
        sa.Column("planned_until", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_retention_policies")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_data_retention_policies_name_version")),
    )
    op.create_index(
        op.f("ix_data_retention_policies_state"), "data_retention_policies", ["state"], unique=False
    )
    op.create_table(
        "aegis_runs",
        sa.Column("id", Id, nullable=False),
        sa.Column("policy_id", Id, nullable=False),
        sa.Column("policy", Name, nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("datasource", Name, nullable=False),
        sa.Column("table_name", Name, nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("tenant", Name, nullable=True),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("actor_ref", sa.String(length=64), nullable=False),
        sa.Column("scheduled_for", Moment, nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", Moment, nullable=True),
        sa.Column("lease_owner", Name, nullable=True),
        sa.Column("lease_until", Moment, nullable=True),
        sa.Column("sent_at", Moment, nullable=True),
        sa.Column("cutoff", Moment, nullable=True),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("rows_expected", sa.BigInteger(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("report", Plain, nullable=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("started_at", Moment, nullable=True),
        sa.Column("finished_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["data_retention_policies.id"],
            name=op.f("fk_aegis_runs_policy_id_data_retention_policies"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aegis_runs")),
        sa.UniqueConstraint("policy", "scheduled_for", name=op.f("uq_aegis_runs_policy_scheduled_for")),
    )
    op.create_index(op.f("ix_aegis_runs_policy_id"), "aegis_runs", ["policy_id"], unique=False)
    op.create_index(op.f("ix_aegis_runs_request_id"), "aegis_runs", ["request_id"], unique=False)
    op.create_index(op.f("ix_aegis_runs_state"), "aegis_runs", ["state"], unique=False)
