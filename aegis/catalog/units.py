"""Whole numbers that are times: what they count since 1970, told by the range that their values are in."""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from aegis.catalog.clocks import meaning_of
from aegis.catalog.scanning import Limits
from aegis.db.catalog import Catalog, CatalogTable
from aegis.db.engines import looking
from aegis.db.probing import probe
from aegis.errors import NotPrepared, OperationFailed, Passing

#: From 2000 to 2100, in seconds.
_FIRST: Final = 946_684_800
_LAST: Final = 4_102_444_800
_UNITS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}
#: Digits of a whole number that are read.
_WIDTH: Final = 20


def unit_of(values: Iterable[int]) -> str | None:
    """Return the unit in which all values are times of this century; None: there is none, or no value.

    The ranges of the units do not overlap. Zero stands for no time and says nothing.
    """
    given = [value for value in values if value]
    for unit, factor in _UNITS.items():
        if given and all(_FIRST * factor <= value < _LAST * factor for value in given):
            return unit
    return None


def read_units(engine: sa.Engine, label: str, catalog: Catalog, limits: Limits) -> dict[tuple[str, str], str]:
    """Return (table, column) → unit, of whole numbers whose names speak of a time."""
    found = {}
    for table in catalog.tables.values():
        names = [c.name for c in table.table.columns if isinstance(c.type, sa.Integer) and meaning_of(c.name)]
        try:
            read = _read(engine, label, table, names, limits) if names else {}
        except (Passing, NotPrepared, OperationFailed):
            # It took too long or is locked: a person is asked for the unit.
            continue
        for name, values in read.items():
            if unit := unit_of(values):
                found[table.label, name] = unit
    return found


def _read(
    engine: sa.Engine, label: str, table: CatalogTable, names: list[str], limits: Limits
) -> dict[str, list[int]]:
    with looking(engine, label, lock_ms=limits.lock_ms, statement_ms=limits.statement_ms) as connection:
        rows = probe(connection, table, dict.fromkeys(names, _WIDTH), limits.rows).rows
    return {
        name: [int(row[place]) for row in rows if (row[place] or "").lstrip("-").isdigit()]  # type: ignore[arg-type]
        for place, name in enumerate(names)
    }
