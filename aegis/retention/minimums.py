"""Minimum periods: a row that must be kept for some time stays, whatever a policy says."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.datamap.model import Keeping, Minimum
from aegis.datamap.periods import parse_period
from aegis.errors import InvalidPolicy, UnsafeTable
from aegis.retention.clocks import Clock
from aegis.retention.cutoffs import Lasting


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A minimum period against its column in the live database."""

    minimum: Minimum
    column: sa.Column[Any]
    clock: Clock
    #: The zone whose calendar counts.
    zone: str

    def passed(self, moment: dt.datetime) -> sa.ColumnElement[bool]:
        """Return the rows that have been kept long enough; a row without a time has not."""
        return self.clock.expired(self.column, parse_period(self.minimum.period).before(moment, self.zone))


def refuse_shorter(name: str, rule: Lasting, clock: sa.Column[Any], floors: Sequence[Floor]) -> None:
    """Refuse a policy that keeps rows for less than the data map says, where both count from one column.

    Raises:
        InvalidPolicy: names both.

    """
    shortest = min([rule.retention_days, *(rule.tenant_days or {}).values()])
    for floor in floors:
        least = parse_period(floor.minimum.period).fewest_days
        if floor.column.name == clock.name and shortest < least:
            basis = f" ({floor.minimum.basis})" if floor.minimum.basis else ""
            message = (
                f"policy {name} keeps rows for {shortest} days, and the data map says at least "
                f"{floor.minimum.period} from {clock.name}{basis}: give it {least} days or more"
            )
            raise InvalidPolicy(message)


def refuse_kept_along(name: str, along: Mapping[str, Keeping]) -> None:
    """Refuse a policy whose cascades would reach rows that the data map keeps.

    Raises:
        UnsafeTable: names the tables.

    """
    kept = sorted(label for label, keeping in along.items() if keeping.minimums or keeping.holds)
    if kept:
        message = (
            f"policy {name}: its cascades reach {', '.join(kept)}, whose rows the data map keeps; "
            "give that table a policy of its own, and let this one run after it"
        )
        raise UnsafeTable(message)
