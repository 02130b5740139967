"""The doors of the catalog: how far its review is behind the live schemas."""

from aegis.catalog import standing
from aegis.catalog.standing import Review
from aegis.operations.system import current


def look_at_catalogs() -> list[Review]:
    """Count, in each data source, the columns that nobody has decided on; no row is read.

    A source that does not answer, or whose data map has faults, has no number, and says why.
    """
    system = current()
    return [standing.look(system.databases, name) for name in sorted(system.settings.sources)]


def catalog_reviews() -> list[Review]:
    """Return what the newest look found, for the metrics; nothing is counted."""
    return standing.reviews(current().databases)
