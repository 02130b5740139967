"""The person whom an erasure is about: the rows that stand for them in the subject's own table."""

import decimal
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.model import DataMap, Subject
from aegis.db.catalog import Catalog, CatalogTable
from aegis.db.readings import exactly
from aegis.errors import Denied, UnknownName, UsageError

#: The subject that is meant when none is named.
USER: Final = "user"
_READ: Final[Mapping[type, Any]] = {int: int, uuid.UUID: uuid.UUID, decimal.Decimal: decimal.Decimal}


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who is meant: a kind of subject, and the values of its key."""

    subject: Subject
    table: CatalogTable
    #: One for each column of the key, as that column's own type; never shown.
    key: tuple[Any, ...]

    @property
    def where(self) -> sa.ColumnElement[bool]:
        """The rows that stand for the person."""
        columns = [self.table.table.c[name] for name in self.subject.key]
        return sa.and_(*[_same(column, value) for column, value in zip(columns, self.key, strict=True)])


def subject_named(datamap: DataMap, name: str) -> Subject:
    """Return a kind of subject.

    Raises:
        UnknownName: the data map has none of that name.

    """
    if name not in datamap.subjects:
        known = ", ".join(sorted(datamap.subjects)) or "none"
        message = f"data map {datamap.file} has no subject {name!r}; it has: {known}"
        raise UnknownName(message)
    return datamap.subjects[name]


def person(catalog: Catalog, subject: Subject, key: Sequence[Any]) -> Person:
    """Return who is meant by a key.

    Args:
        catalog: the live schema.
        subject: the kind of person.
        key: one value for each column of the subject's key; text where it was typed.

    Raises:
        UsageError: the key has another number of columns, or a value does not fit its column. The
            message does not quote it.

    """
    table = catalog.find(subject.table) if subject.table else None
    if table is None:
        message = (
            f"subject {subject.name} has no table in this data source; name the source in which it has one "
            f"({subject.same_as or 'see its data map'})"
        )
        raise UsageError(message)
    if len(key) != len(subject.key):
        message = (
            f"a {subject.name} is named by {len(subject.key)} value{'s' * (len(subject.key) > 1)} "
            f"({', '.join(subject.key)}), and {len(key)} were given"
        )
        raise UsageError(message)
    columns = [table.table.c[name] for name in subject.key]
    values = tuple(_typed(column, value, table) for column, value in zip(columns, key, strict=True))
    return Person(subject=subject, table=table, key=values)


def refuse_absent(connection: sa.Connection, who: Person, tenant: str | None) -> None:
    """Refuse a person who is not there, or belongs to another tenant.

    Raises:
        UnknownName: no row has that key.
        Denied: the row is another tenant's.
        UsageError: a tenant was named, and the data map names no tenant column.

    """
    subject = who.subject
    if tenant is not None and subject.tenant is None:
        message = (
            f"a tenant was named, but subject {subject.name} has no tenant column in the data map; add "
            "`tenant: COLUMN` to it, or leave the tenant out"
        )
        raise UsageError(message)
    own = who.table.table.c[subject.tenant] if subject.tenant else sa.null()
    found = connection.execute(sa.select(own).where(who.where).limit(2)).all()
    if not found:
        message = f"there is no {subject.name} with that key in {who.table.label}; nothing was changed"
        raise UnknownName(message)
    if tenant is not None and any(str(row[0]) != tenant for row in found):
        message = f"that {subject.name} is not of the tenant that was named; nothing was changed"
        raise Denied(message)


def _typed(column: sa.Column[Any], value: Any, table: CatalogTable) -> Any:
    kind = _python_type(column)
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    try:
        return _READ.get(kind, str)(str(value))
    except (ValueError, decimal.InvalidOperation):
        message = f"the key does not fit column {table.label}.{column.name}, which holds {kind.__name__}"
        raise UsageError(message) from None


def _python_type(column: sa.Column[Any]) -> type[Any]:
    try:
        kind: type[Any] = column.type.python_type
    except NotImplementedError:
        return str
    return kind if kind in _READ else str


def _same(column: sa.Column[Any], value: Any) -> sa.ColumnElement[bool]:
    if isinstance(value, str) and isinstance(column.type, sa.String):
        return exactly(column, value)
    same: sa.ColumnElement[bool] = column == value
    return same
