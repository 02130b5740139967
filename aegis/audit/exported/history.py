"""What an export has shown so far, as one tree that every checkpoint of it has to agree with."""

from collections import deque
from typing import Final

from aegis.audit.exported.parts import End, Gap
from aegis.audit.exported.report import Report
from aegis.audit.tlog.frontier import Frontier, cover
from aegis.audit.tlog.notes import Checkpoint

#: Leaves that a repetition can be compared with.
REMEMBERED: Final = 20_000


class History:
    """The leaves that were seen so far."""

    def __init__(self, report: Report, start: int) -> None:
        self._report = report
        self._start = start
        #: None before the first batch that can be trusted, and after one that cannot.
        self._edge: Frontier | None = None
        self._begun = False
        self._recent: deque[bytes] = deque(maxlen=REMEMBERED)
        #: Checkpoints whose size is not reached yet: size → root and line.
        self._ahead: dict[int, tuple[bytes, str]] = {}

    def hash_of(self, leaf: int) -> bytes | None:
        """Return the hash of a leaf that was seen lately."""
        place = leaf - self._report.next + len(self._recent)
        return self._recent[place] if 0 <= place < len(self._recent) else None

    def reach(self, batch: End, gap: Gap | None) -> None:
        """Come to a batch that its own checkpoint proves: what is before it has to be the same there."""
        if not self._begun:
            self._begin(batch, gap)
        elif self._edge is None:
            self._miss(batch)
            self._restart(batch)
        elif batch.first < self._report.next:
            self._repeat(batch)
        else:
            self._bridge(self._edge, batch, gap)

    def add(self, batch: End, head: Checkpoint) -> None:
        """Add the leaves of a batch, and its checkpoint."""
        edge = self._edge
        if edge is None:
            return
        self._expect(edge, head, batch.where)
        fresh = batch.leaves[max(0, edge.size - batch.first) :]
        for leaf in fresh:
            edge.append(leaf)
            self._compare(edge)
        self._recent.extend(fresh)
        self._report.events += len(fresh)
        self._report.next = edge.size

    def skip(self, batch: End) -> None:
        """Go on behind a batch that cannot be trusted; what follows is no more joined to what was before."""
        self._begun, self._edge = True, None
        self._recent.clear()
        self._report.next = max(self._report.next, batch.next)

    def conclude(self) -> None:
        """Say which checkpoints the export does not lead up to."""
        if self._ahead:
            size = max(self._ahead)
            self._report.unproven.append(
                f"the export ends before leaf {self._report.next}, its newest checkpoint has {size} leaves: "
                f"the last {size - self._report.next} are not in it"
            )

    def _begin(self, batch: End, gap: Gap | None) -> None:
        self._begun = True
        report, first = self._report, gap.first if gap else batch.first
        report.first = report.next = first
        if first != self._start:
            report.find(batch.where, f"the export begins at leaf {first}, expected {self._start}", first)
        if first == 0:
            self._edge = Frontier()
            self._bridge(self._edge, batch, gap)
        else:
            self._restart(batch)

    def _bridge(self, edge: Frontier, batch: End, gap: Gap | None) -> None:
        """Join a batch to the leaves before it, over those that were pruned."""
        if gap and gap.last + 1 == batch.first and gap.last >= edge.size:
            if not self._pass(edge, gap):
                self._restart(batch)
                return
        elif self._miss(batch):
            self._restart(batch)
            return
        if edge.hashes != tuple(batch.before):
            what = (
                f"its checkpoint does not contain the leaves before {batch.first} as they stand here: "
                "two histories"
            )
            self._report.find(batch.where, what, batch.first)
            self._restart(batch)

    def _miss(self, batch: End) -> bool:
        """Say which leaves are missing before a batch; return whether any is."""
        expected = self._report.next
        if batch.first > expected:
            what = f"leaves {expected} to {batch.first - 1} are missing before this batch"
            self._report.find(batch.where, what, expected)
        return batch.first > expected

    def _pass(self, edge: Frontier, gap: Gap) -> bool:
        """Go over leaves that were pruned; return whether what follows is joined to what was before."""
        if gap.first != edge.size:
            # An export was killed, and before the next one more was pruned.
            self._report.unproven.append(
                f"{gap.where}: what is behind leaf {gap.last} cannot be joined to what was before {edge.size}"
            )
            return False
        subtrees = list(cover(gap.first, gap.last + 1))
        if len(subtrees) != len(gap.hashes):
            what = f"expected {len(subtrees)} hashes, got {len(gap.hashes)}"
            self._report.find(gap.where, what, gap.first)
            return False
        for (level, _), found in zip(subtrees, gap.hashes, strict=True):
            edge.append(found, level)
            self._compare(edge)
        self._recent.clear()
        self._report.next = edge.size
        self._drop(f"leaves {gap.first} to {gap.last}, which were pruned")
        return True

    def _restart(self, batch: End) -> None:
        """Go on from what the batch's own checkpoint says of the leaves before it."""
        self._edge = Frontier(batch.first, batch.before)
        self._recent.clear()
        self._report.next = batch.first
        self._drop(f"leaves before {batch.first}, which are not here")

    def _drop(self, why: str) -> None:
        for size in [size for size in self._ahead if size < self._report.next]:
            self._report.unproven.append(f"the checkpoint of size {size} ends among {why}")
            del self._ahead[size]

    def _repeat(self, batch: End) -> None:
        """Compare a batch with the leaves that were there before."""
        report = self._report
        for leaf, found in enumerate(batch.leaves, batch.first):
            if leaf >= report.next:
                return
            known = self.hash_of(leaf)
            if known is None:
                what = (
                    f"it goes back to leaf {leaf}, far behind leaf {report.next}: the batch is out of order"
                )
                report.find(batch.where, what, leaf)
                return
            if known != found:
                what = f"leaf {leaf} is not the one that stands before"
                report.find(batch.where, what, leaf)
            else:
                report.repeated += 1

    def _expect(self, edge: Frontier, head: Checkpoint, where: str) -> None:
        """Keep a checkpoint until its size is reached; of one that is behind, the batch was compared."""
        if head.size < edge.size:
            return
        known = self._ahead.setdefault(head.size, (head.root, where))
        if known[0] != head.root:
            what = f"the checkpoint of size {head.size} at {known[1]} has another root: two histories"
            self._report.find(where, what)
        self._compare(edge)

    def _compare(self, edge: Frontier) -> None:
        if edge.size not in self._ahead:
            return
        expected, where = self._ahead.pop(edge.size)
        if expected != edge.root:
            what = f"its root is not that of the {edge.size} leaves that stand here: two histories"
            self._report.find(where, what)
