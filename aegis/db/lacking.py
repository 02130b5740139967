"""Which right a statement lacked that the database refused, as the owner would grant it.

MariaDB names the right and the column in its error. PostgreSQL names the table alone, in the language of the
server: it is asked, on another connection, which of the tables and columns that the statement names are
closed to the role.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects

#: A word of SQL, or a name in quotes; what stands in single quotes is a value and no name.
_WORD: Final = re.compile(r"'(?:[^']|'')*'|\"((?:[^\"]|\"\")+)\"|([^\W\d]\w*)")
#: What a table's name comes behind, where the table is changed.
_CHANGED: Final = re.compile(
    r"\b(?P<how>DELETE\s+FROM|INSERT\s+INTO|UPDATE)\s+(?:ONLY\s+)?"
    r"(?:\"?\w+\"?\.)?\"?(?P<table>\w+)\"?(?:\s+SET\s+(?P<set>.*?)(?=\s+WHERE\s|\s+FROM\s|$))?",
    re.IGNORECASE | re.DOTALL,
)
#: A column with its table.
_PAIR: Final = re.compile(r"\"?([^\W\d]\w*)\"?\.\"?([^\W\d]\w*)\"?")
_LOCKED: Final = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_TEMPORARY: Final = re.compile(r"\bCREATE\s+TEMPORARY\s+TABLE\b", re.IGNORECASE)
_DENIED: Final = re.compile(
    r"^(?P<right>[A-Z][A-Z ,]*?) command denied to user .* for "
    r"(?:column '(?P<column>[^']+)' in )?table [`'](?P<table>.+?)[`']$",
    re.DOTALL,
)
_DATABASE: Final = re.compile(r"to database '(?P<database>[^']+)'")
_NEEDS: Final = re.compile(r"at least one of\) the (?P<right>[A-Z_ ,]+?) privilege")
_CLOSED: Final = """
SELECT n.nspname AS schema, c.relname AS name,
       has_any_column_privilege(c.oid, 'SELECT') AS seen,
       has_table_privilege(c.oid, 'DELETE') AS may_delete,
       has_any_column_privilege(c.oid, 'INSERT') AS may_insert,
       has_any_column_privilege(c.oid, 'UPDATE') AS may_update,
       ARRAY(SELECT CAST(attname AS text) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT attisdropped
             AND attname = ANY(CAST(:words AS text[])) AND has_column_privilege(c.oid, attnum, 'SELECT'))
         AS read,
       ARRAY(SELECT CAST(attname AS text) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT attisdropped
             AND attname = ANY(CAST(:words AS text[])) AND NOT has_column_privilege(c.oid, attnum, 'SELECT')
             ORDER BY attnum) AS unread,
       ARRAY(SELECT CAST(attname AS text) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT attisdropped
             AND attname = ANY(CAST(:words AS text[])) AND NOT has_column_privilege(c.oid, attnum, 'UPDATE')
             ORDER BY attnum) AS fixed,
       ARRAY(SELECT CAST(attname AS text) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT attisdropped
             AND attname = ANY(CAST(:words AS text[])) AND NOT has_column_privilege(c.oid, attnum, 'INSERT')
             ORDER BY attnum) AS unwritten
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = ANY(CAST(:words AS text[])) AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
 ORDER BY 1, 2
"""
_SHUT: Final = """
SELECT nspname FROM pg_namespace
 WHERE nspname = ANY(CAST(:words AS text[])) AND NOT has_schema_privilege(oid, 'USAGE')
"""


def lacking(engine: sa.Engine, error: sa.exc.DBAPIError) -> list[str]:
    """Return the rights that a refused statement lacked, as they stand behind GRANT; none: not known."""
    if engine.dialect.name in dialects.MARIADB:
        return _told(error)
    if engine.dialect.name != dialects.POSTGRESQL:
        return []
    if error.statement is None:
        # The words of its detail are translated; this one is not.
        return [f"CONNECT ON DATABASE {engine.url.database}"] if "CONNECT" in str(error.orig) else []
    try:
        with engine.connect() as connection:
            return list(dict.fromkeys(_found(connection, error.statement, str(error.orig))))
    except sa.exc.SQLAlchemyError:
        # The error that led here is told all the same.
        return []


def _told(error: sa.exc.DBAPIError) -> list[str]:
    text = str(getattr(error.orig, "args", ("", ""))[-1])
    if found := _DENIED.search(text):
        column = f" ({found['column']})" if found["column"] else ""
        return [f"{found['right']}{column} ON {found['table'].replace('`', '')}"]
    if found := _DATABASE.search(text):
        temporary = _TEMPORARY.search(error.statement or "")
        what = "CREATE TEMPORARY TABLES" if temporary else "a right"
        return [f"{what} ON {found['database']}.*"]
    found = _NEEDS.search(text)
    return [f"{found['right']} ON *.*"] if found else []


def _found(connection: sa.Connection, statement: str, said: str) -> Iterator[str]:
    changed = {found["table"]: found for found in _CHANGED.finditer(statement)}
    if _TEMPORARY.search(statement):
        allowed = sa.text("SELECT has_database_privilege(current_database(), 'TEMPORARY')")
        if not connection.scalar(allowed):
            yield f"TEMPORARY ON DATABASE {connection.engine.url.database}"
    # A schema may stand in a parameter only; the error has it in clear, in whichever language.
    for schema in connection.scalars(sa.text(_SHUT), {"words": sorted(_words(said))}):
        yield f"USAGE ON SCHEMA {schema}"
    rows = connection.execute(sa.text(_CLOSED), {"words": sorted(_words(statement))}).all()
    yield from _exactly(rows, statement, changed) or _loosely(rows, statement, changed)


def _exactly(rows: Sequence[Any], statement: str, changed: Mapping[str, re.Match[str]]) -> list[str]:
    """Return what is lacking, taking a column that is named alone for that of a table which has it open."""
    pairs = {(found[1], found[2]) for found in _PAIR.finditer(statement)}
    tables = {row.name for row in rows}
    known = {name for row in rows for name in row.read} | {name for table, name in pairs if table in tables}
    return [
        lacks
        for row in rows
        for lacks in _of_table(
            row, [n for n in row.unread if (row.name, n) in pairs or n not in known], statement, changed
        )
    ]


def _loosely(rows: Sequence[Any], statement: str, changed: Mapping[str, re.Match[str]]) -> list[str]:
    """Return everything that may be lacking: a column may be named by what its table is called there."""
    return [lacks for row in rows for lacks in _of_table(row, row.unread, statement, changed)]


def _words(text: str) -> set[str]:
    return {found[1] or found[2] for found in _WORD.finditer(text) if found[1] or found[2]}


def _of_table(
    row: Any, unread: Sequence[str], statement: str, changed: Mapping[str, re.Match[str]]
) -> Iterator[str]:
    place, change = f"{row.schema}.{row.name}", changed.get(row.name)
    how = change["how"].split()[0].upper() if change else ""
    if how == "DELETE" and not row.may_delete:
        yield f"DELETE ON {place}"
    if how == "INSERT" and row.unwritten:
        yield f"INSERT ({', '.join(row.unwritten)}) ON {place}" if row.may_insert else f"INSERT ON {place}"
    if how == "UPDATE" and change is not None:
        named = _words(change["set"] or "")
        if fixed := [name for name in row.fixed if name in named]:
            yield f"UPDATE ({', '.join(fixed)}) ON {place}"
    if _LOCKED.search(statement) and not row.may_update:
        yield f"UPDATE ON {place}"
    if how != "INSERT" and unread:
        yield f"SELECT ({', '.join(unread)}) ON {place}"
    elif how != "INSERT" and not row.seen:
        yield f"SELECT ON {place}"
