"""The check of an export as JSON lines: every batch on its own, and all of them as one history."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aegis.audit.exported.history import History
from aegis.audit.exported.parts import End, Gap, Line, Part, Torn
from aegis.audit.exported.report import Prunings, Report, Trust
from aegis.audit.tlog import merkle
from aegis.audit.tlog.notes import Checkpoint
from aegis.errors import Tampered

#: Most lines without a checkpoint behind them.
MOST: Final = 20_000


class Lines:
    """One pass over the lines of an export."""

    def __init__(self, trust: Trust, report: Report, start: int) -> None:
        self._trust = trust
        self._report = report
        self._history = History(report, start)
        self._prunings = Prunings(report)
        self._waiting: list[Line] = []
        #: Lines that a killed export left and no batch has covered yet.
        self._early: list[Line] = []
        self._gap: Gap | None = None

    def take(self, part: Part | Tampered) -> None:
        """Take the next line."""
        match part:
            case Line():
                self._wait(part)
            case Gap():
                self._skip(part)
            case End():
                self._close(part)
            case Torn():
                self._report.unproven.append(
                    f"{part.where}: the last line is torn: an export was stopped there"
                )
            case Tampered():
                where, _, what = str(part).partition(": ")
                self._report.find(where, what)

    def conclude(self) -> None:
        """Say what is left over."""
        if self._gap:
            self._report.unproven.append(f"{self._gap.where}: no batch follows: an export was stopped there")
        waiting = [*self._early, *self._waiting]
        if waiting:
            first, last = waiting[0], waiting[-1]
            self._report.unproven.append(
                f"{first.where}: leaf {first.leaf} and what follows, up to {last.where}, have no checkpoint "
                "behind them: an export was stopped there, or the last line was removed"
            )
        self._history.conclude()
        self._prunings.conclude()
        self._trust.conclude()

    def _wait(self, line: Line) -> None:
        self._waiting.append(line)
        if len(self._waiting) > MOST:
            what = f"more than {MOST} lines from {self._waiting[0].where} on have no checkpoint behind them"
            self._report.find(line.where, what, self._waiting[0].leaf)
            self._waiting = []

    def _skip(self, gap: Gap) -> None:
        """Keep the line of pruned leaves for its batch; a killed export leaves one that is said again."""
        if self._gap and self._gap.first != gap.first:
            self._misplaced(self._gap)
        self._gap = gap

    def _misplaced(self, gap: Gap) -> None:
        what = f"leaves {gap.first} to {gap.last} are said to be pruned, and no batch begins behind them"
        self._report.find(gap.where, what, gap.first)

    def _close(self, batch: End) -> None:
        waiting, gap = self._waiting, self._gap
        self._waiting, self._gap = [], None
        if gap and gap.last + 1 != batch.first:
            self._misplaced(gap)
            gap = None
        try:
            head = self._proved(batch)
        except Tampered as fault:
            self._report.find(batch.where, str(fault), batch.first)
            self._compare(batch, waiting, gap)
            self._history.skip(batch)
            return
        if gap and gap.last >= self._report.next:
            self._prunings.lack(max(gap.first, self._report.next), gap.last, gap.where)
        self._history.reach(batch, gap)
        self._compare(batch, waiting, gap)
        self._history.add(batch, head)

    def _proved(self, batch: End) -> Checkpoint:
        """Return the checkpoint that a batch is proved with."""
        head = self._trust.head(batch.note)
        if merkle.root_from_range(batch.first, batch.leaves, head.size, batch.proof) != head.root:
            message = f"its hashes of leaves {batch.first} to {batch.next - 1} do not lead to its root"
            raise Tampered(message)
        return head

    def _compare(self, batch: End, waiting: Sequence[Line], gap: Gap | None) -> None:
        """Compare lines with the hashes of their batch."""
        begin = max((place for place, line in enumerate(waiting) if line.leaf == batch.first), default=0)
        self._catch_up(batch)
        left = self._left_over(batch, waiting[:begin], gap)
        seen: dict[int, Line] = {}
        highest = -1
        for line in waiting[begin:]:
            what = _fault(batch, line, seen, highest)
            if what:
                self._report.find(line.where, what, line.leaf)
            if batch.first <= line.leaf < batch.next:
                seen.setdefault(line.leaf, line)
                highest = max(highest, line.leaf)
            if line.pruned is not None:
                self._prunings.allow(line.pruned)
        for first, last in _ranges(leaf for leaf in range(batch.first, batch.next) if leaf not in seen):
            moved = f"; leaf {first} stands at {left[first]}, out of order" if first in left else ""
            leaves = f"leaf {first} is" if first == last else f"leaves {first} to {last} are"
            self._report.find(batch.where, f"{leaves} missing in this batch{moved}", first)

    def _catch_up(self, batch: End) -> None:
        """Compare lines that waited for their batch."""
        early, self._early = self._early, []
        for line in early:
            if line.leaf < batch.next:
                self._left(batch, line)
            else:
                self._early.append(line)

    def _left_over(self, batch: End, lines: Sequence[Line], gap: Gap | None) -> dict[int, str]:
        """Compare lines that an export left before it was killed; return where each leaf of them stands."""
        begin = gap.first if gap else batch.first
        before = None
        for line in lines:
            # It began where the next one begins, unless that begins behind what was pruned meanwhile.
            if line.leaf - 1 != before and not begin <= line.leaf <= batch.first:
                self._report.find(line.where, f"leaf {line.leaf} is out of order", line.leaf)
            before = line.leaf
            if begin <= line.leaf < batch.first:
                self._report.unproven.append(
                    f"{line.where}: leaf {line.leaf} has no checkpoint behind it, and was pruned since"
                )
            elif line.leaf >= batch.next:
                # The export that went on stopped earlier; a later batch has it.
                self._early.append(line)
            else:
                self._left(batch, line)
        return {line.leaf: line.where for line in lines}

    def _left(self, batch: End, line: Line) -> None:
        """Compare a line with the leaf that was signed later."""
        inside = batch.first <= line.leaf < batch.next
        known = batch.leaves[line.leaf - batch.first] if inside else self._history.hash_of(line.leaf)
        if known is None:
            what = (
                f"leaf {line.leaf} has no checkpoint behind it: one was removed, or the line is not from here"
            )
            self._report.find(line.where, what, line.leaf)
        elif fault := _unlike(line, known):
            self._report.find(line.where, fault, line.leaf)
        else:
            self._report.repeated += 1


def _fault(batch: End, line: Line, seen: Mapping[int, Line], highest: int) -> str | None:
    """Say what is wrong with a line of a batch."""
    leaf = line.leaf
    if not batch.first <= leaf < batch.next:
        return f"leaf {leaf} does not belong to this batch of leaves {batch.first} to {batch.next - 1}"
    if leaf in seen:
        return f"leaf {leaf} stands at {seen[leaf].where} already"
    if leaf < highest:
        return f"leaf {leaf} is out of order"
    return _unlike(line, batch.leaves[leaf - batch.first])


def _unlike(line: Line, known: bytes) -> str | None:
    """Say how a line differs from the leaf that was signed."""
    if line.hash != known:
        return f"leaf {line.leaf} was changed: it is not the event that was signed"
    return None if line.sealed else f"the sealed details of leaf {line.leaf} are not those that it commits to"


def _ranges(leaves: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as ranges."""
    found: list[tuple[int, int]] = []
    for leaf in leaves:
        if found and found[-1][1] + 1 == leaf:
            found[-1] = (found[-1][0], leaf)
        else:
            found.append((leaf, leaf))
    return found
