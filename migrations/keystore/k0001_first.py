"""The key store of the first version."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Moment, Name

revision = "k0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "aegis_key_epochs",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_id", Name, nullable=False),
        sa.Column("began_at", Moment, nullable=False),
        sa.Column("destroyed_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_aegis_key_epochs")),
    )
    op.create_table(
        "aegis_wrapped_keys",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("lookup", Name, nullable=False),
        sa.Column("reference", Name, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["epoch"], ["aegis_key_epochs.number"], name=op.f("fk_aegis_wrapped_keys_epoch_aegis_key_epochs")
        ),
        sa.PrimaryKeyConstraint("kind", "lookup", name=op.f("pk_aegis_wrapped_keys")),
        sa.UniqueConstraint("reference", name=op.f("uq_aegis_wrapped_keys_reference")),
    )
    op.create_index(op.f("ix_aegis_wrapped_keys_epoch"), "aegis_wrapped_keys", ["epoch"], unique=False)
