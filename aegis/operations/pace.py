"""How many rows the next batch takes: a time is aimed at, not a count.

What a batch costs without its rows (a commit, the round trips, the files of an archive) is no reason to
make it smaller, which would only make it worse: a batch of few rows shows it, and as much again as the aim
may go to it. Time shrinks a batch no further than `floor`; a lock or a time limit of the database does,
down to one.
"""

from dataclasses import dataclass
from typing import Final, Self

from aegis.db import dialects
from aegis.settings import RetentionSettings

#: How much longer a batch may take than elsewhere: on SQLite one of a few thousand rows changes nearly
#: every page of an index that is not in their order, and one of twice as many changes no more pages.
_LONGER: Final = {dialects.SQLITE: 2}


@dataclass(kw_only=True)
class Pace:
    """Adapts the size of batches to the time they take."""

    #: Rows that the next batch looks at.
    size: int
    target_seconds: float
    largest: int
    #: Time alone makes no batch smaller than this.
    floor: int = 1
    #: Smoothed rows per second; 0 before the first batch.
    rate: float = 0.0
    #: Seconds that a batch takes however few rows it has; learned from those of `floor` rows or fewer.
    overhead: float = 0.0
    #: The longest batch so far over the rows that are being worked on.
    longest: float = 0.0

    @classmethod
    def of(cls, limits: RetentionSettings, dialect: str) -> Self:
        """Return the pace with which batches begin in a database.

        Args:
            limits: how gently to work.
            dialect: the kind of database.

        """
        return cls(
            size=limits.first_batch_rows,
            target_seconds=aim_seconds(limits, dialect),
            largest=limits.largest_batch_rows,
            floor=limits.first_batch_rows,
        )

    def worked(self, seconds: float, *, through: bool = True) -> None:
        """Learn from a batch of `size` rows: smooth, and change the size at most by half or double.

        Args:
            seconds: that it took.
            through: whether no other batch goes over the same rows. The longest of them is what counts,
                and until then the size stays, so that they mean the same rows.

        """
        seconds = max(seconds, self.longest)
        self.longest = 0.0 if through else seconds
        if not through:
            return
        if self.size <= self.floor:
            least = min(seconds, self.target_seconds)
            self.overhead = 0.5 * (self.overhead or least) + 0.5 * least
        rate = self.size / max(seconds - self.overhead, seconds / 4, 1e-6)
        self.rate = rate if self.rate == 0 else 0.6 * self.rate + 0.4 * rate
        smallest = max(self.size * 0.5, min(self.size, self.floor))
        wanted = max(self.rate * self.target_seconds, smallest)
        self.size = round(min(wanted, self.size * 2, self.largest))

    def refused(self) -> bool:
        """Halve after a lock or a time limit; return whether a smaller batch is possible."""
        if self.size <= 1:
            return False
        self.size = max(1, self.size // 2)
        self.rate = self.longest = 0.0
        return True


def aim_seconds(limits: RetentionSettings, dialect: str) -> float:
    """Return how long a batch in a database of this kind is to take, in seconds."""
    return limits.batch_milliseconds / 1000 * _LONGER.get(dialect, 1)
