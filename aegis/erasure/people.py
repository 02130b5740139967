"""The people whom an erasure is about: the rows that stand for them in the subject's own table."""

import decimal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.model import DataMap, Subject
from aegis.db.catalog import Catalog, CatalogTable
from aegis.db.membership import among
from aegis.db.readings import exactly
from aegis.errors import Denied, NobodyThere, UnknownName, UsageError

#: The subject that is meant when none is named.
USER: Final = "user"
#: The values of a key, one for each column of it; text where it was typed.
Key = Sequence[Any]
_READ: Final[Mapping[type, Any]] = {int: int, uuid.UUID: uuid.UUID, decimal.Decimal: decimal.Decimal}
#: Keys in one statement.
_KEYS: Final = 200


@dataclass(frozen=True, kw_only=True)
class People:
    """Who is meant: a kind of subject, and the key of each of them."""

    subject: Subject
    #: None: they have none here, only in the data source that is their home.
    own: CatalogTable | None
    #: One value for each column of the key, as that column's own type; never shown.
    keys: tuple[tuple[Any, ...], ...]

    @property
    def table(self) -> CatalogTable:
        """The subject's own table.

        Raises:
            UsageError: it has none in this data source.

        """
        if self.own is None:
            raise _nowhere(self.subject)
        return self.own

    @property
    def columns(self) -> list[sa.Column[Any]]:
        """The columns of the key."""
        return [self.table.table.c[name] for name in self.subject.key]

    def wheres(self) -> Iterator[sa.ColumnElement[bool]]:
        """Yield conditions that together are true of the rows that stand for them."""
        columns = self.columns
        for start in range(0, len(self.keys), _KEYS):
            some = self.keys[start : start + _KEYS]
            if len(columns) == 1:
                yield _among(columns[0], [value for (value,) in some])
            else:
                yield sa.or_(*[self._is(key) for key in some])

    def _is(self, key: tuple[Any, ...]) -> sa.ColumnElement[bool]:
        return sa.and_(*[_among(column, [value]) for column, value in zip(self.columns, key, strict=True)])


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


def people(catalog: Catalog, subject: Subject, keys: Sequence[Key], *, away: bool = False) -> People:
    """Return who is meant by some keys, each of them once.

    Args:
        catalog: the live schema.
        subject: the kind of person.
        keys: one value for each column of the subject's key; text where it was typed.
        away: whether their home is another data source, so that here they need have no table.

    Raises:
        UsageError: the key has another number of columns, or a value does not fit its column. The
            message does not quote it.

    """
    table = catalog.find(subject.table) if subject.table else None
    if table is None:
        if not away:
            raise _nowhere(subject)
        return People(subject=subject, own=None, keys=tuple(dict.fromkeys(map(tuple, keys))))
    known = dict.fromkeys(key_values(table, subject, key) for key in keys)
    return People(subject=subject, own=table, keys=tuple(known))


def _nowhere(subject: Subject) -> UsageError:
    message = (
        f"subject {subject.name} has no table in this data source; name the source in which it has one "
        f"({subject.same_as or 'see its data map'})"
    )
    return UsageError(message)


def key_values(table: CatalogTable, subject: Subject, key: Key) -> tuple[Any, ...]:
    """Return a key's values as their columns' own types.

    Raises:
        UsageError: there are more or fewer, or a value does not fit its column.

    """
    if len(key) != len(subject.key):
        message = (
            f"a {subject.name} is named by {len(subject.key)} value{'s' * (len(subject.key) > 1)} "
            f"({', '.join(subject.key)}), and {len(key)} were given"
        )
        raise UsageError(message)
    columns = [table.table.c[name] for name in subject.key]
    return tuple(_typed(column, value, table) for column, value in zip(columns, key, strict=True))


def reference_of(key: Key) -> str:
    """Return a person's key as one text, for the log to refer to; never for people to read."""
    return "/".join(map(str, key))


def refuse_absent(connection: sa.Connection, who: People, tenant: str | None) -> None:
    """Refuse people who are not there, or belong to another tenant.

    Raises:
        NobodyThere: no row has that key.
        Denied: the row is another tenant's.
        UsageError: a tenant was named, and the data map names no tenant column.

    """
    subject = who.subject
    if tenant is not None:
        _tenant_column(subject)
    own = who.table.table.c[subject.tenant] if subject.tenant else sa.null()
    found = [row for where in who.wheres() for row in connection.execute(sa.select(own).where(where))]
    if missing := len(who.keys) - len(found):
        which = "that key" if len(who.keys) == 1 else f"{missing} of the {len(who.keys)} keys"
        message = f"there is no {subject.name} with {which} in {who.table.label}; nothing was changed"
        raise NobodyThere(message)
    if tenant is not None and any(str(row[0]) != tenant for row in found):
        whom = "that" if len(who.keys) == 1 else "one"
        message = f"{whom} {subject.name} is not of the tenant that was named; nothing was changed"
        raise Denied(message)


def of_tenant(table: CatalogTable, subject: Subject, tenant: str) -> sa.ColumnElement[bool]:
    """Return the condition that a row of the subject's table is of a tenant.

    Raises:
        UsageError: the data map names no tenant column, or the tenant does not fit it.

    """
    column = table.table.c[_tenant_column(subject)]
    return _among(column, [_typed(column, tenant, table)])


def _tenant_column(subject: Subject) -> str:
    if subject.tenant is None:
        message = (
            f"a tenant was named, but subject {subject.name} has no tenant column in the data map; add "
            "`tenant: COLUMN` to it, or leave the tenant out"
        )
        raise UsageError(message)
    return subject.tenant


def _typed(column: sa.Column[Any], value: Any, table: CatalogTable) -> Any:
    kind = _python_type(column)
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    try:
        return _READ.get(kind, str)(str(value))
    except (ValueError, decimal.InvalidOperation):
        what = f"column {table.label}.{column.name}, which holds {kind.__name__}"
        message = f"the value that was given does not fit {what}"
        raise UsageError(message) from None


def _python_type(column: sa.Column[Any]) -> type[Any]:
    try:
        kind: type[Any] = column.type.python_type
    except NotImplementedError:
        return str
    return kind if kind in _READ else str


def _among(column: sa.Column[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    if isinstance(values[0], str) and isinstance(column.type, sa.String):
        return exactly(column, *values)
    return among(column, values)
