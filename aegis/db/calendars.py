"""Dates and times: cut down to a unit of the calendar, and moved by days. The calendar is that of UTC.

SQLite keeps times as text: what is written has the form of what was read, an offset other than UTC's is
brought to UTC, and a text that is no time becomes NULL.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aegis.db.compiling import parts


class _Beginning(FunctionElement[Any]):
    inherit_cache = True


class _Shifted(FunctionElement[Any]):
    inherit_cache = True


def beginning(column: sa.ColumnElement[Any], unit: str) -> sa.ColumnElement[Any]:
    """Return the first instant of the day, month or year that a date or time lies in."""
    return _Beginning(column, sa.bindparam(None, unit, sa.String(), unique=True))


def shifted(column: sa.ColumnElement[Any], days: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    """Return a date or time moved by so many days of 24 hours."""
    return _Shifted(column, days)


def _type(element: FunctionElement[Any]) -> sa.types.TypeEngine[Any]:
    return next(iter(element.clauses)).type


@compiles(_Beginning, "postgresql")
def _date_trunc(element: _Beginning, compiler: SQLCompiler, **options: Any) -> str:
    column, unit = parts(element, compiler, options)
    if isinstance(_type(element), sa.Date):
        return f"CAST(date_trunc({unit}, CAST({column} AS TIMESTAMP)) AS DATE)"
    zone = ", 'UTC'" if getattr(_type(element), "timezone", False) else ""
    return f"date_trunc({unit}, {column}{zone})"


@compiles(_Beginning, "mysql", "mariadb")
def _less_days(element: _Beginning, compiler: SQLCompiler, **options: Any) -> str:
    column, unit = parts(element, compiler, options)
    passed = (
        f"CASE {unit} WHEN 'year' THEN DAYOFYEAR({column}) - 1 "
        f"WHEN 'month' THEN DAYOFMONTH({column}) - 1 ELSE 0 END"
    )
    return f"DATE_SUB(DATE({column}), INTERVAL ({passed}) DAY)"


@compiles(_Beginning, "sqlite")
def _beginning_of_text(element: _Beginning, compiler: SQLCompiler, **options: Any) -> str:
    return f"aegis_beginning({', '.join(parts(element, compiler, options))})"


@compiles(_Shifted, "postgresql")
def _plus_hours(element: _Shifted, compiler: SQLCompiler, **options: Any) -> str:
    column, days = parts(element, compiler, options)
    kind = compiler.dialect.type_compiler_instance.process(_type(element))
    return f"CAST({column} + ({days}) * INTERVAL '24 hours' AS {kind})"


@compiles(_Shifted, "mysql", "mariadb")
def _plus_days(element: _Shifted, compiler: SQLCompiler, **options: Any) -> str:
    column, days = parts(element, compiler, options)
    return f"DATE_ADD({column}, INTERVAL ({days}) DAY)"


@compiles(_Shifted, "sqlite")
def _shifted_text(element: _Shifted, compiler: SQLCompiler, **options: Any) -> str:
    return f"aegis_shifted({', '.join(parts(element, compiler, options))})"
