"""Rights in a data source, and how the owner of it grants them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import sqlalchemy as sa

from aegis.db import dialects

#: A database; a schema; a table, or columns of it; a function with its arguments' types; a role to be in; an
#: attribute of the role itself.
Kind = Literal["database", "schema", "table", "function", "membership", "attribute"]


#: Shows the whole schema of a database, and lets nobody do anything (MariaDB, where it has no other use).
SIGHT: Final = "REFERENCES"


@dataclass(frozen=True, kw_only=True)
class Right:
    """One privilege on one thing."""

    privilege: str
    kind: Kind = "table"
    #: Of a table; on MariaDB its database.
    schema: str | None = None
    #: Of the table, schema, database or role; the attribute's is its privilege.
    name: str = ""
    #: Of a table; none: all of it.
    columns: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str, str | None, str]:
        """What it is about, whatever its columns."""
        return (self.privilege, self.kind, self.schema, self.name)


def grant(dialect: sa.Dialect, right: Right, role: str) -> str:
    """Return the statement that grants a right to a role, which may be done again.

    Args:
        dialect: of the data source.
        right: what is granted.
        role: its name; on MariaDB `user@host` for a user that is not `user@%`.

    """
    to = _role(dialect, role)
    if right.kind == "attribute":
        return f"ALTER ROLE {to} {right.privilege}"
    return f"GRANT {grant_of(dialect, right)} TO {to}"


def grant_of(dialect: sa.Dialect, right: Right) -> str:
    """Return a right as it stands behind GRANT; of an attribute, which is no grant, its name."""
    if right.kind == "attribute":
        return right.privilege
    if right.kind == "membership":
        return quoted(dialect, right.name)
    columns = f" ({', '.join(quoted(dialect, name) for name in right.columns)})" if right.columns else ""
    return f"{right.privilege}{columns} ON {_on(dialect, right)}"


def quoted(dialect: sa.Dialect, name: str) -> str:
    """Return a name in quotes, as a person writes it: for a driver, percent signs would be doubled."""
    rules = dialect.identifier_preparer
    return (
        f"{rules.initial_quote}{name.replace(rules.escape_quote, 2 * rules.escape_quote)}{rules.final_quote}"
    )


def _on(dialect: sa.Dialect, right: Right) -> str:
    if right.kind == "table":
        return f"{quoted(dialect, str(right.schema))}.{quoted(dialect, right.name)}"
    if dialect.name in dialects.MARIADB:
        # Unescaped, each of these two stands for any letter there.
        literally = re.sub(r"([_%])", r"\\\1", right.name)
        return f"{quoted(dialect, literally)}.*"
    return f"{right.kind.upper()} {right.name if right.kind == 'function' else quoted(dialect, right.name)}"


def _role(dialect: sa.Dialect, role: str) -> str:
    name, at, host = role.rpartition("@") if dialect.name in dialects.MARIADB else ("", "", role)
    return f"{quoted(dialect, name)}@{quoted(dialect, host)}" if at else quoted(dialect, role)


def within(connection: sa.Connection, schema: str | None) -> str:
    """Return the schema of a table that may be named without one; on MariaDB its database."""
    return schema or str(dialects.default_schema(connection))


def widened(connection: sa.Connection, rights: Iterable[Right]) -> list[Right]:
    """Return the rights, those on every column of a table as rights on the table.

    So a column that the table gets later is not left out of sight.
    """
    live = _columns(connection)
    return [
        replace(right, columns=())
        if right.columns and live.get((str(right.schema), right.name), {""}) <= set(right.columns)
        else right
        for right in rights
    ]


def _columns(connection: sa.Connection) -> Mapping[tuple[str, str], set[str]]:
    query = _COLUMNS[dialects.POSTGRESQL if connection.dialect.name == dialects.POSTGRESQL else "mariadb"]
    found: dict[tuple[str, str], set[str]] = {}
    for schema, table, column in connection.execute(sa.text(query)):
        found.setdefault((str(schema), str(table)), set()).add(str(column))
    return found


def secured(connection: sa.Connection, rights: Iterable[Right]) -> list[str]:
    """Return the tables among these rights on which row-level security stands (PostgreSQL)."""
    if connection.dialect.name != dialects.POSTGRESQL:
        return []
    found = {(schema, name) for schema, name in connection.execute(sa.text(_SECURED))}
    tables = dict.fromkeys((str(right.schema), right.name) for right in rights if right.kind == "table")
    return [".".join(table) for table in tables if table in found]


def maintainable(connection: sa.Connection) -> bool:
    """Whether the right to vacuum a table can be granted (PostgreSQL from 17)."""
    version = connection.dialect.server_version_info or (0,)
    return connection.dialect.name == dialects.POSTGRESQL and int(version[0]) >= _MAINTAIN


_SECURED: Final = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relrowsecurity"
)
#: The version of PostgreSQL that has MAINTAIN.
_MAINTAIN: Final = 17
_COLUMNS: Final[Mapping[str, str]] = {
    dialects.POSTGRESQL: "SELECT n.nspname, c.relname, a.attname FROM pg_attribute a "
    "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f')",
    "mariadb": "SELECT table_schema, table_name, column_name FROM information_schema.columns "
    "WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')",
}
