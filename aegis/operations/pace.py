"""How many rows the next batch takes: a time is aimed at, not a count.

Where a commit alone takes longer than the aim, smaller batches would only make it worse: time
shrinks a batch no further than `floor`. A lock or a time limit of the database does, down to one.
"""

from dataclasses import dataclass


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

    def worked(self, seconds: float) -> None:
        """Learn from a batch of `size` rows: smooth, and change the size at most by half or double."""
        rate = self.size / max(seconds, 1e-6)
        self.rate = rate if self.rate == 0 else 0.6 * self.rate + 0.4 * rate
        smallest = max(self.size * 0.5, min(self.size, self.floor))
        wanted = max(self.rate * self.target_seconds, smallest)
        self.size = round(min(wanted, self.size * 2, self.largest))

    def refused(self) -> bool:
        """Halve after a lock or a time limit; return whether a smaller batch is possible."""
        if self.size <= 1:
            return False
        self.size = max(1, self.size // 2)
        self.rate = 0.0
        return True
