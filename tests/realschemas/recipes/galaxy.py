"""Galaxy, workflows of data analysis on SQLAlchemy: its tables as its models make them.

It is made for PostgreSQL. For MariaDB texts without a length get one where a key needs it, and its foreign
keys get names that differ in the whole database.
"""

import sys
from typing import Any

import galaxy.model.base  # noqa: F401 - registers its tables
import sqlalchemy as sa
from galaxy.model import mapper_registry
from sqlalchemy.ext.compiler import compiles

_DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}


@compiles(sa.String, "mysql")
@compiles(sa.VARCHAR, "mysql")
def _string(kind: sa.String, _compiler: Any, **_: Any) -> str:
    return f"VARCHAR({kind.length or 255})"


@compiles(sa.Text, "mysql")
@compiles(sa.TEXT, "mysql")
def _text(_kind: sa.Text, _compiler: Any, *, type_expression: Any = None, **_: Any) -> str:
    column = type_expression
    return "TEXT" if column is None or not _in_a_key(column) else "VARCHAR(255)"


def _in_a_key(column: sa.Column[Any]) -> bool:
    indexed = any(column.name in index.columns for index in column.table.indexes)
    return bool(column.primary_key or column.unique or column.index or column.foreign_keys or indexed)


def _name_foreign_keys(tables: list[sa.Table]) -> None:
    keys = [
        key for table in tables for key in sorted(table.foreign_key_constraints, key=lambda k: str(k.name))
    ]
    for number, key in enumerate(keys):
        key.name = f"fk_{number}"


def main(url: str) -> None:
    """Create the tables in an empty database."""
    scheme, _, rest = url.partition(":")
    metadata = mapper_registry.metadata
    if scheme == "mariadb":
        _name_foreign_keys(metadata.sorted_tables)
    engine = sa.create_engine(f"{_DRIVERS[scheme]}:{rest.partition('?')[0]}")
    metadata.create_all(engine)


if __name__ == "__main__":
    main(sys.argv[1])
