"""What the columns of a table together tell of it, by the categories that their names say."""

from collections.abc import Collection
from typing import Final

from aegis.catalog.facts import TableFacts
from aegis.catalog.names import column_concepts, concepts, shared_prefix
from aegis.catalog.rules import found_in

#: Categories of columns that tell a table of people, whatever it is called; and what organizations have too.
PERSONAL: Final = frozenset(
    {"user.name.first", "user.name.last", "user.demographic.date_of_birth", "user.demographic.gender"}
    | {"user.authorization.password", "user.account.username"}
)
REACH: Final = frozenset({"user.contact.email", "user.contact.phone_number"})
ADDRESS: Final = frozenset(
    f"user.contact.address.{part}" for part in ("street", "city", "postal_code", "country")
)
#: What is short for a password wherever it stands.
_PASS: Final = ("pass",)


def told(table: TableFacts, categories: Collection[str]) -> set[str]:
    """Return those of the categories that the names of a table's columns say."""
    prefix = shared_prefix(c.name for c in table.columns)
    return {
        place.rule.category
        for column in table.columns
        for place in found_in(column_concepts(column.name, prefix))
        if place.rule.category in categories
        and column.family in place.rule.families
        and (place.rule.where is None or "contact" in place.rule.where or place.rule.phrase == _PASS)
    }


def has_name(table: TableFacts) -> bool:
    """Say whether a table has a column that is called a name, of whatever."""
    return any(concepts(column.name)[-1:] == ("name",) for column in table.columns)


def words_within(table: TableFacts) -> frozenset[str]:
    """Return the concepts that stand in the names of a table's columns."""
    return frozenset(concept for column in table.columns for concept in concepts(column.name))
