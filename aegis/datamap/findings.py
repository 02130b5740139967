"""What a data map leaves open, or says that the live schema does not bear out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: edge: a reference into a person's rows; column; row: what happens to a table's rows; shared: a row of
#: two people; name: what is not there; strategy: one that does not fit; unreached: what would never be
#: done; subject; hook; proposed: what the catalog proposed and nobody has accepted.
Kind = Literal[
    "edge", "column", "row", "shared", "name", "strategy", "unreached", "subject", "hook", "proposed"
]


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """One thing that somebody has to decide or to mend before anybody can be erased."""

    kind: Kind
    #: The table's label, or the name of a subject.
    table: str
    #: The column or the edge; empty: the table itself.
    what: str
    #: What is open or wrong, as a sentence.
    why: str
    #: What to write into the map: a line of YAML, below `tables:` or `subjects:`; empty where the line
    #: is there and says TODO.
    cure: str
    #: The line of the data map that it is about; none where nothing stands there yet.
    line: int | None = None


def once(found: Iterable[Undecided]) -> tuple[Undecided, ...]:
    """Return findings without repetitions, in their order."""
    return tuple({(u.kind, u.table, u.what, u.why): u for u in found}.values())
