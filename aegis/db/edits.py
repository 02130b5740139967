"""JSON documents: what stands at a path, replaced or taken out. `aegis.db.documents` says how one is read."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aegis.db.documents import both_forms, own_parts


class _Stored(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Text()


class _Put(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Text()


class _Without(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Text()


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
    return _Put(document, *both_forms(path), text, original)


def without(
    document: sa.ColumnElement[Any], path: Sequence[str], *, original: sa.ColumnElement[Any]
) -> sa.ColumnElement[Any]:
    """Return the document without what stands at a path of the original."""
    return _Without(document, *both_forms(path), original)


def stored(
    document: sa.ColumnElement[Any], column: sa.ColumnElement[Any], *, original: sa.ColumnElement[Any]
) -> sa.ColumnElement[Any]:
    """Return a changed document as the column's own type; an original that is a mere value stays."""
    return _Stored(document, column, original)


@compiles(_Stored, "postgresql")
def _as_it_was(element: _Stored, compiler: SQLCompiler, **options: Any) -> str:
    kind = compiler.dialect.type_compiler_instance.process(list(element.clauses)[1].type)
    document, _, original = (compiler.process(part, **options) for part in element.clauses)
    # The functions that change a document refuse one that is a mere value.
    changed = f"CASE WHEN jsonb_typeof({original}) IN ('object', 'array') THEN {document} ELSE {original} END"
    return f"CAST({changed} AS {kind})"


@compiles(_Put, "postgresql")
def _jsonb_set(element: _Put, compiler: SQLCompiler, **options: Any) -> str:
    document, path, text, original = own_parts(element, compiler, options)
    value = f"COALESCE(to_jsonb(CAST({text} AS TEXT)), JSONB 'null')"
    return f"jsonb_set({document}, {_where_there(original, path)}, {value}, false)"


@compiles(_Without, "postgresql")
def _minus(element: _Without, compiler: SQLCompiler, **options: Any) -> str:
    document, path, original = own_parts(element, compiler, options)
    return f"({document} #- {_where_there(original, path)})"


def _where_there(original: str, path: str) -> str:
    """Return a path, or an empty one, which changes nothing: to lead by a name into an array is an error."""
    return f"CASE WHEN {original} #> {path} IS NULL THEN ARRAY[]::TEXT[] ELSE {path} END"


@compiles(_Stored)
def _stored_as_is(element: _Stored, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


@compiles(_Put, "mysql", "mariadb", "sqlite")
def _json_replace(element: _Put, compiler: SQLCompiler, **options: Any) -> str:
    document, path, text, _ = own_parts(element, compiler, options)
    return f"json_replace({document}, {path}, {text})"


@compiles(_Without, "mysql", "mariadb", "sqlite")
def _json_remove(element: _Without, compiler: SQLCompiler, **options: Any) -> str:
    document, path, _ = own_parts(element, compiler, options)
    return f"json_remove({document}, {path})"
