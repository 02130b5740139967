"""The throttle: how long a run rests after a batch, outside of every transaction.

A share of the batch's own time always. While a figure of the database is over its threshold the
pause doubles from look to look, up to the longest; when it is well again it halves. One batch
goes after each pause, so that a run never stands still.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

import sqlalchemy as sa

from aegis.db.load import Gauge
from aegis.operations.system import System
from aegis.settings import ThrottleSettings

#: The first pause for a reason, in seconds; below it there is none.
FIRST: Final = 0.05
#: Figure that the database tells → setting; that of WAL is told as a position and read as a rate.
FIGURES: Final = {
    "lock_waits": "lock_waits",
    "active_sessions": "active_sessions",
    "replica_lag_seconds": "replica_lag_seconds",
    "wal_megabytes": "wal_megabytes_per_second",
    "slot_megabytes": "slot_megabytes",
    "snapshot_seconds": "snapshot_seconds",
    "vacuums": "vacuums",
}
_NAP: Final = 1.0


class Figures(Protocol):
    """What tells how busy a database is."""

    #: Wanted, and not or only partly seen.
    unmeasured: set[str]

    def read(self) -> dict[str, float]:
        """Return the figures of now."""


class Throttle:
    """Decides on the pauses of one slice."""

    def __init__(
        self,
        limits: ThrottleSettings,
        gauge: Figures,
        *,
        pause_share: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._gauge = gauge
        self._share = pause_share
        self._clock = clock
        self._look_at = 0.0
        self._wal: tuple[float, float] | None = None
        self._pause = 0.0
        #: The setting whose threshold was reached at the last look.
        self.reason: str | None = None

    @property
    def unmeasured(self) -> set[str]:
        """Settings whose figures the database does not show, or not all of."""
        return {FIGURES[name] for name in self._gauge.unmeasured}

    def after(self, spent: float) -> float:
        """Return how many seconds to rest after a batch that took `spent`."""
        if self._clock() >= self._look_at or self.reason:
            self._look()
        return max(spent * self._share, self._pause)

    def _look(self) -> None:
        figures = self._gauge.read()
        now = self._clock()
        self._look_at = now + self._limits.look_milliseconds / 1000
        if "wal_megabytes" in figures:
            figures["wal_megabytes"] = self._wal_rate(figures["wal_megabytes"], now)
        over = [name for name, value in figures.items() if 0 < self._limit(name) <= value]
        self.reason = FIGURES[over[0]] if over else None
        if over:
            self._pause = min(self._limits.longest_pause_seconds, max(FIRST, 2 * self._pause))
        else:
            self._pause = self._pause / 2 if self._pause > FIRST else 0.0

    def _limit(self, figure: str) -> float:
        return float(getattr(self._limits, FIGURES[figure]))

    def _wal_rate(self, position: float, now: float) -> float:
        before, self._wal = self._wal, (position, now)
        if before is None or now <= before[1]:
            return 0.0
        return (position - before[0]) / (now - before[1])


def throttle_for(system: System, datasource: str, table: sa.Table) -> Throttle:
    """Return the throttle of a slice on a table."""
    limits = system.settings.throttle
    wanted = [name for name, setting in FIGURES.items() if getattr(limits, setting) > 0]
    gauge = Gauge(system.databases.source(datasource), f"data source {datasource}", table, wanted)
    return Throttle(limits, gauge, pause_share=system.settings.retention.pause_share)


def naps(seconds: float) -> list[float]:
    """Cut a pause into pieces, after each of which somebody can stop the run."""
    whole, rest = divmod(seconds, _NAP)
    return [_NAP] * int(whole) + [rest]
