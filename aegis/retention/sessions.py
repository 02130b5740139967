"""Tenant-session mode: a policy that sees what one tenant's session sees, because somebody chose so.

Everything else counts with row security off, so that a hidden row is an error. Where the role that Aegis has
may not see every row, a policy can name the setting that the application's own row policies read, such as
`app.tenant`. Then a run, which has to name its tenant, sets it in each of its transactions and leaves row
security on; what it reports is told as seen by that tenant.
"""

import re
from typing import Any, Final, Protocol

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.transactions import SeenBy
from aegis.errors import InvalidPolicy

#: As PostgreSQL takes one of an application's: two or more names with dots between.
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_LONGEST: Final = 63


class Wish(Protocol):
    """The part of a policy that this is about."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def tenant_column(self) -> str | None: ...  # noqa: D102
    @property
    def tenant_session(self) -> str | None: ...  # noqa: D102
    @property
    def cascades(self) -> Any: ...  # noqa: D102
    @property
    def archive(self) -> Any: ...  # noqa: D102


def check_session(wish: Wish) -> None:
    """Refuse a setting that cannot be meant, and what a session that sees a part would do wrong.

    Raises:
        InvalidPolicy: says why.

    """
    setting = wish.tenant_session
    if setting is None:
        return
    if not isinstance(setting, str) or not _SETTING.fullmatch(setting) or len(setting) > _LONGEST:
        message = f"policy {wish.name}: tenant_session is a setting of the application, such as app.tenant"
        raise InvalidPolicy(message)
    if wish.tenant_column is None:
        message = f"policy {wish.name}: tenant_session needs a tenant_column: each run is for one tenant"
        raise InvalidPolicy(message)
    given = [name for name in ("cascades", "archive") if getattr(wish, name)]
    if given:
        message = (
            f"policy {wish.name}: {given[0]} cannot stand beside tenant_session: rows that the session does "
            "not see would go along uncounted, or not come back"
        )
        raise InvalidPolicy(message)


def refuse_without_sessions(connection: sa.Connection, wish: Wish) -> None:
    """Refuse a tenant's session on a database that has no row security.

    Raises:
        InvalidPolicy: it is no PostgreSQL.

    """
    if wish.tenant_session is not None and connection.dialect.name != dialects.POSTGRESQL:
        message = f"policy {wish.name}: tenant_session is for PostgreSQL; this database has no row security"
        raise InvalidPolicy(message)


def seen_by(policy: Wish, tenant: Any) -> SeenBy | None:
    """Return whose session a policy looks through for a tenant; None: it sees every row, or fails.

    Raises:
        InvalidPolicy: no tenant was named for a policy that needs one.

    """
    if policy.tenant_session is None:
        return None
    if tenant is None:
        message = (
            f"policy {policy.name} sees what one tenant's session sees (tenant_session): name the tenant; it "
            "has no run for all of them, and none by its schedule"
        )
        raise InvalidPolicy(message)
    return SeenBy(setting=policy.tenant_session, tenant=str(tenant))


def told(policy: Wish, tenant: Any) -> str | None:
    """Return whose view a report has; None: it saw every row."""
    found = seen_by(policy, tenant)
    return None if found is None else f"as seen by tenant {found.tenant}"
