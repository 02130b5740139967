"""CHECKs, asked in the database what they say of a row before any row has it."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aegis.db.engines import attempt
from aegis.errors import AegisError


def objecting(
    connection: sa.Connection, table: sa.Table, written: Mapping[str, sa.ColumnElement[Any]]
) -> list[str]:
    """Return the CHECKs of a table that are false for a row in which these values stand.

    A CHECK that depends on other columns too, or that cannot be evaluated apart, is left out.

    Args:
        connection: the data source.
        table: as it was reflected.
        written: column → an expression that depends on no column.

    """
    row = sa.select(*(value.label(name) for name, value in written.items())).subquery(table.name)
    others = [column.name for column in table.c if column.name not in written]
    return [
        str(check["name"] or check["sqltext"])
        for check in sa.inspect(connection).get_check_constraints(table.name, schema=table.schema)
        if any(_mentions(check["sqltext"], name) for name in written)
        and not any(_mentions(check["sqltext"], name) for name in others)
        and _is_false(connection, check["sqltext"], row)
    ]


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def _is_false(connection: sa.Connection, text: str, row: sa.FromClause) -> bool:
    condition: sa.ColumnElement[Any] = sa.literal_column(f"NOT ({text})")
    try:
        with attempt(connection, "CHECK"):
            return bool(connection.scalar(sa.select(condition).select_from(row)))
    except AegisError:
        return False
