"""A data source beside its reviewed data map: read from the live schema, no row is looked at."""

from pathlib import Path

import sqlalchemy as sa

from aegis.catalog.drift import Difference, Types, differences
from aegis.catalog.facts import read_facts
from aegis.catalog.scanning import Limits
from aegis.datamap.model import DataMap
from aegis.datamap.reading import read_map
from aegis.db.catalog import read_catalog
from aegis.db.engines import Databases, looking

_SCHEMA_MS = 60_000


def live_types(engine: sa.Engine, label: str) -> Types:
    """Return the columns of every table with their types.

    Raises:
        Unreachable: it does not answer.

    """
    with looking(engine, label, lock_ms=Limits.lock_ms, statement_ms=_SCHEMA_MS) as connection:
        catalog = read_catalog(connection)
    facts = read_facts(catalog, engine.dialect)
    return {name: {c.name: c.type for c in table.columns} for name, table in facts.items()}


def accepted_map(path: Path | None) -> DataMap | None:
    """Return the data map of a source; None where it has none yet.

    Raises:
        InvalidDataMap: the file cannot be read.
        InvalidFile: has one line for each fault.

    """
    return read_map(path) if path is not None and path.exists() else None


def drift(databases: Databases, datasource: str, path: Path | None = None) -> list[Difference]:
    """Return what the live schema of a source has that nobody has accepted.

    Args:
        databases: of this process.
        datasource: the source's own name.
        path: a data map; none: the one that `aegis.toml` names.

    Raises:
        Unreachable: the source does not answer.

    """
    datamap = accepted_map(path or databases.settings.source(datasource).datamap)
    live = live_types(databases.source(datasource), f"data source {datasource}")
    return differences(datamap, live)
