"""A policy as lists have it: for a program, and as a row of a table."""

from typing import Any, Final

from aegis.db.tables import DataRetentionPolicy
from aegis.operations.states import PolicyState
from cli import masks, output

_LISTED: Final = (
    "name",
    "version",
    "state",
    "datasource",
    "schema_name",
    "table_name",
    "timestamp_column",
    "retention_days",
    "period",
    "action",
    "tenant_column",
    "filter_sql",
    "cron",
    "cron_zone",
    "digest",
    "created_at",
    "approved_at",
)


def listed(found: DataRetentionPolicy) -> dict[str, Any]:
    """Return what a list says of a policy to a program; `show` says everything."""
    return {field: getattr(found, field) for field in _LISTED}


def row(found: DataRetentionPolicy, *, several: bool) -> tuple[str, ...]:
    """Return a policy as a row of a table; its table with the data source where there are several."""
    table = f"{found.schema_name}.{found.table_name}" if found.schema_name else found.table_name
    return (
        found.name,
        str(found.version),
        f"{found.datasource}: {table}" if several else table,
        found.period or output.counted(found.retention_days, "day"),
        masks.action(found),
        found.state,
        f"{found.cron} {found.cron_zone}" if found.state != PolicyState.DISABLED else "never",
    )
