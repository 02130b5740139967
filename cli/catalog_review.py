"""`aegis catalog diff` and `export`: the live schema beside what was accepted, and that for other tools."""

from pathlib import Path
from typing import Final

import click

from aegis.catalog.drift import Difference, undecided
from aegis.catalog.formats.labels import labels_of
from aegis.catalog.formats.table import FORMATS
from aegis.catalog.reviewing import accepted_map, drift
from aegis.db.engines import Databases
from aegis.errors import InvalidFile, UsageError
from aegis.settings import DEFAULT_SOURCE, load_settings
from cli import output
from cli.catalog_files import NAME_HELP, place_of, refused
from cli.sources import opened

_FINDING: Final = 1
_MAP: Final = click.option(
    "--datamap",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A reviewed data map (default: the one in aegis.toml).",
)
_SIGNS: Final = {"table": "+", "column": "+", "type": "~", "open": "?", "gone": "-"}


@click.command()
@click.argument("datasource", default=DEFAULT_SOURCE, metavar="[DATASOURCE]")
@_MAP
@output.json_option
def diff(*, datasource: str, path: Path | None, as_json: bool) -> int:
    """List tables and columns that are new since the catalog was accepted; for CI.

    Compared is the section `catalog` of the data map. No row is read. Exit code 0: a person has decided
    what every column holds. 1: the list. 5: the database does not answer.
    """
    try:
        with opened(datasource) as (databases, name):
            found = drift(databases, name, path)
    except InvalidFile as error:
        return refused(error)
    if as_json:
        output.print_json(
            {
                "datasource": name,
                "undecided_columns": undecided(found),
                "differences": [vars(each) for each in found],
            }
        )
    else:
        _show(name, found)
    return _FINDING if found else 0


@click.command()
@click.argument("datasource", default=DEFAULT_SOURCE, metavar="[DATASOURCE]")
@click.option(
    "--format", "form", type=click.Choice(sorted(FORMATS)), required=True, help="The form to write."
)
@_MAP
@click.option("--proposed", is_flag=True, help="Also what nobody has accepted yet.")
@click.option("--name", "prefix", metavar="NAME", help=NAME_HELP)
@click.option("-o", "--output", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
def export(
    *, datasource: str, form: str, path: Path | None, proposed: bool, prefix: str | None, target: Path | None
) -> int:
    """Print what columns hold, as a person accepted it, for another catalog."""
    databases = Databases(load_settings())
    name = databases.settings.source_name(datasource)
    try:
        datamap = accepted_map(path or databases.settings.source(name).datamap)
        place = place_of(databases, name, prefix, form)
    except InvalidFile as error:
        return refused(error)
    finally:
        databases.close()
    labels = labels_of(datamap, proposed=proposed) if datamap else []
    if not labels:
        message = (
            f"nobody has accepted what columns of {name} hold: aegis catalog propose {name}; or name "
            "a data map with --datamap, and say --proposed"
        )
        raise UsageError(message)
    text = FORMATS[form].write(labels, place)
    if target:
        output.write(target, text)
    else:
        click.echo(text, nl=False)
    return 0


def _show(name: str, found: list[Difference]) -> None:
    if not found:
        output.say(f"A person has decided what every column of {name} holds.")
        return
    for each in found:
        output.say(f"{_SIGNS[each.kind]} {output.printable(_said(each))}")
    count = undecided(found)
    if count:
        said = output.counted(count, "column is", "columns are")
        output.say(f"\n{said} undecided. Next:  aegis catalog propose {name}")


def _said(each: Difference) -> str:
    where = f"{each.table}.{each.column}" if each.column else each.table
    return {
        "table": f"{where}  new table, {output.counted(each.columns, 'column')}",
        "column": f"{where}  new column, {each.type}",
        "type": f"{where}  was {each.was}, is {each.type}",
        "open": f"{where}  nobody has decided what it holds",
        "gone": f"{where}  not there any more; take it out of the data map",
    }[each.kind]
