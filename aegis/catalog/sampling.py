"""A bounded look at the values of one table: one query for all columns, counted here, and forgotten.

Columns of text and documents are read. Whole numbers, UUIDs, times and truth values say nothing of a person,
and bytes cannot be told.
"""

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from aegis.catalog.containers import examine_documents
from aegis.catalog.facts import TableFacts
from aegis.catalog.findings import Findings
from aegis.catalog.types import READ, Family
from aegis.catalog.validators import examine
from aegis.db.catalog import CatalogTable
from aegis.db.probing import Probed, probe

#: Characters of a value that are read: of a text, and of a document.
_TEXT: Final = 256
_DOCUMENT: Final = 2_000


def widths_of(facts: TableFacts) -> Mapping[str, int]:
    """Return the columns that are sampled, and how many characters of each."""
    return {
        column.name: _DOCUMENT if column.family is Family.JSON else _TEXT
        for column in facts.columns
        if column.family in READ and not column.computed
    }


def sample(
    connection: sa.Connection, table: CatalogTable, facts: TableFacts, rows: int
) -> tuple[Probed, dict[str, Findings]]:
    """Look at some rows of a table; return how many there were, and what their columns' values are valid as.

    Raises:
        sqlalchemy.exc.DBAPIError: the database did not answer in time, or refused.

    """
    widths = widths_of(facts)
    probed = probe(connection, table, widths, rows)
    documents = {column.name for column in facts.columns if column.family is Family.JSON}
    found = {}
    for place, name in enumerate(widths):
        values = [row[place] for row in probed.rows]
        found[name] = examine_documents(values) if name in documents else examine(values)
    return probed, found
