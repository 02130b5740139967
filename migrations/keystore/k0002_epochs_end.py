"""When an epoch ended, and the events that told of its beginning and of its key's destruction."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Id, Moment

revision = "k0002"
down_revision = "k0001"
branch_labels = None
depends_on = None

SAFETY = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")


def upgrade() -> None:
    """Go forward."""
    if op.get_context().dialect.name == "postgresql":
        for statement in SAFETY:
            op.execute(statement)
    op.add_column("aegis_key_epochs", sa.Column("ended_at", Moment, nullable=True))
    op.add_column("aegis_key_epochs", sa.Column("begin_event", Id, nullable=True))
    op.add_column("aegis_key_epochs", sa.Column("destroy_event", Id, nullable=True))
