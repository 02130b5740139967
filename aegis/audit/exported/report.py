"""What the check of an export says, and whom it believes."""

import dataclasses
from dataclasses import dataclass, field
from typing import Final

from aegis.audit.tlog.notes import Checkpoint, Note
from aegis.audit.tlog.tiles import WIDTH
from aegis.audit.tlog.trust import NONE, Policy
from aegis.errors import Tampered

#: Findings beyond these are counted only.
MOST: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it was exported."""

    #: File and line, or a file of a folder of tiles.
    where: str
    #: The leaf that it is about, if it is about one.
    leaf: int | None
    what: str

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"{self.where}: {self.what}"


@dataclass(kw_only=True)
class Report:
    """What a check saw."""

    #: `jsonl` or `tiles`.
    kind: str
    #: The first leaf, and the first one behind.
    first: int = 0
    next: int = 0
    #: Leaves with an entry; a repetition is not counted again.
    events: int = 0
    #: Lines that repeat others, byte for byte: an export that was killed sends its last batch again.
    repeated: int = 0
    #: Leaves whose entries were pruned before the export, first and last of each range.
    pruned: list[tuple[int, int]] = field(default_factory=list)
    #: The largest checkpoint that a trusted key has signed.
    checkpoint: Checkpoint | None = None
    #: Leaves of the largest one that the quorum of witnesses has cosigned too.
    witnessed: int = 0
    findings: list[Finding] = field(default_factory=list)
    #: Findings beyond those.
    more: int = 0
    #: What this export alone cannot tell, a sentence each.
    unproven: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def find(self, where: str, what: str, leaf: int | None = None) -> None:
        """Add a finding."""
        if len(self.findings) < MOST:
            self.findings.append(Finding(where=where, leaf=leaf, what=what))
        else:
            self.more += 1


class Trust:
    """Believes checkpoints as a policy says; notes which ones the witnesses have cosigned.

    Every checkpoint has to be signed by a key of the log. The quorum is not asked of each: a witness
    may have been away, or was added later. One that has it vouches for everything before it.
    """

    def __init__(self, policy: Policy, report: Report) -> None:
        self._signed = dataclasses.replace(policy, witnesses=(), groups=(), quorum=NONE)
        self._policy = policy
        self._report = report
        self._last: tuple[str, Checkpoint] | None = None

    def head(self, note: Note) -> Checkpoint:
        """Return the checkpoint in a note.

        Raises:
            Tampered: no trusted key signed it, or it is of another log than those before it.

        """
        # All batches of one export end with the same one.
        if self._last and self._last[0] == str(note):
            return self._last[1]
        found = self._signed.check(note)
        known = self._report.checkpoint
        if known and known.origin != found.origin:
            message = (
                f"it is of the log {found.origin}, those before of {known.origin}: check each on its own"
            )
            raise Tampered(message)
        if known is None or found.size > known.size:
            self._report.checkpoint = found
        if found.size > self._report.witnessed and self._policy.witnessed(note):
            self._report.witnessed = found.size
        self._last = (str(note), found)
        return found

    def conclude(self) -> None:
        """Say what no witness has vouched for."""
        report = self._report
        if self._policy.quorum != NONE and report.witnessed < report.next:
            report.unproven.append(
                f"no checkpoint with the quorum {self._policy.quorum!r} of witnesses covers the leaves from "
                f"{report.witnessed} to {report.next - 1}"
            )


class Prunings:
    """Compares the leaves that an export lacks with what the log says of its own pruning."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._allowed = -1
        self._gone: list[tuple[int, int, str]] = []

    def allow(self, last: int) -> None:
        """Note a leaf of the log that says that everything up to a leaf was pruned."""
        self._allowed = max(self._allowed, last)

    def lack(self, first: int, last: int, where: str) -> None:
        """Note leaves whose entries are not there."""
        if self._gone and self._gone[-1][1] + 1 == first:
            first, _, where = self._gone.pop()
        self._gone.append((first, last, where))

    def conclude(self) -> None:
        """Say which of them no leaf accounts for."""
        head = self._report.checkpoint
        self._report.pruned = [(first, last) for first, last, _ in self._gone]
        for first, last, where in self._gone:
            if last <= self._allowed:
                continue
            what = (
                f"the entries of leaves {first} to {last} are missing, and no leaf says that they were pruned"
            )
            if self._shared(first, last):
                self._report.unproven.append(
                    f"leaves {self._allowed + 1} to {last} belong into a bundle with others that were "
                    "pruned: their entries are not here"
                )
            elif head and self._report.next < head.size:
                self._report.unproven.append(f"{what} as far as this export goes")
            else:
                self._report.find(where, what, first)

    def _shared(self, first: int, last: int) -> bool:
        """Say whether what is missing beyond what was pruned is the rest of the same bundle."""
        same = self._allowed // WIDTH == last // WIDTH
        return self._report.kind == "tiles" and first <= self._allowed and same
