"""`aegis init`, `aegis migrate` and `aegis config`: before anything runs."""

import json
from collections.abc import Mapping
from typing import Any

import click

from aegis.db.journal import Journal
from aegis.errors import UsageError
from aegis.operations import identity
from aegis.operations.system import System
from aegis.settings import describe, load_settings
from cli import output


@click.command()
@output.json_option
def init(*, as_json: bool) -> None:
    """Make the key files under AEGIS_HOME, once.

    An existing key is never overwritten: what it sealed could not be opened any more. Keep a copy of the
    epoch key apart from the backups of the key store.
    """
    system = System(load_settings())
    system.settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = system.key_files.create()
    if as_json:
        output.print_json({"made": made})
        return
    for path in made:
        output.say(f"made {path}")
    output.say(
        "\nKeep a copy of them in a safe place, apart from the databases' backups.\nNext:  aegis migrate"
    )


@click.command()
@click.option(
    "--datasource", metavar="D", help="Make or upgrade the journal in this data source, as its owner."
)
@click.option(
    "--sql", is_flag=True, help="Print the journal's statements and change nothing (with --datasource)."
)
@click.option(
    "--new-identity", is_flag=True, help="Make a physical copy a database of its own (with --datasource)."
)
@output.json_option
def migrate(*, datasource: str | None, sql: bool, new_identity: bool, as_json: bool) -> None:
    """Prepare the control database and the key store, or a data source.

    Safe to repeat. Without --datasource the two databases of Aegis itself are brought to the newest
    version. With it the one table that Aegis adds to an application's database, the journal, is made.

    A physical copy of a database carries the journal of the original, and its identity. With --new-identity
    the copy gets its own: no approval of the original fires on it, and the original's batches and holds are
    removed from the copy's journal.
    """
    system = System(load_settings())
    try:
        if new_identity:
            _renew(system, datasource, sql=sql, as_json=as_json)
        elif sql:
            _print_statements(system, datasource, as_json=as_json)
        elif datasource is not None:
            _migrate_source(system, datasource, as_json=as_json)
        else:
            _migrate_own(system, as_json=as_json)
    finally:
        system.close()


@click.command()
@output.json_option
def config(*, as_json: bool) -> None:
    """Print the settings in force, from aegis.toml and the environment, with secrets masked."""
    settings = describe(load_settings())
    if as_json:
        output.print_json(settings)
        return
    for line in _toml(settings, ""):
        output.say(line)


def _migrate_own(system: System, *, as_json: bool) -> None:
    system.settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if system.settings.embedded_control and not system.key_files.exist:
        system.init_keys()
    # A missing key is told before anything is made.
    system.key_files.worker(), system.key_files.epoch(1)
    before = {"control": system.migrations.revision("control"), "keys": system.migrations.revision("keys")}
    system.migrate()
    if system.settings.embedded_control:
        system.begin_log()
    if as_json:
        output.print_json({store: {"from": old.found, "to": old.wanted} for store, old in before.items()})
        return
    for store, label in (("control", "control database"), ("keys", "key store")):
        old = before[store]
        state = "is at" if old.current else f"migrated from {old.found or 'nothing'} to"
        output.say(f"{label}: {state} revision {old.wanted}")


def _migrate_source(system: System, datasource: str, *, as_json: bool) -> None:
    name = system.settings.source_name(datasource)
    source = system.migrate_source(name)
    if as_json:
        output.print_json(
            {"datasource": name, "journal_version": source.version, "identity": source.identity}
        )
        return
    output.say(
        f"data source {name}: the journal is there, version {source.version}, identity {source.identity}"
    )


def _renew(system: System, datasource: str | None, *, sql: bool, as_json: bool) -> None:
    if datasource is None or sql:
        message = "--new-identity changes one data source: name it with --datasource, without --sql"
        raise UsageError(message)
    done = identity.renew(system, datasource)
    if as_json:
        output.print_json(vars(done))
        return
    removed = f"{output.counted(done.batches, 'batch', 'batches')} and {output.counted(done.holds, 'hold')}"
    output.say(
        f"data source {done.datasource}: a database of its own, identity {done.identity}. Removed from its "
        f"journal: {removed} of the original. Place the holds that are meant for the copy too."
    )


def _print_statements(system: System, datasource: str | None, *, as_json: bool) -> None:
    if datasource is None:
        message = "--sql prints the statements of one data source's journal: name it with --datasource"
        raise UsageError(message)
    name = system.settings.source_name(datasource)
    dialect = system.databases.source(name).dialect
    statements = Journal(dialect.name).statements(dialect)
    if as_json:
        output.print_json({"datasource": name, "statements": statements})
        return
    for statement in statements:
        output.say(f"{statement};\n")
    output.say(f"-- Then `aegis migrate --datasource {name}` writes the journal's first row.")


def _toml(values: Mapping[str, Any], section: str) -> list[str]:
    """Return the lines of a TOML file that says the same; what is not set is a comment."""
    plain = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    width = max(map(len, plain), default=0)
    lines = [f"\n[{section}]"] if section and plain else []
    for name, value in plain.items():
        shown = f"{name:<{width}} = {json.dumps(value, ensure_ascii=False)}"
        lines.append(f"# {name} is not set" if value is None else shown)
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += _toml(value, f"{section}.{name}" if section else name)
    return lines
