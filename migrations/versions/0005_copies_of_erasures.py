"""Copies elsewhere that have to forget whoever was erased."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Id, LongBytes, Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SAFETY = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")


def upgrade() -> None:
    """Add a table; no row is changed."""
    if op.get_context().dialect.name == "postgresql":
        for statement in SAFETY:
            op.execute(statement)
    op.create_table(
        "aegis_erasure_copies",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("due_at", Moment, nullable=False),
        sa.Column("sealed", LongBytes, nullable=True),
        sa.Column("asked_at", Moment, nullable=True),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("not_before", Moment, nullable=True),
        sa.Column("confirmed_at", Moment, nullable=True),
        sa.Column("confirmed_by", sa.String(length=64), nullable=True),
        sa.Column("event", Id, nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["aegis_requests.request_id"],
            name=op.f("fk_aegis_erasure_copies_request_id_aegis_requests"),
        ),
        sa.PrimaryKeyConstraint("request_id", "name", name=op.f("pk_aegis_erasure_copies")),
    )
    op.create_index(
        op.f("ix_aegis_erasure_copies_not_before"), "aegis_erasure_copies", ["not_before"], unique=False
    )
