r"""Regular expressions with one meaning: PostgreSQL's own, PCRE (MariaDB), ICU (MySQL), Python's (SQLite).

What all four read alike, and nothing else, may stand in a pattern: `^`, `|`, groups `(?:…)`, `(?=…)`, `(?!…)`
and `(?<!…)` of a fixed length, classes that name their characters, and greedy `* + ? {m,n}`. Not `$`, `.`,
`\s`, `\d`, `\w`, `\b`, flags, nor alternatives of which the first that fits is not the longest: there
they differ. Letters are told from capitals. Patterns and words are bound.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aegis.db.compiling import parts

#: Nothing follows; `$` also fits before a line's end.
END: Final = "(?![^a]|a)"


class _Found(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()


class _Begins(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()


class _Replaced(FunctionElement[str]):
    inherit_cache = True
    type = sa.Text()


def found(text: sa.ColumnElement[Any], pattern: str) -> sa.ColumnElement[bool]:
    """Return the condition that a pattern fits somewhere in a text."""
    return _Found(text, _bound(pattern))


def whole(text: sa.ColumnElement[Any], pattern: str, begins: str = "") -> sa.ColumnElement[bool]:
    """Return the condition that a pattern fits the whole text.

    Args:
        text: the text.
        pattern: see above.
        begins: small letters and digits with which whatever fits begins: most texts do not, and are told by
            that, which costs a fraction of the pattern.

    """
    fits = _Found(text, _bound(f"^(?:{pattern}){END}"))
    return sa.and_(_Begins(text, _bound(begins)), fits) if begins else fits


def replaced(text: sa.ColumnElement[Any], pattern: str, word: str) -> sa.ColumnElement[str]:
    """Return a text with a word in place of whatever a pattern fits.

    Args:
        text: the text.
        pattern: see above.
        word: letters, digits, blanks and brackets, which no database reads in a way of its own.

    """
    return _Replaced(text, _bound(pattern), _bound(word))


def escaped(text: str) -> str:
    """Return the pattern that fits exactly this text."""
    return "".join(c if c.isalnum() or ord(c) > 0x7F or c < " " else f"\\{c}" for c in text)  # noqa: PLR2004 - the end of ASCII


def _bound(text: str) -> sa.BindParameter[str]:
    return sa.bindparam(None, text, sa.String(), unique=True)


@compiles(_Found, "postgresql")
def _tilde(element: _Found, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = parts(element, compiler, options)
    return f"(CAST({text} AS TEXT) ~ {pattern})"


@compiles(_Found, "mysql", "mariadb")
def _regexp(element: _Found, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = parts(element, compiler, options)
    return f"(CONVERT({text} USING utf8mb4) COLLATE utf8mb4_bin REGEXP {pattern})"


@compiles(_Found, "sqlite")
def _found_by_python(element: _Found, compiler: SQLCompiler, **options: Any) -> str:
    return f"aegis_found({', '.join(parts(element, compiler, options))})"


@compiles(_Begins, "postgresql")
def _starts_with(element: _Begins, compiler: SQLCompiler, **options: Any) -> str:
    text, begin = parts(element, compiler, options)
    return f"starts_with(CAST({text} AS TEXT), {begin})"


@compiles(_Begins, "mysql", "mariadb")
def _left(element: _Begins, compiler: SQLCompiler, **options: Any) -> str:
    text, begin = parts(element, compiler, options)
    return f"(LEFT(CONVERT({text} USING utf8mb4), CHAR_LENGTH({begin})) COLLATE utf8mb4_bin = {begin})"


@compiles(_Begins, "sqlite")
def _substr(element: _Begins, compiler: SQLCompiler, **options: Any) -> str:
    text, begin = parts(element, compiler, options)
    return f"(substr({text}, 1, length({begin})) = {begin})"


@compiles(_Replaced, "postgresql")
def _replace_all(element: _Replaced, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern, word = parts(element, compiler, options)
    return f"regexp_replace(CAST({text} AS TEXT), {pattern}, {word}, 'g')"


@compiles(_Replaced, "mysql", "mariadb")
def _regexp_replace(element: _Replaced, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern, word = parts(element, compiler, options)
    return f"REGEXP_REPLACE(CONVERT({text} USING utf8mb4) COLLATE utf8mb4_bin, {pattern}, {word})"


@compiles(_Replaced, "sqlite")
def _replaced_by_python(element: _Replaced, compiler: SQLCompiler, **options: Any) -> str:
    return f"aegis_replaced({', '.join(parts(element, compiler, options))})"
