"""Fides datasets: what columns hold as `data_categories`.

The format is that of `aegis.datamap.fides`, which reads one for a first data map and writes one from a
decided map.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aegis.catalog.formats.labels import Label, Place, by_table
from aegis.datamap.fides import categories_of
from aegis.datamap.formats import write_yaml
from aegis.datamap.model import NONE, UNKNOWN

_NOT_PERSONAL: Final = "system.operations"


def write(labels: Sequence[Label], place: Place) -> str:
    """Return labels as a Fides dataset."""
    collections = [
        {"name": table, "fields": [_field(label) for label in found]}
        for table, found in by_table(labels).items()
    ]
    dataset = {"fides_key": place.datasource, "name": place.datasource, "collections": collections}
    return write_yaml({"dataset": [dataset]})


def read(text: str, file: str, place: Place, tables: Sequence[str]) -> Mapping[tuple[str, str], str]:
    """Return (table, column) → category; the first of several.

    Raises:
        InvalidFile: it is no Fides dataset.

    """
    found = {}
    for (name, column), categories in categories_of(text, file).items():
        table = place.table(name, tables)
        if table and categories:
            personal = [category for category in categories if category.startswith("user")]
            found[table, column] = personal[0] if personal else NONE
    return found


def _field(label: Label) -> dict[str, Any]:
    field: dict[str, Any] = {"name": label.column}
    if label.category != UNKNOWN:
        field["data_categories"] = [label.category if label.is_personal else _NOT_PERSONAL]
    return field
