"""Beat's figures: instants that were missed, when a journal was through, and an index of ended requests."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SAFETY = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")


def upgrade() -> None:
    """Add two columns and an index; no row is changed."""
    if op.get_context().dialect.name == "postgresql":
        for statement in SAFETY:
            op.execute(statement)
    missed = sa.Column("instants_missed", sa.Integer(), nullable=False, server_default="0")
    op.add_column("data_retention_policies", missed)
    op.add_column("aegis_sources", sa.Column("caught_up_at", Moment, nullable=True))
    op.create_index(op.f("ix_aegis_requests_finished_at"), "aegis_requests", ["finished_at"])
