"""The data map of a data source that `aegis.toml` names, and the live schema beside it."""

from pathlib import Path

from aegis.datamap.coverage import Examination, examine
from aegis.datamap.erasers import load_erasers
from aegis.datamap.hooks import load_anonymizers
from aegis.datamap.reading import read_map
from aegis.db.catalog import Catalog, read_catalog
from aegis.db.engines import Databases, reading
from aegis.errors import UsageError
from aegis.settings import Settings


def map_path(settings: Settings, datasource: str) -> Path:
    """Return the file of a source's data map.

    Args:
        settings: the settings.
        datasource: the source's own name.

    Raises:
        UsageError: it has none.

    """
    path = settings.source(datasource).datamap
    if path is not None:
        return path
    message = (
        f"data source {datasource} has no data map: name one in aegis.toml, below "
        f'[datasources.{datasource}]: datamap = "{datasource}.datamap.yaml"; '
        f"`aegis datamap init --datasource {datasource}` writes a first version of it"
    )
    raise UsageError(message)


def live_schema(databases: Databases, datasource: str) -> Catalog:
    """Read the live schema of a source.

    Raises:
        Unreachable: it does not answer.

    """
    with reading(databases.source(datasource), f"data source {datasource}") as connection:
        return read_catalog(connection)


def examine_source(databases: Databases, datasource: str) -> Examination:
    """Lay the data map of a source over its live schema.

    Raises:
        UsageError: it has no data map, or a hook cannot be imported.
        InvalidDataMap: the file cannot be read.
        InvalidFile: has one line for each fault of it.
        Unreachable: the source does not answer.

    """
    settings = databases.settings
    datamap = read_map(map_path(settings, datasource))
    anonymizers = load_anonymizers(settings.hooks, datasource)
    erasers = load_erasers(settings.hooks, datasource)
    return examine(datamap, live_schema(databases, datasource), anonymizers, erasers)
