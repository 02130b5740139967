"""CSV, for a spreadsheet: table, column, type, category, status, confidence, evidence."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Final

from aegis.catalog.formats.labels import Label, Place
from aegis.errors import InvalidFile

HEADINGS: Final = ("table", "column", "type", "category", "status", "confidence", "evidence")
_NEEDED: Final = ("table", "column", "category")
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def write(labels: Sequence[Label], place: Place) -> str:
    """Return labels as CSV."""
    del place
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADINGS)
    for label in labels:
        sure = "" if label.confidence is None else f"{label.confidence:g}"
        cells = (
            label.table,
            label.column,
            label.type,
            label.category,
            label.status,
            sure,
            "; ".join(label.evidence),
        )
        writer.writerow([_harmless(cell) for cell in cells])
    return out.getvalue()


def read(text: str, file: str, place: Place, tables: Sequence[str]) -> Mapping[tuple[str, str], str]:
    """Return (table, column) → category.

    Raises:
        InvalidFile: it lacks a heading, or a row lacks a cell.

    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    missing = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        named = ", ".join(_NEEDED)
        message = f"{file}:1: the first line must name the columns {named}; it lacks {', '.join(missing)}"
        raise InvalidFile([message])
    found = {}
    for row in rows:
        cells = [(row[name] or "").strip().removeprefix("'") for name in _NEEDED]
        if not all(cells):
            raise InvalidFile([f"{file}:{rows.line_num}: a row needs {', '.join(_NEEDED)}"])
        if table := place.table(cells[0], tables):
            found[table, cells[1]] = cells[2]
    return found


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell
