"""Comparisons that the databases read differently, given one meaning.

`moment` and `day`: SQLite keeps times as text in whatever form the application wrote, so the
text is brought into the one form that SQLAlchemy binds; what is no time is NULL. Elsewhere
they are the column itself. `matches`: LIKE that tells upper from lower case everywhere.
`same`: two texts have the same letters, whatever their collations. `in_unicode`: a text that may stand
beside a column of any character set.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TIME = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
#: A character that both `LIKE … ESCAPE` and every string syntax take as it is.
_ESCAPE: Final = "!"


class _Moment(FunctionElement[Any]):
    inherit_cache = True
    type = sa.DateTime()


class _Day(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Date()


class _Matches(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()


class _Exactly(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()


class _Same(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()


class _InUnicode(FunctionElement[str]):
    inherit_cache = True
    type = sa.Text()


def moment(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a column of times, comparable with a bound `DateTime`."""
    return _Moment(column)


def day(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a column of dates, comparable with a bound `Date`."""
    return _Day(column)


def exactly(column: sa.ColumnElement[str], *values: str) -> sa.ColumnElement[bool]:
    """Return the condition that a text is one of these, letter by letter, whatever the column's collation."""
    texts = (text for value in values for text in (value, like_text([(c, False) for c in value])))
    return _Exactly(column, *(sa.bindparam(None, text, sa.String(), unique=True) for text in texts))


def same(text: sa.ColumnElement[Any], other: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that two texts are the same letter by letter; never NULL."""
    return _Same(text, other)


def in_unicode(text: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Return a computed text so that MariaDB mixes it with a column of any character set."""
    return _InUnicode(text)


def matches(column: sa.ColumnElement[str], pattern: list[tuple[str, bool]]) -> sa.ColumnElement[bool]:
    """Return the condition that a text matches a pattern, case-sensitively.

    Args:
        column: the text.
        pattern: characters; True marks `%` and `_` that are wildcards.

    """
    like = like_text(pattern)
    glob = "".join({"%": "*", "_": "?"}[c] if wild else f"[{c}]" if c in "*?[" else c for c, wild in pattern)
    values = (sa.bindparam(None, text, sa.String(), unique=True) for text in (like, glob))
    return _Matches(column, *values)


def like_text(pattern: list[tuple[str, bool]]) -> str:
    """Return a pattern as LIKE reads it with `ESCAPE '!'`."""
    return "".join(_ESCAPE + c if c in "%_!" and not wild else c for c, wild in pattern)


@compiles(_Moment)
@compiles(_Day)
@compiles(_InUnicode)
def _as_is(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    return compiler.process(column, **options)


@compiles(_Day, "sqlite")
def _day_of_text(element: _Day, compiler: SQLCompiler, **options: Any) -> str:
    column = _as_is(element, compiler, **options)
    return f"(CASE WHEN {column} GLOB '{_DAY}*' THEN substr({column}, 1, 10) END)"


@compiles(_Moment, "sqlite")
def _moment_of_text(element: _Moment, compiler: SQLCompiler, **options: Any) -> str:
    column = _as_is(element, compiler, **options)
    bare = f"rtrim(replace({column}, '+00:00', ''), 'Z')"
    fraction = f"substr({bare}, 21)"
    return (
        f"(CASE WHEN {column} GLOB '{_DAY}' THEN {column} || ' 00:00:00.000000' "
        f"WHEN {bare} GLOB '{_DAY}[ T]{_TIME}' "
        f"OR ({bare} GLOB '{_DAY}[ T]{_TIME}.*' AND {fraction} NOT GLOB '*[^0-9]*') "
        f"THEN substr({bare}, 1, 10) || ' ' || substr({bare}, 12, 8) || '.' "
        f"|| substr({fraction} || '000000', 1, 6) END)"
    )


@compiles(_Exactly)
def _equal(element: _Exactly, compiler: SQLCompiler, **options: Any) -> str:
    column, *values = (compiler.process(part, **options) for part in _without_likes(element))
    return f"({column} {_is_one_of(values)})"


@compiles(_Exactly, "postgresql")
def _equal_whatever(element: _Exactly, compiler: SQLCompiler, **options: Any) -> str:
    column, *values = (compiler.process(part, **options) for part in _without_likes(element))
    plain = f"{column} {_is_one_of(values)}"
    # Only a collation that was chosen for the column can be one that takes different letters as equal.
    chosen = getattr(next(iter(element.clauses)).type, "collation", None)
    return f'({plain} AND {column} COLLATE "C" {_is_one_of(values)})' if chosen else f"({plain})"


@compiles(_Exactly, "mysql", "mariadb")
def _equal_letters(element: _Exactly, compiler: SQLCompiler, **options: Any) -> str:
    # The plain comparison finds the index; LIKE neither pads with blanks nor folds letters.
    column, *texts = (compiler.process(part, **options) for part in element.clauses)
    likes = [f"{column} LIKE {like} COLLATE utf8mb4_bin ESCAPE '{_ESCAPE}'" for like in texts[1::2]]
    return f"({column} {_is_one_of(texts[0::2])} AND ({' OR '.join(likes)}))"


@compiles(_Exactly, "sqlite")
def _equal_bytes(element: _Exactly, compiler: SQLCompiler, **options: Any) -> str:
    column, *values = (compiler.process(part, **options) for part in _without_likes(element))
    if len(values) == 1:
        return f"({column} = {values[0]} COLLATE BINARY)"
    return f"({column} COLLATE BINARY {_is_one_of(values)})"


def _without_likes(element: _Exactly) -> list[Any]:
    column, *texts = element.clauses
    return [column, *texts[0::2]]


def _is_one_of(values: list[str]) -> str:
    return f"= {values[0]}" if len(values) == 1 else f"IN ({', '.join(values)})"


@compiles(_Matches)
def _like(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    column, like = (compiler.process(part, **options) for part in list(element.clauses)[:2])
    return f"({column} LIKE {like} ESCAPE '{_ESCAPE}')"


@compiles(_Matches, "mysql", "mariadb")
def _like_binary(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    column, like = (compiler.process(part, **options) for part in list(element.clauses)[:2])
    return f"({column} LIKE {like} COLLATE utf8mb4_bin ESCAPE '{_ESCAPE}')"


@compiles(_Matches, "sqlite")
def _glob(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    column, _, glob = (compiler.process(part, **options) for part in element.clauses)
    return f"({column} GLOB {glob})"


@compiles(_Same)
def _same_bytes(element: _Same, compiler: SQLCompiler, **options: Any) -> str:
    text, other = (compiler.process(part, **options) for part in element.clauses)
    return f"(CAST({text} AS TEXT) IS CAST({other} AS TEXT) COLLATE BINARY)"


@compiles(_Same, "postgresql")
def _same_whatever(element: _Same, compiler: SQLCompiler, **options: Any) -> str:
    text, other = (compiler.process(part, **options) for part in element.clauses)
    return f'(CAST({text} AS TEXT) IS NOT DISTINCT FROM CAST({other} AS TEXT) COLLATE "C")'


@compiles(_Same, "mysql", "mariadb")
def _same_binary(element: _Same, compiler: SQLCompiler, **options: Any) -> str:
    parts = (compiler.process(part, **options) for part in element.clauses)
    text, other = (f"CAST(CONVERT({part} USING utf8mb4) AS BINARY)" for part in parts)
    return f"({text} <=> {other})"


@compiles(_InUnicode, "mysql", "mariadb")
def _utf8mb4(element: _InUnicode, compiler: SQLCompiler, **options: Any) -> str:
    return f"CONVERT({_as_is(element, compiler, **options)} USING utf8mb4) COLLATE utf8mb4_bin"
