"""Tables from SQL text: what an application ships as its schema."""

from collections.abc import Iterator
from typing import Final

import sqlglot
from sqlglot import exp

from benchmarks.catalog.schemas import Column

_KEY: Final = exp.PrimaryKeyColumnConstraint


def tables(text: str, dialect: str) -> dict[str, tuple[Column, ...]]:
    """Return table → columns of every CREATE TABLE; foreign keys from these and from ALTER TABLE."""
    statements = sqlglot.parse(text, dialect=dialect, error_level=sqlglot.ErrorLevel.IGNORE)
    targets = dict(_targets(it for it in statements if it is not None))
    later = {
        (it.this.name, name)
        for it in statements
        if isinstance(it, exp.Alter)
        for key in it.find_all(exp.PrimaryKey)
        for name in _listed(key)
    }
    created = (it for it in statements if isinstance(it, exp.Create) and isinstance(it.this, exp.Schema))
    return {it.this.this.name: tuple(_columns(it.this, targets, later, dialect)) for it in created}


def _columns(
    schema: exp.Schema, targets: dict[tuple[str, str], str], later: set[tuple[str, str]], dialect: str
) -> Iterator[Column]:
    table = schema.this.name
    keys = {name for key in schema.find_all(exp.PrimaryKey) for name in _listed(key)}
    keys |= {name for owner, name in later if owner == table}
    for column in schema.expressions:
        if not isinstance(column, exp.ColumnDef):
            continue
        kinds = [it.kind for it in column.constraints]
        key = column.name in keys or any(isinstance(kind, _KEY) for kind in kinds)
        barred = any(
            isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null")
            for kind in kinds
        )
        yield Column(
            name=column.name,
            type=column.kind.sql(dialect=dialect).lower() if column.kind else "",
            nullable=not key and not barred,
            primary_key=key,
            target=targets.get((table, column.name)),
        )


def _targets(statements: Iterator[exp.Expr]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield ((table, column), `table.column` that it points to)."""
    for statement in statements:
        if not isinstance(statement, exp.Create | exp.Alter):
            continue
        owner = statement.find(exp.Table)
        if owner is None:
            continue
        for key in statement.find_all(exp.ForeignKey):
            others = _names(key.args["reference"])
            for name, target in zip((it.name for it in key.expressions), others, strict=False):
                yield (owner.name, name), target
        for column in statement.find_all(exp.ColumnDef):
            for reference in column.find_all(exp.Reference):
                for target in _names(reference):
                    yield (owner.name, column.name), target


def _names(reference: exp.Expr) -> list[str]:
    schema = reference.this
    if isinstance(schema, exp.Schema):
        return [f"{schema.this.name}.{it.name}" for it in schema.expressions]
    return [f"{schema.name}.id"]


def _listed(key: exp.PrimaryKey) -> list[str]:
    return [it.this.name if isinstance(it, exp.Ordered) else it.name for it in key.expressions]
