"""The schema of an application, as its own code makes it: facts only, one line a column."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "schemas"
HEADINGS: Final = ("table", "column", "type", "nullable", "pk", "fk")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column."""

    name: str
    #: As the database or the application's own description writes it.
    type: str
    nullable: bool
    primary_key: bool
    #: `table.column` that a declared foreign key points to.
    target: str | None


@dataclass(frozen=True, kw_only=True)
class Schema:
    """All tables of an application."""

    application: str
    #: table → its columns, in their order
    tables: Mapping[str, tuple[Column, ...]]


def read_schema(application: str) -> Schema:
    """Read the schema of an application.

    Raises:
        FileNotFoundError: there is no such application here.

    """
    tables: dict[str, list[Column]] = {}
    with (FOLDER / f"{application}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tables.setdefault(row["table"], []).append(
                Column(
                    name=row["column"],
                    type=row["type"],
                    nullable=row["nullable"] == "y",
                    primary_key=row["pk"] == "y",
                    target=row["fk"] or None,
                )
            )
    return Schema(application=application, tables={name: tuple(columns) for name, columns in tables.items()})


def write_schema(schema: Schema) -> Path:
    """Write a schema, tables by name; return the file."""
    path = FOLDER / f"{schema.application}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADINGS)
        for table, columns in sorted(schema.tables.items()):
            for it in columns:
                marks = ("y" if it.nullable else "", "y" if it.primary_key else "", it.target or "")
                writer.writerow((table, it.name, it.type, *marks))
    return path
