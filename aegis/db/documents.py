"""JSON documents: what stands at a path, replaced or taken out, with one meaning on every database.

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


class _Stored(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Text()


class _At(FunctionElement[str]):
    inherit_cache = True
    type = sa.Text()


class _Kind(FunctionElement[str]):
    inherit_cache = True
    type = sa.String()


class _Put(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Text()


class _Without(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Text()


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


def stored(
    document: sa.ColumnElement[Any], column: sa.ColumnElement[Any], *, original: sa.ColumnElement[Any]
) -> sa.ColumnElement[Any]:
    """Return a changed document as the column's own type; an original that is a mere value stays."""
    return _Stored(document, column, original)


def value_at(document: sa.ColumnElement[Any], path: Sequence[str]) -> sa.ColumnElement[str]:
    """Return the text, number or truth value at a path, as text; NULL for anything else."""
    return _At(document, *_path(path))


def kind_at(document: sa.ColumnElement[Any], path: Sequence[str]) -> sa.ColumnElement[str]:
    """Return `nothing` (also for JSON's null), `nested` or `value` for what stands at a path."""
    return _Kind(document, *_path(path))


def put(
    document: sa.ColumnElement[Any],
    path: Sequence[str],
    text: sa.ColumnElement[Any],
    *,
    original: sa.ColumnElement[Any],
) -> sa.ColumnElement[Any]:
    """Return the document with a text, or null, in place of what stands at a path; nothing is added.

    Args:
        document: with what was put elsewhere.
        path: to what is replaced.
        text: what is put there.
        original: the document in which something stands at the path, or does not.

    """
    return _Put(document, *_path(path), text, original)


def without(
    document: sa.ColumnElement[Any], path: Sequence[str], *, original: sa.ColumnElement[Any]
) -> sa.ColumnElement[Any]:
    """Return the document without what stands at a path of the original."""
    return _Without(document, *_path(path), original)


def bare(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return `[]` for a document that is an array, and `{}` for every other."""
    return _Bare(column)


def _dotted(path: Sequence[str]) -> sa.BindParameter[str]:
    text = "".join(["$", *(f'."{key}"' for key in path)])
    return sa.bindparam(None, text, sa.String(), unique=True)


def _path(path: Sequence[str]) -> list[sa.BindParameter[Any]]:
    return [_dotted(path), sa.bindparam(None, list(path), sa.ARRAY(sa.Text()), unique=True)]


def _own(element: FunctionElement[Any], compiler: SQLCompiler, options: dict[str, Any]) -> list[str]:
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


@compiles(_Stored, "postgresql")
def _as_it_was(element: _Stored, compiler: SQLCompiler, **options: Any) -> str:
    kind = compiler.dialect.type_compiler_instance.process(list(element.clauses)[1].type)
    document, _, original = (compiler.process(part, **options) for part in element.clauses)
    # The functions that change a document refuse one that is a mere value.
    changed = f"CASE WHEN jsonb_typeof({original}) IN ('object', 'array') THEN {document} ELSE {original} END"
    return f"CAST({changed} AS {kind})"


@compiles(_AsRead, "postgresql")
def _always(element: _AsRead, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return "TRUE"


@compiles(_Kind, "postgresql")
def _typeof(element: _Kind, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _own(element, compiler, options)
    kind = f"COALESCE(jsonb_typeof({document} #> {path}), 'null')"
    return _kinds(kind)


@compiles(_At, "postgresql")
def _text_at(element: _At, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _own(element, compiler, options)
    nested = f"jsonb_typeof({document} #> {path}) IN ('object', 'array')"
    return f"CASE WHEN {nested} THEN NULL ELSE {document} #>> {path} END"


@compiles(_Put, "postgresql")
def _jsonb_set(element: _Put, compiler: SQLCompiler, **options: Any) -> str:
    document, path, text, original = _own(element, compiler, options)
    value = f"COALESCE(to_jsonb(CAST({text} AS TEXT)), JSONB 'null')"
    return f"jsonb_set({document}, {_where_there(original, path)}, {value}, false)"


@compiles(_Without, "postgresql")
def _minus(element: _Without, compiler: SQLCompiler, **options: Any) -> str:
    document, path, original = _own(element, compiler, options)
    return f"({document} #- {_where_there(original, path)})"


def _where_there(original: str, path: str) -> str:
    """Return a path, or an empty one, which changes nothing: to lead by a name into an array is an error."""
    return f"CASE WHEN {original} #> {path} IS NULL THEN ARRAY[]::TEXT[] ELSE {path} END"


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


@compiles(_Stored)
def _stored_as_is(element: _Stored, compiler: SQLCompiler, **options: Any) -> str:
    return _first(element, compiler, options)


@compiles(_AsRead)
def _same_text(element: _AsRead, compiler: SQLCompiler, **options: Any) -> str:
    return _first(element, compiler, options)


@compiles(_Kind, "mysql", "mariadb")
def _json_type(element: _Kind, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _own(element, compiler, options)
    return _kinds(f"LOWER(COALESCE(JSON_TYPE(JSON_EXTRACT({document}, {path})), 'null'))")


@compiles(_At, "mysql", "mariadb")
def _unquoted(element: _At, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _own(element, compiler, options)
    found = f"JSON_EXTRACT({document}, {path})"
    nested = f"JSON_TYPE({found}) IN ('OBJECT', 'ARRAY', 'NULL')"
    return f"CASE WHEN {nested} THEN NULL ELSE JSON_UNQUOTE({found}) END"


@compiles(_Put, "mysql", "mariadb", "sqlite")
def _json_replace(element: _Put, compiler: SQLCompiler, **options: Any) -> str:
    document, path, text, _ = _own(element, compiler, options)
    return f"json_replace({document}, {path}, {text})"


@compiles(_Without, "mysql", "mariadb", "sqlite")
def _json_remove(element: _Without, compiler: SQLCompiler, **options: Any) -> str:
    document, path, _ = _own(element, compiler, options)
    return f"json_remove({document}, {path})"


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
    document, path = _own(element, compiler, options)
    kind = f"COALESCE(json_type({document}, {path}), 'null')"
    return _kinds(kind)


@compiles(_At, "sqlite")
def _scalar_at(element: _At, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _own(element, compiler, options)
    return (
        f"CASE json_type({document}, {path}) WHEN 'text' THEN {document} ->> {path} "
        f"WHEN 'object' THEN NULL WHEN 'array' THEN NULL WHEN 'null' THEN NULL ELSE {document} -> {path} END"
    )


@compiles(_Bare, "sqlite")
def _bare_of_text(element: _Bare, compiler: SQLCompiler, **options: Any) -> str:
    column = _first(element, compiler, options)
    return f"CASE WHEN json_type(aegis_document({column})) = 'array' THEN '[]' ELSE '{{}}' END"
