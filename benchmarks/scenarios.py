"""Situations, each with the contenders that meet in it; the first is what the others are measured by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.contenders import (
    BY_TENANT,
    DELETE_LIMIT,
    IN_LIMIT,
    RAW,
    RAW_TENANTS,
    RAW_UPDATE,
    SENTRY,
    TENANT_DAYS,
    Aegis,
    Bare,
    Contender,
    PtArchiver,
)
from benchmarks.copies import DAYS, SPAN

_MASKS: Final = {"action": "anonymize", "masks": {"body": "null"}}
_BY_TENANT: Final = {"tenant_column": "tenant", "tenant_days": TENANT_DAYS}
#: A tenant that keeps its rows for longer, if there were one: no partition is past for everybody.
_IN_BATCHES: Final = {"tenant_column": "tenant", "tenant_days": {"nobody": 3650}}
_OTHERS: Final[tuple[Contender, ...]] = (RAW, Aegis(), Bare(), SENTRY, IN_LIMIT)
_TWO: Final = Aegis(name="Aegis, two ranges", workers=2)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One situation."""

    name: str
    contenders: Sequence[Contender]
    database: str = "postgresql"
    layout: str = "appended"
    #: Rows of this age go, of 180 days.
    days: int = DAYS
    #: Somebody holds an old snapshot open.
    snapshot: bool = False
    #: Somebody updates one row that stays, again and again.
    hot: bool = False


SCENARIOS: Final[Sequence[Scenario]] = (
    Scenario(name="PostgreSQL, appended", contenders=(*_OTHERS, _TWO)),
    Scenario(name="PostgreSQL, scattered", layout="scattered", contenders=(*_OTHERS, _TWO)),
    Scenario(name="PostgreSQL, an old snapshot is open", snapshot=True, contenders=_OTHERS),
    Scenario(
        name="PostgreSQL, 51 tenants with days of their own",
        contenders=(RAW_TENANTS, Aegis(name="Aegis, one pass", policy=_BY_TENANT), BY_TENANT),
    ),
    # A night of a policy that runs each night.
    Scenario(name="PostgreSQL, one row of 180 is due", contenders=_OTHERS, days=SPAN - 1),
    Scenario(
        name="PostgreSQL, partitions",
        layout="partitioned",
        contenders=(
            RAW,
            Aegis(name="Aegis, whole partitions"),
            Aegis(name="Aegis, in batches", policy=_IN_BATCHES),
        ),
    ),
    Scenario(name="PostgreSQL, anonymize", contenders=(RAW_UPDATE, Aegis(policy=_MASKS))),
    Scenario(
        name="PostgreSQL, archived first",
        contenders=(RAW, Aegis(policy={"archive": {"keep_days": 14}})),
    ),
    Scenario(name="MariaDB", database="mariadb", contenders=(RAW, Aegis(), _TWO, DELETE_LIMIT, PtArchiver())),
    Scenario(name="SQLite", database="sqlite", contenders=(RAW, Aegis())),
)
