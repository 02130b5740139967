"""Budgets of aggregates, what was charged to them, and releases."""

import sqlalchemy as sa
from alembic import op

from aegis.db.columns import Bytes, Exact64, Id, LongBytes, Moment, Name, Plain

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SAFETY = ("SET LOCAL lock_timeout = '5s'", "SET LOCAL statement_timeout = '60s'")


def upgrade() -> None:
    """Add three tables; no row is changed."""
    if op.get_context().dialect.name == "postgresql":
        for statement in SAFETY:
            op.execute(statement)
    _accounts()
    _charges()
    _releases()


def _accounts() -> None:
    op.create_table(
        "aegis_budget_accounts",
        sa.Column("name", Name, nullable=False),
        sa.Column("parent", Name, nullable=True),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("composition", sa.String(length=20), nullable=False),
        sa.Column("rdp_order", sa.Integer(), nullable=True),
        sa.Column("delta", sa.String(length=40), nullable=True),
        sa.Column("window_days", sa.Integer(), nullable=True),
        sa.Column("window_limit", sa.BigInteger(), nullable=True),
        sa.Column("lifetime_limit", sa.BigInteger(), nullable=True),
        sa.Column("window_number", sa.BigInteger(), nullable=False),
        sa.Column("window_spent", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("charges", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["parent"],
            ["aegis_budget_accounts.name"],
            name=op.f("fk_aegis_budget_accounts_parent_aegis_budget_accounts"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_aegis_budget_accounts")),
    )
    op.create_index(
        op.f("ix_aegis_budget_accounts_parent"), "aegis_budget_accounts", ["parent"], unique=False
    )


def _charges() -> None:
    op.create_table(
        "aegis_budget_charges",
        sa.Column("account", Name, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("charged_to", Name, nullable=False),
        sa.Column("release_id", Exact64, nullable=False),
        sa.Column("spends", Plain, nullable=False),
        sa.Column("charged", sa.BigInteger(), nullable=False),
        sa.Column("window_number", sa.BigInteger(), nullable=False),
        sa.Column("charged_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["aegis_budget_accounts.name"],
            name=op.f("fk_aegis_budget_charges_account_aegis_budget_accounts"),
        ),
        sa.PrimaryKeyConstraint("account", "number", name=op.f("pk_aegis_budget_charges")),
        sa.UniqueConstraint(
            "account",
            "charged_to",
            "release_id",
            name=op.f("uq_aegis_budget_charges_account_charged_to_release_id"),
        ),
    )


def _releases() -> None:
    op.create_table(
        "aegis_releases",
        sa.Column("id", Id, nullable=False),
        sa.Column("account", Name, nullable=False),
        sa.Column("release_id", Exact64, nullable=False),
        sa.Column("terms_digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("seed_sealed", Bytes, nullable=True),
        sa.Column("value_digest", sa.String(length=64), nullable=True),
        sa.Column("output", LongBytes, nullable=True),
        sa.Column("output_at", sa.Text(), nullable=True),
        sa.Column("output_digest", sa.String(length=64), nullable=True),
        sa.Column("report", Plain, nullable=True),
        sa.Column("actor_ref", sa.String(length=64), nullable=False),
        sa.Column("tenant", Name, nullable=True),
        sa.Column("reserved_at", Moment, nullable=False),
        sa.Column("released_at", Moment, nullable=True),
        sa.Column("expires_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aegis_releases")),
        sa.UniqueConstraint("account", "release_id", name=op.f("uq_aegis_releases_account_release_id")),
    )
    op.create_index(op.f("ix_aegis_releases_expires_at"), "aegis_releases", ["expires_at"], unique=False)
