"""How many columns of each data source nobody has decided on, as the newest look found it."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Moment, Name

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SAFETY = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")


def upgrade() -> None:
    """Add a table; no row is changed."""
    if op.get_context().dialect.name == "postgresql":
        for statement in SAFETY:
            op.execute(statement)
    op.create_table(
        "aegis_catalog_reviews",
        sa.Column("datasource", Name, nullable=False),
        sa.Column("undecided", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("looked_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("datasource", name=op.f("pk_aegis_catalog_reviews")),
    )
