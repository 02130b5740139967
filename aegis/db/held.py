"""The rights that a session has, from whatever they come: granted to it, to a role of it, or to everybody.

PostgreSQL tells them by functions, and shows its catalogs to everybody. MariaDB lists what was granted, and
shows of its schema only what the session has a right on: a foreign key, a column or a trigger that stays out
of sight would be taken for one that is not there. So there it is an error not to have the right that shows
everything.
"""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.rights import SIGHT, Right, grant_of, maintainable
from aegis.errors import UnsafeTable

#: Everything that there is (MariaDB).
_EVERYTHING: Final = "ALL PRIVILEGES"
_ANYWHERE: Final = "*"
_COMMAND: Final = "`aegis grants DATASOURCE` prints all that Aegis needs"


def missing(connection: sa.Connection, rights: Iterable[Right]) -> list[Right]:
    """Return what the session lacks of some rights; of those on columns, the columns that it lacks."""
    if connection.dialect.name == dialects.POSTGRESQL:
        found = (_lacking(connection, right) for right in rights)
    else:
        held = _granted(connection)
        found = (_ungranted(held, right) for right in rights)
    return [right for right in found if right is not None]


def beyond(connection: sa.Connection, rights: Sequence[Right]) -> list[Right]:
    """Return what the session may do besides: on tables and columns, and by its roles and attributes."""
    if connection.dialect.name == dialects.POSTGRESQL:
        of_table = [*_OF_TABLE, *(["MAINTAIN"] if maintainable(connection) else [])]
        rows = connection.execute(sa.text(_HAS), {"privileges": of_table}).mappings()
        has = [Right(**{**row, "columns": tuple(row["columns"] or ())}) for row in rows]
        if everything := [right for right in has if right.privilege == _SUPERUSER]:
            return everything
    else:
        has = [_literal(right) for right in _granted(connection)]
    return [left for right in has if (left := _left(right, rights)) is not None]


def refuse_blind(connection: sa.Connection, schema: str | None) -> None:
    """Refuse a session that does not see every table, column and foreign key of a database.

    On PostgreSQL everybody sees them, but finds no table without its schema in one that it may not use.

    Args:
        connection: the database.
        schema: where is looked: the session's own, where nothing else is named. None: it has none.

    Raises:
        UnsafeTable: names the right that shows them.

    """
    if connection.dialect.name == dialects.POSTGRESQL and schema is None:
        _refuse_shut(connection)
    _refuse_without(connection, Right(privilege=SIGHT, kind="database", name=str(schema)))


def refuse_blind_to_triggers(connection: sa.Connection, schema: str | None, name: str) -> None:
    """Refuse a session that does not see the triggers of a table (MariaDB).

    Raises:
        UnsafeTable: names the right that shows them.

    """
    right = Right(privilege="TRIGGER", schema=_database(connection, schema), name=name)
    _refuse_without(connection, right)


def _refuse_shut(connection: sa.Connection) -> None:
    shut = list(connection.scalars(sa.text(_SHUT)))
    lacks = f"GRANT USAGE ON SCHEMA {shut[0]}" if shut else "set its search_path to one that is there"
    message = f"this role may use no schema of its search_path; as the owner: {lacks} ({_COMMAND})"
    raise UnsafeTable(message)


def _refuse_without(connection: sa.Connection, right: Right) -> None:
    if connection.dialect.name not in dialects.MARIADB or not missing(connection, [right]):
        return
    what = "the triggers of a table" if right.privilege == "TRIGGER" else "a foreign key or a column"
    message = (
        f"this role may not see {what}, and MariaDB shows none to it: as the owner: "
        f"GRANT {grant_of(connection.dialect, right)} ({_COMMAND})"
    )
    raise UnsafeTable(message)


def _database(connection: sa.Connection, schema: str | None) -> str:
    return schema or str(dialects.default_schema(connection))


def _left(right: Right, needed: Sequence[Right]) -> Right | None:
    """Return what of a right nobody needs."""
    same = [other for other in needed if other.place == right.place]
    if any(not other.columns for other in same):
        return None
    if not right.columns:
        return right
    columns = set(right.columns) - {name for other in same for name in other.columns}
    return replace(right, columns=tuple(sorted(columns))) if columns else None


# -- MariaDB ---------------------------------------------------------------------------------


#: `GRANT SELECT (a, b), DELETE ON place.name TO …`; what else is listed grants nothing by itself.
_LINE: Final = re.compile(
    r"GRANT (?P<what>.+?) ON (?P<place>`(?:[^`]|``)+`|\*)\.(?P<name>`(?:[^`]|``)+`|\*) TO ", re.DOTALL
)
_ONE: Final = re.compile(r"(?P<privilege>[A-Z][A-Z ]*[A-Z])(?: \((?P<columns>(?:`(?:[^`]|``)+`(?:, )?)+)\))?")
_COLUMN: Final = re.compile(r"`((?:[^`]|``)+)`")


def _granted(connection: sa.Connection) -> list[Right]:
    """Return what was granted to the user and to its roles."""
    lines = connection.execute(sa.text("SHOW GRANTS")).scalars()
    return [right for line in lines for right in _read(str(line))]


def _read(line: str) -> Iterator[Right]:
    found = _LINE.match(line)
    if found is None:
        return
    place, name = _bare(found["place"]), _bare(found["name"])
    for one in _ONE.finditer(found["what"]):
        if one["privilege"] == "USAGE":
            continue
        columns = tuple(_bare(f"`{column}`") for column in _COLUMN.findall(one["columns"] or ""))
        if name == _ANYWHERE:
            yield Right(privilege=one["privilege"], kind="database", name=place)
        else:
            yield Right(privilege=one["privilege"], schema=place, name=name, columns=columns)


def _bare(name: str) -> str:
    return name.strip("`").replace("``", "`")


def _literal(right: Right) -> Right:
    """Return a right on one database by its name, where it was granted so that it is on this one alone."""
    alone = right.kind == "database" and not re.search(r"(?<!\\)[_%]", right.name)
    return replace(right, name=re.sub(r"\\([_%])", r"\1", right.name)) if alone else right


def _ungranted(held: Sequence[Right], right: Right) -> Right | None:
    """Return what is lacking; what was granted on everything, or on a database, holds for its tables."""
    database = right.name if right.kind == "database" else str(right.schema)
    mine = [one for one in held if one.privilege in {right.privilege, _EVERYTHING}]
    if any(one.kind == "database" and _covers(one.name, database) for one in mine):
        return None
    same = [one for one in mine if (one.kind, one.schema, one.name) == (right.kind, right.schema, right.name)]
    if any(not one.columns for one in same):
        return None
    has = {name for one in same for name in one.columns}
    columns = tuple(name for name in right.columns if name not in has)
    return replace(right, columns=columns) if columns or not right.columns else None


def _covers(pattern: str, database: str) -> bool:
    """Whether a grant on databases is on this one: `_` and `%` stand for any letters, unless escaped."""
    parts = re.split(r"(\\[_%]|[_%*])", pattern)
    written = {"_": "?", "%": "*", "*": "*"}
    translated = "".join(written.get(part, re.sub(r"([*?\[])", r"[\1]", part.lstrip("\\"))) for part in parts)
    return fnmatch.fnmatchcase(database, translated)


# -- PostgreSQL ------------------------------------------------------------------------------


def _lacking(connection: sa.Connection, right: Right) -> Right | None:
    if right.columns:
        given = {"schema": right.schema, "name": right.name, "columns": list(right.columns)}
        query = sa.text(_UNGRANTED).bindparams(sa.bindparam("privilege", right.privilege))
        lacks = set(connection.scalars(query, given))
        columns = tuple(name for name in right.columns if name in lacks)
        return replace(right, columns=columns) if columns else None
    given = {"privilege": right.privilege, "schema": right.schema, "name": right.name}
    query = sa.text(_GRANTED[right.kind])
    wanted = {name: value for name, value in given.items() if f":{name}" in _GRANTED[right.kind]}
    return None if connection.scalar(query, wanted) else right


#: Which privilege a table of this name may lack is asked for by its identity, as a schema may be closed.
_GRANTED: Final[Mapping[str, str]] = {
    "database": "SELECT has_database_privilege(CAST(:name AS text), :privilege)",
    "schema": "SELECT has_schema_privilege(CAST(:name AS text), :privilege)",
    "function": "SELECT has_function_privilege(to_regprocedure(:name), :privilege)",
    "membership": "SELECT pg_has_role(current_user, CAST(:name AS name), 'USAGE')",
    "attribute": "SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user",
    "table": "SELECT has_table_privilege(c.oid, :privilege) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema AND c.relname = :name",
}
_SHUT: Final = (
    "SELECT nspname FROM pg_namespace WHERE NOT has_schema_privilege(oid, 'USAGE') AND nspname = "
    "ANY(string_to_array(replace(replace(current_setting('search_path'), ' ', ''), '\"', ''), ','))"
)
_UNGRANTED: Final = """
SELECT CAST(a.attname AS text) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = :schema AND c.relname = :name AND a.attname = ANY(CAST(:columns AS text[]))
   AND NOT has_column_privilege(c.oid, a.attnum, :privilege)
"""
_OF_TABLE: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
#: Goes without any other right.
_SUPERUSER: Final = "SUPERUSER"
#: What a session may do to tables that are not the system's, by whatever way it came to it.
_HAS: Final = """
WITH tables AS (
  SELECT c.oid, n.nspname, c.relname, c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND c.relpersistence <> 't'
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
), privileges AS (
  SELECT unnest(CAST(:privileges AS text[])) AS privilege
), whole AS (
  SELECT p.privilege, t.oid, t.nspname, t.relname FROM tables t CROSS JOIN privileges p
   WHERE has_table_privilege(t.oid, p.privilege)
)
SELECT privilege, 'table' AS kind, nspname AS schema, relname AS name, CAST(NULL AS text[]) AS columns
  FROM whole
UNION ALL
SELECT p.privilege, 'table', t.nspname, t.relname, array_agg(CAST(a.attname AS text) ORDER BY a.attnum)
  FROM tables t CROSS JOIN privileges p JOIN pg_attribute a ON a.attrelid = t.oid AND NOT a.attisdropped
 WHERE p.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
   AND NOT EXISTS (SELECT FROM whole w WHERE w.oid = t.oid AND w.privilege = p.privilege)
   AND has_any_column_privilege(t.oid, p.privilege) AND has_column_privilege(t.oid, a.attnum, p.privilege)
 GROUP BY p.privilege, t.nspname, t.relname
UNION ALL
SELECT 'CREATE', 'schema', NULL, nspname, NULL FROM pg_namespace
 WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' AND has_schema_privilege(oid, 'CREATE')
UNION ALL
SELECT 'CREATE', 'database', NULL, datname, NULL FROM pg_database
 WHERE datname = current_database() AND has_database_privilege(oid, 'CREATE')
UNION ALL
SELECT 'MEMBER', 'membership', NULL, rolname, NULL FROM pg_roles
 WHERE rolname <> current_user AND pg_has_role(current_user, oid, 'USAGE')
UNION ALL
SELECT word, 'attribute', NULL, '', NULL FROM pg_roles
 CROSS JOIN LATERAL (VALUES ('SUPERUSER', rolsuper), ('CREATEDB', rolcreatedb), ('CREATEROLE', rolcreaterole),
                            ('REPLICATION', rolreplication), ('BYPASSRLS', rolbypassrls)) AS a(word, has)
 WHERE rolname = current_user AND has
ORDER BY 2, 3, 4, 1
"""
