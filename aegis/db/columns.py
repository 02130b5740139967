"""Column types with one meaning on every database, and the naming convention."""

import datetime as dt
import json
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase

#: Constraint names that a migration can rely on.
NAMING: Final = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Moment(sa.types.TypeDecorator[dt.datetime]):
    """An instant to the microsecond; naive datetimes are refused, UTC comes back."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Use microseconds where the database's default has none."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "expected an aware datetime, got a naive one"
            raise ValueError(message)
        value = value.astimezone(dt.UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Return UTC."""
        del dialect
        if value is None:
            return None
        return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)


class Plain(sa.types.TypeDecorator[Any]):
    """Plain data (JSON) kept as text, the same on every database."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Store canonical text."""
        del dialect
        return None if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """Return the data."""
        del dialect
        return None if value is None else json.loads(value)


def _text(length: int) -> sa.types.TypeEngine[str]:
    """Return a text type that compares byte by byte on every database."""
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql", "mariadb")


#: An id of ours: a UUID as text.
Id: Final = _text(36)
#: Identifiers from elsewhere; short enough to be indexed together on every database.
Name: Final = _text(190)
#: What a caller names something by, or a digest: up to 64 characters, compared byte by byte.
Exact64: Final = _text(64)
#: Bytes up to 64 KiB.
Bytes: Final = sa.LargeBinary
#: Bytes up to 16 MiB.
LongBytes: Final = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def table_of(model: type[DeclarativeBase]) -> sa.Table:
    """Return the table of a model."""
    table = model.__table__
    if not isinstance(table, sa.Table):
        raise TypeError(model)
    return table
