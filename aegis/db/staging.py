"""A table of one session, in which rows stand on their way back into their own table."""

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import sqlalchemy as sa

from aegis.db import dialects, transactions
from aegis.db.copying import copy_in
from aegis.db.rowlines import COPY, Shape, copied, values_of

#: Rows in one INSERT into the staging table.
_ROWS: Final = 500


class Stage:
    """Rows of one shape beside the table that they belong to; every statement takes all of them at once."""

    def __init__(self, connection: sa.Connection, table: sa.Table, shape: Shape) -> None:
        self._connection = connection
        self._table = table
        self._shape = shape
        name = f"aegis_restore_{secrets.token_hex(4)}"
        self.table = sa.Table(
            name, sa.MetaData(), *[sa.Column(column, sa.types.NullType()) for column in shape.names]
        )
        pairs = [self.table.c[column] == table.c[column] for column in shape.key]
        self._same = sa.and_(sa.true(), *pairs)

    def create(self) -> None:
        """Create it, with the types of the table and nothing else of it."""
        columns = [self._table.c[name] for name in self._shape.names]
        empty = sa.select(*columns).where(sa.literal_column("1 = 0"))
        body = empty.compile(dialect=self._connection.dialect, compile_kwargs={"literal_binds": True})
        postgres = self._connection.dialect.name == dialects.POSTGRESQL
        until = "ON COMMIT DROP " if postgres else ""
        self._do(f"CREATE TEMPORARY TABLE {self._name(self.table)} {until}AS {body}")

    def drop(self) -> None:
        """Drop it; PostgreSQL does so at the end of the transaction."""
        name = self._connection.dialect.name
        if name in dialects.MARIADB:
            self._do(f"DROP TEMPORARY TABLE IF EXISTS {self._name(self.table)}")
        elif name == dialects.SQLITE:
            self._do(f"DROP TABLE {self._name(self.table)}")

    def load(self, lines: Iterable[bytes], encoding: str) -> int:
        """Put the rows of these lines in place of those that stand here; return how many."""
        self._empty()
        if self._connection.dialect.name == dialects.POSTGRESQL:
            into = f"{self._name(self.table)} ({', '.join(self._quote(name) for name in self._shape.names)})"
            return copy_in(self._connection, into, lines if encoding == COPY else map(copied, lines))
        names, loaded, source = self._shape.names, 0, iter(lines)
        while chunk := list(islice(source, _ROWS)):
            rows = [dict(zip(names, values_of(line), strict=True)) for line in chunk]
            self._connection.execute(sa.insert(self.table), rows)
            loaded += len(rows)
        return loaded

    def _empty(self) -> None:
        """Leave nothing of the rows before: deleted ones would lie in the way of every scan until the end."""
        name = self._connection.dialect.name
        if name == dialects.POSTGRESQL:
            self._do(f"TRUNCATE {self._name(self.table)}")
        elif name in dialects.MARIADB:
            # A TRUNCATE would commit there.
            self.drop()
            self.create()
        else:
            self._connection.execute(sa.delete(self.table))

    def present(self) -> int:
        """Count the rows whose key is in the table."""
        query = sa.select(sa.func.count()).select_from(self.table.join(self._table, self._same))
        return int(self._connection.scalar(query) or 0)

    def insert(self) -> int:
        """Insert the rows into the table, with the values that they had, identities included."""
        columns = ", ".join(self._quote(name) for name in self._shape.names)
        postgres = self._connection.dialect.name == dialects.POSTGRESQL
        overriding = "OVERRIDING SYSTEM VALUE " if postgres else ""
        head = f"INSERT INTO {self._name(self._table)} ({columns}) {overriding}"
        return self._do(f"{head}SELECT {columns} FROM {self._name(self.table)}")  # noqa: S608 - reflected names

    def put_back(self, columns: Sequence[str]) -> int:
        """Write these columns' values back into the rows of the same keys."""
        values = {self._table.c[name]: self.table.c[name] for name in columns}
        return self._connection.execute(sa.update(self._table).values(values).where(self._same)).rowcount

    def _do(self, statement: str) -> int:
        return self._connection.exec_driver_sql(statement).rowcount

    def _quote(self, name: str) -> str:
        return self._connection.dialect.identifier_preparer.quote_identifier(name)

    def _name(self, table: sa.Table) -> str:
        return self._connection.dialect.identifier_preparer.format_table(table)


@contextlib.contextmanager
def staged(connection: sa.Connection, table: sa.Table, shape: Shape) -> Iterator[Stage]:
    """Open a stage in the caller's transaction."""
    transactions.write_exactly(connection)
    stage = Stage(connection, table, shape)
    with transactions.values_as_given(connection):
        stage.create()
        try:
            yield stage
        except BaseException:
            # MariaDB alone would keep it after the rollback.
            if connection.dialect.name in dialects.MARIADB:
                with contextlib.suppress(sa.exc.DBAPIError):
                    stage.drop()
            raise
        stage.drop()
