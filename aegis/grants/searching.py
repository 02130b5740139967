"""What the search for what is left of a person needs: every column that may hold a text, everywhere."""

import sqlalchemy as sa

from aegis.db.searchable import read_ground
from aegis.grants.needs import PLACE, Needs

SEARCHES = "erasure: searches everything for what is left of a person"


def of_search(needs: Needs) -> None:
    """Collect what the search reads, Aegis's own table included."""
    for place in read_ground(needs.connection).places:
        table = sa.table(place.name, schema=place.schema)
        needs.read(table, [*place.columns, *PLACE[:1] * needs.postgresql], SEARCHES)
