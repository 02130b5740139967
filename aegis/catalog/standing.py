"""How far the review of each data source is behind its live schema, kept for the metrics."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.catalog.drift import undecided
from aegis.catalog.reviewing import drift
from aegis.db import dialects
from aegis.db.engines import CONTROL, Databases, reading, writing
from aegis.db.tables import CatalogReview
from aegis.errors import AegisError

_REVIEWS: Final[sa.Table] = CatalogReview.__table__  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Review:
    """One data source, as the newest look found it."""

    datasource: str
    #: Columns that nobody has decided on; None: it could not be looked at.
    undecided: int | None
    #: Why not; no value and no address.
    reason: str | None
    looked_at: dt.datetime


def look(databases: Databases, datasource: str) -> Review:
    """Count the columns of a source that nobody has decided on, and keep the number; no row is read.

    A source that does not answer, and a data map with faults, is no number, and never a zero.
    """
    try:
        count, reason = undecided(drift(databases, datasource)), None
    except AegisError as error:
        count, reason = None, f"{type(error).__name__}: {error}"
    with writing(databases.control, CONTROL) as connection:
        now = dialects.now(connection)
        values: dict[str, Any] = {"undecided": count, "reason": reason, "looked_at": now}
        if not dialects.insert_missing(connection, _REVIEWS, {"datasource": datasource, **values}):
            here = _REVIEWS.c.datasource == datasource
            connection.execute(sa.update(_REVIEWS).where(here).values(**values))
    return Review(datasource=datasource, undecided=count, reason=reason, looked_at=now)


def reviews(databases: Databases) -> list[Review]:
    """Return the newest look at each source that the settings still name."""
    with reading(databases.control, CONTROL) as connection:
        rows = connection.execute(sa.select(_REVIEWS).order_by(_REVIEWS.c.datasource)).mappings().all()
    return [Review(**row) for row in rows if row["datasource"] in databases.settings.sources]
