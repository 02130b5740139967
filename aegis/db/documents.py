"""JSON documents: how one is read, and what stands at a path, with one meaning on every database.

A document is read so that each path leads to one value: `{}` stands for a text that is no JSON, and, on
MariaDB and for SQLite, for one in which an object on the way names a key twice (PostgreSQL's `json` keeps the
last), or, on MariaDB, writes one in escapes that could be the path's. A path leads through objects only. Each
is bound in both forms that databases take: `$."a"."b"` and an array.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aegis.db.readings import same

#: Where reflection writes that a column of text holds JSON (MariaDB).
IS_DOCUMENT: Final = "json"
#: An escape in a key that could stand for a letter of a path: of ASCII, or any. MariaDB does not read it.
_DISGUISED: Final = r"\\(u00[0-7]|/)"
_ESCAPED: Final = r"\\[u/]"


class _Read(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Text()


class _AsRead(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()


class _At(FunctionElement[str]):
    inherit_cache = True
    type = sa.Text()


class _Kind(FunctionElement[str]):
    inherit_cache = True
    type = sa.String()


class _Bare(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Text()


def read(column: sa.ColumnElement[Any], paths: Iterable[Sequence[str]]) -> sa.ColumnElement[Any]:
    """Return a column's document, in which each of these paths leads to one value at most."""
    paths = list(paths)
    levels = sorted({tuple(path[:end]) for path in paths for end in range(len(path))})
    plain = all(key.isascii() for path in paths for key in path)
    disguised = sa.bindparam(None, _DISGUISED if plain else _ESCAPED, sa.String(), unique=True)
    return _Read(column, disguised, *(_dotted(level) for level in levels))


def can_read(connection: sa.Connection, column: sa.Column[Any]) -> bool:
    """Say whether the database can tell documents in a column from what are none, and go on."""
    return connection.dialect.name != "postgresql" or isinstance(column.type, sa.JSON)


def mark_documents(connection: sa.Connection, table: sa.Table) -> None:
    """Note the columns of a reflected table that hold JSON; MariaDB keeps it as a text with a CHECK."""
    texts = [column for column in table.c if column.type.__visit_name__ == "LONGTEXT"]
    if not texts or not getattr(connection.dialect, "is_mariadb", False):
        return
    query = sa.text(
        "SELECT check_clause FROM information_schema.check_constraints "
        "WHERE constraint_schema = COALESCE(:schema, DATABASE()) AND table_name = :name"
    )
    clauses = {
        str(text).lower() for text in connection.scalars(query, {"schema": table.schema, "name": table.name})
    }
    for column in texts:
        column.info[IS_DOCUMENT] = f"json_valid(`{column.name.lower()}`)" in clauses


def as_read(column: sa.ColumnElement[Any], document: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that nothing stands in the column but the document that is read from it."""
    return _AsRead(same(column, document))


def value_at(document: sa.ColumnElement[Any], path: Sequence[str]) -> sa.ColumnElement[str]:
    """Return the text, number or truth value at a path, as text; NULL for anything else."""
    return _At(document, *both_forms(path))


def kind_at(document: sa.ColumnElement[Any], path: Sequence[str]) -> sa.ColumnElement[str]:
    """Return `nothing` (also for JSON's null), `nested` or `value` for what stands at a path."""
    return _Kind(document, *both_forms(path))


def bare(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return `[]` for a document that is an array, and `{}` for every other."""
    return _Bare(column)


def _dotted(path: Sequence[str]) -> sa.BindParameter[str]:
    text = "".join(["$", *(f'."{key}"' for key in path)])
    return sa.bindparam(None, text, sa.String(), unique=True)


def both_forms(path: Sequence[str]) -> list[sa.BindParameter[Any]]:
    """Return a path in both forms that databases take, for an element that is compiled with `own_parts`."""
    return [_dotted(path), sa.bindparam(None, list(path), sa.ARRAY(sa.Text()), unique=True)]


def own_parts(element: FunctionElement[Any], compiler: SQLCompiler, options: dict[str, Any]) -> list[str]:
    """Process the parts that this database takes: of the two forms of a path, its own."""
    document, dotted, listed, *more = element.clauses
    path = listed if compiler.dialect.name == "postgresql" else dotted
    return [compiler.process(part, **options) for part in (document, path, *more)]


def _kinds(kind: str) -> str:
    """Return what a type of JSON is to a mask."""
    return (
        f"CASE {kind} WHEN 'null' THEN 'nothing' WHEN 'object' THEN 'nested' WHEN 'array' THEN 'nested' "
        "ELSE 'value' END"
    )


def _first(element: FunctionElement[Any], compiler: SQLCompiler, options: dict[str, Any]) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


# -- PostgreSQL ------------------------------------------------------------------------------


@compiles(_Read, "postgresql")
def _as_jsonb(element: _Read, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({_first(element, compiler, options)} AS JSONB)"


@compiles(_AsRead, "postgresql")
def _always(element: _AsRead, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return "TRUE"


@compiles(_Kind, "postgresql")
def _typeof(element: _Kind, compiler: SQLCompiler, **options: Any) -> str:
    document, path = own_parts(element, compiler, options)
    kind = f"COALESCE(jsonb_typeof({document} #> {path}), 'null')"
    return _kinds(kind)


@compiles(_At, "postgresql")
def _text_at(element: _At, compiler: SQLCompiler, **options: Any) -> str:
    document, path = own_parts(element, compiler, options)
    nested = f"jsonb_typeof({document} #> {path}) IN ('object', 'array')"
    return f"CASE WHEN {nested} THEN NULL ELSE {document} #>> {path} END"


@compiles(_Bare, "postgresql")
def _bare_jsonb(element: _Bare, compiler: SQLCompiler, **options: Any) -> str:
    column = _first(element, compiler, options)
    return f"CASE WHEN jsonb_typeof(CAST({column} AS JSONB)) = 'array' THEN JSONB '[]' ELSE JSONB '{{}}' END"


# -- MariaDB and MySQL -----------------------------------------------------------------------


@compiles(_Read, "mysql", "mariadb")
def _where_unique(element: _Read, compiler: SQLCompiler, **options: Any) -> str:
    column, disguised, *levels = (compiler.process(part, **options) for part in element.clauses)
    keys = [(level, f"JSON_KEYS({column}, {level})") for level in levels]
    once = [
        f"COALESCE(JSON_LENGTH({column}, {level}) = JSON_LENGTH({names}) "
        f"AND {names} NOT REGEXP {disguised}, TRUE)"
        for level, names in keys
    ]
    valid = f"COALESCE(JSON_VALID({column}), FALSE)"
    inner = f"CASE WHEN {' AND '.join(once)} THEN {column} ELSE '{{}}' END"
    return f"CASE WHEN {valid} THEN {inner} ELSE '{{}}' END"


@compiles(_AsRead)
def _same_text(element: _AsRead, compiler: SQLCompiler, **options: Any) -> str:
    return _first(element, compiler, options)


@compiles(_Kind, "mysql", "mariadb")
def _json_type(element: _Kind, compiler: SQLCompiler, **options: Any) -> str:
    document, path = own_parts(element, compiler, options)
    return _kinds(f"LOWER(COALESCE(JSON_TYPE(JSON_EXTRACT({document}, {path})), 'null'))")


@compiles(_At, "mysql", "mariadb")
def _unquoted(element: _At, compiler: SQLCompiler, **options: Any) -> str:
    document, path = own_parts(element, compiler, options)
    found = f"JSON_EXTRACT({document}, {path})"
    nested = f"JSON_TYPE({found}) IN ('OBJECT', 'ARRAY', 'NULL')"
    return f"CASE WHEN {nested} THEN NULL ELSE JSON_UNQUOTE({found}) END"


@compiles(_Bare, "mysql", "mariadb")
def _bare_text(element: _Bare, compiler: SQLCompiler, **options: Any) -> str:
    column = _first(element, compiler, options)
    return f"CASE WHEN JSON_VALID({column}) AND JSON_TYPE({column}) = 'ARRAY' THEN '[]' ELSE '{{}}' END"


# -- SQLite ----------------------------------------------------------------------------------


@compiles(_Read, "sqlite")
def _read_by_python(element: _Read, compiler: SQLCompiler, **options: Any) -> str:
    return f"aegis_document({_first(element, compiler, options)})"


@compiles(_Kind, "sqlite")
def _json_type_at(element: _Kind, compiler: SQLCompiler, **options: Any) -> str:
    document, path = own_parts(element, compiler, options)
    kind = f"COALESCE(json_type({document}, {path}), 'null')"
    return _kinds(kind)


@compiles(_At, "sqlite")
def _scalar_at(element: _At, compiler: SQLCompiler, **options: Any) -> str:
    document, path = own_parts(element, compiler, options)
    return (
        f"CASE json_type({document}, {path}) WHEN 'text' THEN {document} ->> {path} "
        f"WHEN 'object' THEN NULL WHEN 'array' THEN NULL WHEN 'null' THEN NULL ELSE {document} -> {path} END"
    )


@compiles(_Bare, "sqlite")
def _bare_of_text(element: _Bare, compiler: SQLCompiler, **options: Any) -> str:
    column = _first(element, compiler, options)
    return f"CASE WHEN json_type(aegis_document({column})) = 'array' THEN '[]' ELSE '{{}}' END"
