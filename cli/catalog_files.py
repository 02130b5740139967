"""`aegis catalog propose` and `import`: files to review, in which nothing is in force."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import click

from aegis.catalog.files import Files, import_labels, propose_files
from aegis.catalog.formats.labels import Place
from aegis.catalog.formats.table import FORMATS
from aegis.catalog.proposals import Silence
from aegis.catalog.scanning import Limits
from aegis.catalog.survey import Survey, survey
from aegis.datamap.keeping import read_text
from aegis.datamap.reading import parse_map
from aegis.db.engines import Databases
from aegis.errors import InvalidFile, UsageError
from aegis.settings import DEFAULT_SOURCE, Settings
from cli import bars, output
from cli.sources import opened

#: What a catalog of another tool calls a database that a service of it reads.
NAME_HELP: Final = "What stands before a table's name there, such as app.public (default: by the URL)."
_SECTIONS: Final = {
    "subjects": "subject",
    "tables": "table or edge",
    "columns": "new column",
    "catalog": "table of the catalog",
    "catalog columns": "new column of the catalog",
    "policies": "policy",
}
_MANY: Final = {
    "tables": "tables and edges",
    "catalog": "tables of the catalog",
    "catalog columns": "new columns of the catalog",
    "policies": "policies",
}


class Places(NamedTuple):
    """Where a source's files to review are, and those that are in force."""

    datamap: Path
    policies: Path
    live_map: Path | None
    live_policies: Path

    @classmethod
    def of(cls, settings: Settings, name: str, folder: Path | None) -> "Places":
        """Return them: beside the data map that `aegis.toml` names, or in a folder."""
        live = settings.source(name).datamap
        home = folder or (live.parent if live else Path())
        return cls(
            datamap=home / f"{name}.datamap.proposed.yaml",
            policies=home / f"{name}.policies.proposed.yaml",
            live_map=live if live and live.exists() else None,
            live_policies=(live.parent if live else Path()) / f"{name}.policies.yaml",
        )


@click.command()
@click.argument("datasource", default=DEFAULT_SOURCE, metavar="[DATASOURCE]")
@click.option("--no-sample", is_flag=True, help="Judge by names, types and references alone; read no row.")
@click.option("-o", "--output", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER")
@output.json_option
def propose(*, datasource: str, no_sample: bool, folder: Path | None, as_json: bool) -> int:
    """Write a data map and retention policies to review; nothing in them is in force.

    The two files are DATASOURCE.datamap.proposed.yaml and DATASOURCE.policies.proposed.yaml, beside the
    data map that aegis.toml names. What stands in them stays, and so does what is in force (that data map,
    DATASOURCE.policies.yaml): only what is missing is added, as `status: proposed`. A person says accepted,
    or rejected, which is remembered.
    """
    try:
        with opened(datasource) as (databases, name):
            places = Places.of(databases.settings, name, folder)
            found = _survey(databases, name, sample=not no_sample, quiet=as_json)
            made = _proposed(found, places)
    except InvalidFile as error:
        return refused(error)
    _write(places.datamap, made.datamap)
    _write(places.policies, made.policies)
    if as_json:
        output.print_json(_document(name, places, made))
    else:
        _show(name, places, made)
    return 0


@click.command("import")
@click.argument("file", type=click.File(encoding="utf-8"), metavar="FILE")
@click.option(
    "--format", "form", type=click.Choice(sorted(FORMATS)), required=True, help="The form of the file."
)
@click.option(
    "--datasource", default=DEFAULT_SOURCE, metavar="D", help="The database, as aegis.toml names it."
)
@click.option("--name", "prefix", metavar="NAME", help=NAME_HELP)
@click.option("-o", "--output", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER")
@output.json_option
def import_command(
    *, file: TextIO, form: str, datasource: str, prefix: str | None, folder: Path | None, as_json: bool
) -> int:
    """Take over what another catalog says of columns, as proposals into the data map to review.

    It wins over what names and types say, and loses against what a person has decided. No row is read.
    """
    try:
        with opened(datasource) as (databases, name):
            places = Places.of(databases.settings, name, folder)
            found = _survey(databases, name, sample=False, quiet=as_json)
            place = place_of(databases, name, prefix, form)
            labels = FORMATS[form].read(
                output.text_of(file), output.name_of(file), place, sorted(found.catalog.tables)
            )
            made = _proposed(found, places)
            text, count = import_labels(found, made.datamap, str(places.datamap), labels, FORMATS[form].title)
            parse_map(text, str(places.datamap))
    except InvalidFile as error:
        return refused(error)
    _write(places.datamap, text)
    if as_json:
        output.print_json(
            {"datasource": name, "datamap": places.datamap, "labels": len(labels), "taken": count}
        )
        return 0
    said = output.counted(len(labels), "column")
    output.say(f"{FORMATS[form].title} knows {said} of {name}; {count:,} are proposals in {places.datamap}.")
    if kept := len(labels) - count:
        output.say(f"{output.counted(kept, 'column')}: not there, or a person has decided.")
    return 0


def place_of(databases: Databases, name: str, prefix: str | None, form: str) -> Place:
    """Return what another tool calls a database, by its URL where nobody says it."""
    engine = databases.source(name)
    database, dialect = Path(engine.url.database or "").stem, engine.dialect.name
    if prefix is None and form in {"datahub", "openmetadata"}:
        prefix = f"{database}.public" if dialect == "postgresql" else database
        if form == "openmetadata":
            # Its names have four parts: service, database, schema, table.
            prefix = f"{name}.{prefix}" if dialect == "postgresql" else f"{name}.default.{database}"
    return Place(datasource=name, dialect=dialect, prefix=prefix or "")


def refused(error: InvalidFile) -> int:
    """Say what is wrong with a file; return the exit code."""
    for problem in error.problems:
        click.echo(f"aegis: {' '.join(problem.split())}", err=True)
    return error.exit_code


def _survey(databases: Databases, name: str, *, sample: bool, quiet: bool) -> Survey:
    limits = Limits() if sample else Limits(rows=0)
    with bars.progress("tables", quiet=quiet) as bar:
        return survey(databases.source(name), name, limits=limits, on_table=bar)


def _proposed(found: Survey, places: Places) -> Files:
    """Go on with what is under review; begin with what is in force."""
    datamap = _begun(places.datamap, places.live_map)
    policies = _begun(places.policies, places.live_policies)
    names = str(places.datamap), str(places.policies)
    if places.datamap.exists() and places.live_map:
        _refuse_diverged(places.datamap, places.live_map)
    return propose_files(found, datamap=datamap, policies=policies, names=names)


def _begun(review: Path, live: Path | None) -> str | None:
    for path in (review, live):
        if path is not None and path.exists():
            return read_text(path)
    return None


def _refuse_diverged(review: Path, live: Path) -> None:
    """Refuse where somebody changed what is in force while a review was open: one would undo the other."""
    mine, theirs = (parse_map(read_text(path), str(path)) for path in (review, live))
    accepted = {name: rule for name, rule in theirs.rules.items() if rule.status == "accepted"}
    words = ("row", "columns", "keep_at_least", "until", "shared", "hold", "when", "reason")
    differing = sorted(
        name
        for name, rule in accepted.items()
        if name not in mine.rules or any(getattr(rule, w) != getattr(mine.rules[name], w) for w in words)
    )
    if differing:
        shown = ", ".join(differing[:5])
        message = (
            f"{review} and {live} say different things of {shown}: finish the review of the one, or take it "
            "away, and propose again"
        )
        raise UsageError(message)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    output.write(new, text)
    new.replace(path)


def _document(name: str, places: Places, made: Files) -> Mapping[str, Any]:
    return {
        "datasource": name,
        "datamap": places.datamap,
        "policies": places.policies,
        "added": {section: list(names) for section, names in made.added.items()},
        "to_decide": made.asks,
        "proposals": [{"policy": each.name, "asks": each.asks, **each.entry} for each in made.proposals],
        "silent": [{"table": each.table, "why": each.why} for each in made.silent],
    }


def _show(name: str, places: Places, made: Files) -> None:
    rows = [
        (
            each.name,
            each.words["timestamp_column"],
            each.words["days"],
            each.words["action"],
            each.words.get("filter", "-"),
            each.words.get("tenant_column", "-"),
            f"{each.confidence:.0%}" if each.confidence else "asks",
        )
        for each in made.proposals
    ]
    if rows:
        output.columns(
            ("policy", "age", "days", "action", "only rows", "tenant", "sure"), rows, right=("days", "sure")
        )
    _show_silent(made.silent)
    added = [_added(section, names) for section, names in made.added.items() if names]
    output.say(
        f"\nAdded: {', '.join(added)}."
        if added
        else "\nNothing new: both files speak of everything there is."
    )
    output.say(f"  {places.datamap}\n  {places.policies}")
    if made.asks:
        output.say(
            f"{output.counted(made.asks, 'place says', 'places say')} TODO: nobody but you can know it."
        )
    output.say("Nothing of it is in force, nothing is legal advice. Review both (accepted, rejected); then:")
    live = places.live_map or places.datamap.with_name(f"{name}.datamap.yaml")
    output.say(f"  mv {places.datamap} {live}   and   aegis datamap check --datasource {name}")
    output.say(f"  aegis policy apply -f {places.policies}")


def _show_silent(silent: tuple[Silence, ...]) -> None:
    if silent:
        output.say(f"\nNo policy for {output.counted(len(silent), 'table')}:")
        output.columns(("table", "why"), [(each.table, each.why) for each in silent])


def _added(section: str, names: tuple[str, ...]) -> str:
    return output.counted(len(names), _SECTIONS[section], _MANY.get(section, ""))
