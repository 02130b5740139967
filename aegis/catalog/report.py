"""A scan as plain data, for programs and files: names, types, categories and counts, and no value.

Version 1: `version`, `datasource`, `tables`, `summary`. A table: `table`, `nature`, `rows_sampled` (null: not
sampled), `note`, `columns`. A column: `column`, `type`, `verdict` (personal, none, unknown), `category` (a
key of fideslang, or null), `confidence` (0 to 1), `evidence` (sentences), `role` (key, person reference,
reference, tenant, or null).
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from aegis.catalog.decision import ColumnDecision, Verdict
from aegis.catalog.scanning import TableScan

VERSION: Final = 1


class Summary:
    """What a scan came to, added up table by table."""

    def __init__(self) -> None:
        self.tables = 0
        self.sampled = 0
        self.rows = 0
        self.columns: Counter[Verdict] = Counter()
        #: Why tables were not sampled as they should be → how many.
        self.notes: Counter[str] = Counter()

    def add(self, found: TableScan) -> None:
        """Count one table."""
        self.tables += 1
        self.sampled += found.sampled is not None
        self.rows += found.sampled or 0
        self.columns.update(decision.verdict for decision in found.decisions)
        if found.note:
            self.notes[found.note] += 1

    def plain(self, *, complete: bool, seconds: float, values: bool, numbers: bool) -> Mapping[str, Any]:
        """Return it as plain data.

        Args:
            complete: every table was scanned.
            seconds: how long it took.
            values: values were sampled.
            numbers: numbers of telephones, accounts, cards and persons could be told among them.

        """
        return {
            "complete": complete,
            "seconds": round(seconds, 1),
            "tables": self.tables,
            "tables_sampled": self.sampled,
            "rows_sampled": self.rows,
            "personal": self.columns[Verdict.PERSONAL],
            "unknown": self.columns[Verdict.UNKNOWN],
            "none": self.columns[Verdict.NONE],
            "values_sampled": values,
            "numbers_validated": values and numbers,
            "notes": dict(self.notes),
        }


def plain_table(found: TableScan) -> Mapping[str, Any]:
    """Return one table as plain data."""
    return {
        "table": found.table,
        "nature": found.nature,
        "rows_sampled": found.sampled,
        "note": found.note,
        "columns": [plain_column(decision) for decision in found.decisions],
    }


def plain_column(decision: ColumnDecision) -> Mapping[str, Any]:
    """Return one column as plain data."""
    return {
        "column": decision.column,
        "type": decision.type,
        "verdict": decision.verdict,
        "category": decision.category,
        "confidence": decision.confidence,
        "evidence": list(decision.evidence),
        "role": decision.role,
    }
