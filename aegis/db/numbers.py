"""Numbers, computed without a fraction's error: decimal on servers, Python's decimals for SQLite."""

import decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Exact(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Numeric()


class _Floor(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Numeric()


class _Moved(FunctionElement[Any]):
    inherit_cache = True
    type = sa.Numeric()


def exact(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return a column of numbers as decimals: the fewest digits that stand for a floating number."""
    return _Exact(column) if isinstance(column.type, sa.Float) else column


def floor(number: sa.ColumnElement[Any], step: decimal.Decimal) -> sa.ColumnElement[Any]:
    """Return the largest multiple of a step that is not above a number."""
    return _Floor(number, *_both(step))


def moved(
    number: sa.ColumnElement[Any], units: sa.ColumnElement[int], unit: decimal.Decimal
) -> sa.ColumnElement[Any]:
    """Return a number to which so many units were added."""
    return _Moved(number, units, *_both(unit))


def _both(number: decimal.Decimal) -> list[sa.BindParameter[Any]]:
    """Return a number as itself and as text, which SQLite's functions take."""
    plain = sa.bindparam(None, number, sa.Numeric(), unique=True)
    return [plain, sa.bindparam(None, f"{number:f}", sa.String(), unique=True)]


@compiles(_Exact)
def _as_it_is(element: _Exact, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    return compiler.process(column, **options)


@compiles(_Exact, "postgresql")
def _numeric(element: _Exact, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({_as_it_is(element, compiler, **options)} AS NUMERIC)"


@compiles(_Exact, "mysql", "mariadb")
def _by_its_digits(element: _Exact, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(CAST({_as_it_is(element, compiler, **options)} AS CHAR) AS DECIMAL(65, 12))"


@compiles(_Floor)
def _less_the_rest(element: _Floor, compiler: SQLCompiler, **options: Any) -> str:
    # Not by a division, which is rounded. MOD has the sign of the number.
    number, step = (compiler.process(part, **options) for part in list(element.clauses)[:2])
    return f"({number} - MOD(MOD({number}, {step}) + {step}, {step}))"


@compiles(_Floor, "sqlite")
def _floor_by_python(element: _Floor, compiler: SQLCompiler, **options: Any) -> str:
    number, _, step = (compiler.process(part, **options) for part in element.clauses)
    return f"aegis_floor({number}, {step})"


@compiles(_Moved)
def _plus(element: _Moved, compiler: SQLCompiler, **options: Any) -> str:
    number, units, unit = (compiler.process(part, **options) for part in list(element.clauses)[:3])
    return f"({number} + ({units}) * {unit})"


@compiles(_Moved, "sqlite")
def _moved_by_python(element: _Moved, compiler: SQLCompiler, **options: Any) -> str:
    number, units, _, unit = (compiler.process(part, **options) for part in element.clauses)
    return f"aegis_moved({number}, {units}, {unit})"
