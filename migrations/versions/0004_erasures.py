"""Erasures: runs without a policy, their persons, and tombstones."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Bytes, Id, Moment, Name, Plain

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SAFETY = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")
#: SQLite has no statement for it, and a table to which others refer cannot be built anew in a transaction.
#: This changes what is written of the column, and no row: https://sqlite.org/lang_altertable.html.
_OPTIONAL: Final = (
    "UPDATE sqlite_master SET sql = replace(sql, 'policy_id VARCHAR(36) NOT NULL', 'policy_id VARCHAR(36)') "
    "WHERE type = 'table' AND name = 'aegis_runs'"
)


def upgrade() -> None:
    """Add tables, and let a run have no policy; no row is changed."""
    name = op.get_context().dialect.name
    if name == "postgresql":
        for statement in SAFETY:
            op.execute(statement)
    if name == "sqlite":
        _make_optional()
    else:
        op.alter_column("aegis_runs", "policy_id", existing_type=Id, nullable=True)
    op.create_table(
        "aegis_erased_persons",
        sa.Column("run", Id, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("sealed", Bytes, nullable=True),
        sa.Column("wiped_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["run"], ["aegis_runs.id"], name=op.f("fk_aegis_erased_persons_run_aegis_runs")
        ),
        sa.PrimaryKeyConstraint("run", "number", name=op.f("pk_aegis_erased_persons")),
    )
    op.create_index(
        op.f("ix_aegis_erased_persons_reference"), "aegis_erased_persons", ["reference"], unique=False
    )
    op.create_table(
        "aegis_tombstones",
        sa.Column("run", Id, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("datasource", Name, nullable=False),
        sa.Column("subject", Name, nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("identifiers", Plain, nullable=False),
        sa.Column("masked", Plain, nullable=False),
        sa.Column("erased_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["aegis_runs.id"], name=op.f("fk_aegis_tombstones_run_aegis_runs")),
        sa.PrimaryKeyConstraint("run", "number", name=op.f("pk_aegis_tombstones")),
    )
    op.create_index(op.f("ix_aegis_tombstones_datasource"), "aegis_tombstones", ["datasource"], unique=False)
    op.create_index(op.f("ix_aegis_tombstones_key_digest"), "aegis_tombstones", ["key_digest"], unique=False)


def _make_optional() -> None:
    connection = op.get_bind()
    version = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    op.execute("PRAGMA writable_schema = ON")
    changed = connection.execute(sa.text(_OPTIONAL)).rowcount
    op.execute(f"PRAGMA schema_version = {int(version) + 1}")
    op.execute("PRAGMA writable_schema = OFF")
    if changed != 1:
        message = "the table aegis_runs is not as the migrations before made it"
        raise RuntimeError(message)
