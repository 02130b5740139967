"""`aegis datamap`: what is personal in a data source, checked against its live schema."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TextIO

import click

from aegis.datamap.closure import CHOICES
from aegis.datamap.coverage import Examination
from aegis.datamap.edges import Edge
from aegis.datamap.fides import read_dataset, write_dataset
from aegis.datamap.findings import Undecided
from aegis.datamap.model import TODO
from aegis.datamap.names import spelled
from aegis.datamap.reached import Coverage
from aegis.datamap.schema import schema as json_schema
from aegis.datamap.sources import examine_source, live_schema
from aegis.datamap.starting import first_map
from aegis.db.engines import Databases
from aegis.errors import InvalidFile, Unreachable, UsageError
from aegis.settings import DEFAULT_SOURCE, load_settings
from cli import output

_FINDING: Final = 1
_CANNOT_TELL: Final = 5
_DATASOURCE: Final = click.option(
    "--datasource", default=DEFAULT_SOURCE, metavar="D", help="The database, as aegis.toml names it."
)
_FIDES: Final = "A Fides dataset: its references become via, its categories notes behind TODO."


@click.group()
def datamap() -> None:
    """Write a data map, and check it against the live schema.

    The data map says what is personal in a data source, where it is, and what happens to it when somebody
    is erased. Nothing here changes a row.
    """


@datamap.command()
@_DATASOURCE
@output.json_option
def check(*, datasource: str, as_json: bool) -> int:
    """Lay the data map over the live schema, and list everything that is not decided.

    Exit code 0: every reference to a person, and every column that can hold something personal, has its
    decision. 1: the list is printed, each with the line to add. 5: the database does not answer.
    """
    databases = Databases(load_settings())
    name = databases.settings.source_name(datasource)
    try:
        found = examine_source(databases, name)
    except InvalidFile as error:
        return _refused(error, as_json=as_json)
    except Unreachable as error:
        return _unreachable(error, as_json=as_json)
    finally:
        databases.close()
    if as_json:
        output.print_json(_document(name, found))
    else:
        _show(name, found)
    return 0 if found.decided else _FINDING


@datamap.command()
@_DATASOURCE
@click.option("--subject-table", metavar="T", help="The table with the people (default: it is guessed).")
@click.option("--from-fides", "dataset", type=click.File(encoding="utf-8"), metavar="FILE", help=_FIDES)
@click.option("-o", "--output", "path", metavar="FILE", help="The file (default: the one in aegis.toml).")
@output.json_option
def init(
    *, datasource: str, subject_table: str | None, dataset: TextIO | None, path: str | None, as_json: bool
) -> int:
    """Write a first data map from the live schema, with TODO wherever somebody has to decide."""
    databases = Databases(load_settings())
    name = databases.settings.source_name(datasource)
    configured = databases.settings.source(name).datamap
    file = Path(path) if path else configured or Path(f"{name}.datamap.yaml")
    if file.exists():
        message = f"{file} exists; it is not overwritten: name another file with --output, or edit it"
        raise UsageError(message)
    try:
        catalog = live_schema(databases, name)
        hints = read_dataset(output.text_of(dataset), dataset.name, catalog) if dataset else None
        text = first_map(catalog, name, subject_table=subject_table, hints=hints)
    except Unreachable as error:
        return _unreachable(error, as_json=as_json)
    finally:
        databases.close()
    with file.open("x", encoding="utf-8") as opened:
        opened.write(text)
    _written(name, file, text.count(f": {TODO}"), configured, as_json=as_json)
    return 0


@datamap.command()
@_DATASOURCE
@click.option("--format", "_form", type=click.Choice(["fides"]), required=True, help="The form to write.")
def export(*, datasource: str, _form: str) -> int:
    """Print the tables that the data map reaches, for another tool.

    The data map must leave nothing open; otherwise the exit code is 1 and nothing is printed.
    """
    databases = Databases(load_settings())
    name = databases.settings.source_name(datasource)
    try:
        found, catalog = examine_source(databases, name), live_schema(databases, name)
    except Unreachable as error:
        return _unreachable(error, as_json=False)
    finally:
        databases.close()
    if not found.decided:
        click.echo(
            f"aegis: the data map leaves something open: aegis datamap check --datasource {name}", err=True
        )
        return _FINDING
    click.echo(write_dataset(name, catalog, found), nl=False)
    return 0


@datamap.command()
def schema() -> None:
    """Print the JSON Schema of a data map, for an editor that completes and checks it."""
    output.print_json(json_schema())


def _refused(error: InvalidFile, *, as_json: bool) -> int:
    if as_json:
        output.print_json({"decided": False, "faults": list(error.problems)})
    for problem in error.problems:
        click.echo(f"aegis: {' '.join(problem.split())}", err=True)
    return error.exit_code


def _unreachable(error: Unreachable, *, as_json: bool) -> int:
    if as_json:
        output.print_json({"decided": None, "reason": str(error)})
    click.echo(f"aegis: {error}", err=True)
    return _CANNOT_TELL


def _show(name: str, found: Examination) -> None:
    for subject, coverage in found.coverages.items():
        _show_subject(subject, coverage)
    if found.decided:
        output.say(f"\nEverything in {name} is decided.")
        return
    for table, group in groupby(found.undecided, key=lambda item: (item.kind == "subject", item.table)):
        output.say(f"\n{'subject ' if table[0] else ''}{output.printable(table[1])}")
        _show_group(list(group), found.datamap.file)
    things = output.counted(len(found.undecided), "thing is", "things are")
    file = output.printable(Path(found.datamap.file).name)
    output.say(f"\n{things} open. Write the lines behind + into {file}, and a decision for each {TODO}.")
    output.say(f"What can happen to rows: {CHOICES}.")


def _show_subject(subject: str, coverage: Coverage) -> None:
    tables = output.counted(len(coverage.tables), "table")
    output.say(f"subject {subject}: {tables}, {output.counted(len(coverage.edges), 'reference')}")


def _show_group(group: list[Undecided], file: str) -> None:
    for item in group:
        where = f" ({Path(file).name}:{item.line})" if item.line else ""
        what = f"{item.what}: " if item.what else ""
        output.say(f"  {output.printable(what + item.why)}{where}")
    for cure in _cures(group):
        output.say(f"    + {output.printable(cure)}")


def _cures(group: Iterable[Undecided]) -> list[str]:
    """Return the lines to add, the columns of a table in one."""
    items = list(group)
    columns = [i.what.removeprefix("column ") for i in items if i.kind == "column" and i.cure]
    cures = [item.cure for item in items if item.kind != "column" and item.cure]
    if columns:
        named = ", ".join(f"{spelled(column)}: {TODO}" for column in columns)
        cures.append(f"{spelled(items[0].table)}: {{columns: {{{named}}}}}")
    return list(dict.fromkeys(cures))


def _document(name: str, found: Examination) -> dict[str, Any]:
    return {
        "datasource": name,
        "file": found.datamap.file,
        "decided": found.decided,
        "subjects": {subject: _plain(coverage) for subject, coverage in found.coverages.items()},
        "undecided": [asdict(item) for item in found.undecided],
    }


def _plain(coverage: Coverage) -> Mapping[str, Any]:
    return {
        "table": coverage.root,
        "tables": [
            {
                "table": reached.table,
                "depth": reached.depth,
                "rows": sorted(reached.rows),
                "ways": [_way(edge) for edge in reached.ways],
            }
            for reached in coverage.tables.values()
        ],
    }


def _way(edge: Edge) -> dict[str, Any]:
    return {
        "edge": edge.label,
        "row": edge.row,
        "decided_by": edge.entry.name if edge.entry else None,
        "when": edge.when,
        "on_delete": edge.on_delete,
    }


def _written(name: str, file: Path, undecided: int, configured: Path | None, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"datasource": name, "file": file, "undecided": undecided})
        return
    decisions = output.counted(undecided, "decision is", "decisions are")
    output.say(f"Wrote {file}: {decisions} yours to make.")
    if configured is None:
        output.say(f'Name it in aegis.toml, below [datasources.{name}]:  datamap = "{file}"')
    output.say(f"Then:  aegis datamap check --datasource {name}")
