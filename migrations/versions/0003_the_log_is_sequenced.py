"""Leaves, tiles, checkpoints and keys of the audit log, and its witnesses."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Id, Moment, Name

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SAFETY = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")


def upgrade() -> None:
    """Add tables; nothing that is there is changed, and every event already waits for its leaf."""
    if op.get_context().dialect.name == "postgresql":
        for statement in SAFETY:
            op.execute(statement)
    _create_tree()
    op.create_table(
        "aegis_audit_keys",
        sa.Column("vkey", Name, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("added_at", Moment, nullable=False),
        sa.Column("retired_size", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("vkey", name=op.f("pk_aegis_audit_keys")),
    )
    op.create_table(
        "aegis_audit_witnesses",
        sa.Column("name", Name, nullable=False),
        sa.Column("vkey", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("cosigned_at", Moment, nullable=True),
        sa.Column("failed_at", Moment, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_aegis_audit_witnesses")),
    )
    op.create_table(
        "aegis_audit_pruned",
        sa.Column("policy", Name, nullable=False),
        sa.Column("table_name", Name, nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("policy", "table_name", "action", name=op.f("pk_aegis_audit_pruned")),
    )


def _create_tree() -> None:
    op.create_table(
        "aegis_audit_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", Name, nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("minimum", sa.BigInteger(), nullable=False),
        sa.Column("halted", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aegis_audit_state")),
    )
    op.create_table(
        "aegis_audit_leaves",
        sa.Column("leaf", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("leaf", name=op.f("pk_aegis_audit_leaves")),
        sa.UniqueConstraint("id", name=op.f("uq_aegis_audit_leaves_id")),
    )
    op.create_table(
        "aegis_audit_tiles",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_aegis_audit_tiles")),
    )
    op.create_table(
        "aegis_audit_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", Moment, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_aegis_audit_checkpoints")),
    )
