"""What each column of the labelled tables holds, as people decided by RULES.md."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "labels"
HEADINGS: Final = ("table", "column", "category", "note")
NOT_PERSONAL: Final = "-"
#: (table, column)
Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of an application."""

    application: str
    #: place → category, or None where the column is not personal
    categories: Mapping[Place, str | None]
    #: place → why, where somebody may ask
    notes: Mapping[Place, str]

    @property
    def tables(self) -> list[str]:
        """The labelled tables, by name."""
        return sorted({table for table, _ in self.categories})


def read_labels(application: str) -> Labels:
    """Read the labels of an application.

    Raises:
        FileNotFoundError: nobody has labelled it.
        ValueError: a column is labelled twice.

    """
    categories: dict[Place, str | None] = {}
    notes: dict[Place, str] = {}
    with (FOLDER / f"{application}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            place = (row["table"], row["column"])
            if place in categories:
                message = f"{application}: {'.'.join(place)} is labelled twice; leave one line"
                raise ValueError(message)
            categories[place] = None if row["category"] == NOT_PERSONAL else row["category"]
            if row["note"]:
                notes[place] = row["note"]
    return Labels(application=application, categories=categories, notes=notes)
