"""What a residual scan found: how many rows, where, and what it means; never a value."""

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple

#: Keys of rows that are named for each kind of hit.
_SAMPLES: Final = 5


class Standing(enum.Enum):
    """Whose a row is, for one person."""

    #: Reached by the person's edges: nothing of theirs may be left in it.
    OWN = "own"
    #: Kept for a reason that the data map gives.
    RETAINED = "retained"
    #: Anybody's.
    OTHER = "other"


class Verdict(enum.StrEnum):
    """What a hit means for the erasure."""

    #: It is not done while this is there.
    BLOCKING = "blocking"
    #: Two people may be called so, or it is a part of something longer: for somebody to look at.
    POSSIBLE = "possible"
    #: It stands in a row that is kept.
    RETAINED = "retained"


class Spot(NamedTuple):
    """What hits are counted by."""

    #: As the needles number them.
    person: int
    table: str
    column: str
    identifier: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Hit:
    """Rows in which one identifier of one person stands in one column."""

    person: int
    table: str
    column: str
    identifier: str
    verdict: Verdict
    rows: int
    #: Keys of some of them; a key that could be somebody's own value is digested.
    samples: tuple[str, ...] = ()

    @property
    def spot(self) -> Spot:
        """What it is counted by."""
        return Spot(self.person, self.table, self.column, self.identifier, self.verdict)

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "verdict": str(self.verdict), "samples": list(self.samples)}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "Hit":
        """Return it from plain data."""
        verdict, samples = Verdict(plain["verdict"]), tuple(plain["samples"])
        return cls(**{**plain, "verdict": verdict, "samples": samples})


@dataclass(kw_only=True)
class Hits:
    """The hits of a scan so far."""

    _found: dict[Spot, Hit] = field(default_factory=dict)

    def add(self, hits: Iterable[Hit]) -> None:
        """Take in more, of rows that were not among those before."""
        for hit in hits:
            known = self._found.get(hit.spot)
            if known is not None:
                samples = (*known.samples, *hit.samples)[:_SAMPLES]
                self._found[hit.spot] = replace(known, rows=known.rows + hit.rows, samples=samples)
            else:
                self._found[hit.spot] = hit

    def __iter__(self) -> Iterator[Hit]:
        """Go through them in order."""
        return (self._found[spot] for spot in sorted(self._found))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)
