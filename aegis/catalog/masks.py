"""What is written over a column that holds something personal: the first strategy that fits it."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.model import NONE, PRESERVE, TODO, UNKNOWN
from aegis.db.catalog import CatalogTable
from aegis.masking.strategies import strategy_of

#: Beginning of a category → strategies, the best first; the longest beginning counts.
_CHOICES: Final[Sequence[tuple[str, Sequence[Any]]]] = (
    ("user.contact.email", ("surrogate_email", "surrogate", "null", "redact", "empty")),
    ("user.contact", ("null", "empty", "redact", "surrogate")),
    ("user.name", ("surrogate", "null", "redact", "empty")),
    ("user.account", ("surrogate", "null", "redact", "empty")),
    ("user.device.ip_address", ("truncate_ip", "null", "empty", "redact")),
    ("user.authorization", ("random_token", "null", "empty")),
    ("user.demographic.date_of_birth", ({"truncate_date": "year"}, "null")),
    ("user.behavior", ("null", "empty", "redact", {"truncate_date": "month"})),
    ("user.content", ("scrub_text", "null", "empty", "redact")),
    ("user", ("null", "empty", "redact", "surrogate", "random_token")),
)
#: They write the same into every row.
_SAME: Final = ("empty", "redact")


def mask_for(table: CatalogTable, name: str, category: str | None) -> Any:
    """Return the strategy of a column, as a data map or a policy writes it; TODO where none fits."""
    if category in {None, NONE}:
        return PRESERVE
    if category == UNKNOWN:
        return TODO
    column = table.table.c[name]
    if name in table.key:
        return TODO
    fitting = (spec for spec in _wanted(str(category)) if _fits(table, column, spec))
    return next(fitting, TODO)


def _wanted(category: str) -> Sequence[Any]:
    return next(
        (specs for begin, specs in _CHOICES if category == begin or category.startswith(f"{begin}.")), ()
    )


def _fits(table: CatalogTable, column: sa.Column[Any], spec: Any) -> bool:
    if column.computed is not None or column.identity is not None:
        return False
    if spec == "null":
        return bool(column.nullable)
    if spec in _SAME and any(column.name in unique.columns for unique in table.uniques):
        return False
    return strategy_of(spec).unfit(column) is None
