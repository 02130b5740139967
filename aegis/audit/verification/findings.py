"""What a verification finds: which leaf, which event, which column, expected and got.

Neither `expected` nor `got` is ever personal data: what stands in the database may be what somebody
wrote there, so a text that is not evidently one of ours is shown as a digest.
"""

import datetime as dt
import enum
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aegis.audit import events
from aegis.audit.actions import CLEAR_TARGETS, Action, Outcome

#: Findings of one kind that are kept; the others are counted.
MOST: Final = 100


class Kind(enum.StrEnum):
    """What is not as it was written."""

    #: The log's state is missing, or is not that of its newest checkpoint.
    STATE = "state"
    #: A checkpoint is missing, cannot be read, or no key signed it that was good for it.
    CHECKPOINT = "checkpoint"
    #: A root that was signed is not that of the tree.
    ROOT = "root"
    #: The log is not the one whose checkpoint was published.
    PUBLISHED = "published"
    #: The log is not the one that a witness has seen.
    WITNESS = "witness"
    #: A tile is not what the hashes below it make.
    TILE = "tile"
    #: A leaf's hash was changed: it is not that of the entry, and the tree is not the signed one.
    LEAF_HASH = "leaf hash"
    #: A leaf is there twice or not at all, or lies beyond the tree.
    LEAF = "leaf"
    #: An entry is not the one that was hashed.
    ENTRY = "entry"
    #: Sealed details are not those that the entry commits to.
    SEALED = "sealed"
    #: A column does not repeat the entry.
    COLUMN = "column"
    #: The event of a leaf, or of a pending mark, is gone.
    MISSING = "missing"
    #: An event has neither a leaf nor a pending mark.
    STRAY = "stray"
    #: An event that has its leaf still waits for one.
    PENDING = "pending"
    #: The table of signing keys, or the policy, does not say what the log says.
    KEY = "key"
    #: A prune claims what cannot be, or entries are missing that none covers.
    PRUNE = "prune"
    #: The sums of pruned events are not those that the prunes told.
    SUMS = "sums"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it was written."""

    kind: Kind
    expected: str
    got: str
    #: The place in the log, or the size of the tree, where it has one.
    leaf: int | None = None
    #: The event's id.
    event: str | None = None
    #: The column, tile, key or name that it is about.
    column: str | None = None

    def __str__(self) -> str:
        """Say it in one line."""
        leaf = None if self.leaf is None else f"leaf {self.leaf}"
        where = [part for part in (leaf, self.event, self.column) if part]
        return (
            f"{self.kind}{': ' if where else ''}{', '.join(where)}: expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a verification, or a prune, has come."""

    #: `tree`, `entries` or `prune`.
    phase: str
    done: int
    total: int


#: Is told how far it has come, a few times in a second.
Tell = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a verification found."""

    #: Leaves of the log.
    size: int
    #: Entries whose hash was computed.
    checked: int
    #: At most 100 of each kind.
    findings: tuple[Finding, ...]
    #: How many there are in all.
    found: int
    #: Events that announced an act of which nothing more was recorded; of the last minutes they are no alarm.
    intents: tuple[str, ...]
    #: Leaves that came after the newest checkpoint which the quorum of witnesses cosigned.
    unwitnessed: int

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.found


class Findings:
    """Collects findings."""

    def __init__(self) -> None:
        self._counts: Counter[Kind] = Counter()
        self._kept: list[Finding] = []

    def add(
        self,
        kind: Kind,
        *,
        expected: Any,
        got: Any,
        leaf: int | None = None,
        event: str | None = None,
        column: str | None = None,
    ) -> None:
        """Keep a finding, or count it when there are many of its kind."""
        self._counts[kind] += 1
        if self._counts[kind] <= MOST:
            self._kept.append(
                Finding(
                    kind=kind,
                    expected=shown(expected),
                    got=shown(got),
                    leaf=leaf,
                    event=None if event is None else shown(event),
                    column=column,
                )
            )

    @property
    def kept(self) -> tuple[Finding, ...]:
        """Those that were kept, in the order in which they were found."""
        return tuple(self._kept)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._counts.total()


@dataclass(frozen=True, kw_only=True)
class Said:
    """A text of the verifier itself, which is shown as it is."""

    text: str


#: Ids, keyed references, hashes and instants.
_OURS: Final = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z]1_[0-9a-f]{32}|[0-9a-f]{8}|[0-9a-f]{64}"
)
_NAMES: Final = frozenset({*Action, *Outcome, *CLEAR_TARGETS})
_SHOWN: Final = 16


def shown(value: Any) -> str:
    """Return a value as a finding may show it."""
    if value is None:
        return "none"
    if isinstance(value, Said):
        return value.text
    if isinstance(value, bytes):
        return value.hex() if len(value) == hashlib.sha256().digest_size else _digest(value)
    if isinstance(value, dt.datetime):
        return events.stamp(value)
    text = str(value)
    evident = isinstance(value, int) or text in _NAMES or _OURS.fullmatch(text)
    return text if evident else _digest(text.encode("utf-8", "replace"))


def _digest(value: bytes) -> str:
    return f"sha256:{hashlib.sha256(value).hexdigest()[:_SHOWN]}"
