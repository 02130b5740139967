"""The check of an export alone: every fault is found and named, and what is right raises no alarm."""

import base64
import dataclasses
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis.audit.exported import checking
from aegis.audit.exported.folder import pruned_up_to
from aegis.audit.exported.parts import parts
from aegis.audit.exported.report import MOST, Report
from aegis.audit.exports.formats import jsonl
from aegis.audit.exports.tilefolder import TileFolder
from aegis.audit.tlog import frontier, merkle, notes, tiles
from aegis.audit.tlog.frontier import Frontier
from aegis.audit.tlog.notes import COSIGNATURE, Signature, Verifier
from aegis.audit.tlog.trust import Group, Policy, Witness
from aegis.errors import OperationFailed, Tampered, UsageError
from tests.paperlog import ORIGIN, PaperLog, signer
from tests.repeats import examples

#: Batches of four exports: the log had 10, 20, 23 and 40 leaves.
PARTS: Final = ((0, 7, 10), (7, 10, 10), (10, 20, 20), (20, 23, 23), (23, 33, 40), (33, 40, 40))
LOG: Final = PaperLog().grow(40)
LINES: Final = LOG.lines(*PARTS)
#: What an event of a prune says.
PRUNE: Final = {"first": 0, "last": 4, "rows": 0, "root": "", "before": ""}
Change = Callable[[list[bytes]], None]


def check(
    folder: Path, lines: Sequence[bytes], *, policy: Policy = LOG.policy, start: int = 0, torn: bytes = b""
) -> Report:
    """Write an export and check it."""
    file = folder / "audit.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in lines) + torn)
    return checking.check(file, policy, start=start)


def at(leaf: int, lines: Sequence[bytes] = LINES) -> int:
    """Return where the line of a leaf is."""
    return next(place for place, line in enumerate(lines) if line.startswith(b'{"leaf":%d,' % leaf))


def end(batch: int, lines: Sequence[bytes] = LINES) -> int:
    """Return where the last line of a batch is, the first batch being 0."""
    return [place for place, line in enumerate(lines) if line.startswith(jsonl.CHECKPOINT)][batch]


def edited(line: bytes, **changes: Any) -> bytes:
    """Return a line of JSON with other fields."""
    return json.dumps(json.loads(line) | changes, separators=(",", ":"), ensure_ascii=False).encode()


def named(report: Report) -> list[tuple[str, int | None]]:
    """Return line and leaf of each finding."""
    return [(finding.where.partition(":")[2], finding.leaf) for finding in report.findings]


def said(report: Report) -> str:
    """Return all findings."""
    return "\n".join(map(str, report.findings))


class TestClean:
    """What is right raises no alarm."""

    def test_an_export_is_intact(self, tmp_path: Path) -> None:
        """Every batch, and all of them as one history."""
        report = check(tmp_path, LINES)
        assert report.intact
        assert report.unproven == []
        assert (report.kind, report.first, report.next, report.events) == ("jsonl", 0, 40, 40)
        assert report.checkpoint == LOG.checkpoint(40)

    @pytest.mark.parametrize("part", PARTS)
    def test_one_batch_alone(self, tmp_path: Path, part: tuple[int, int, int]) -> None:
        """A batch needs nothing but itself."""
        report = check(tmp_path, LOG.lines(part), start=part[0])
        assert report.intact
        assert (report.first, report.next) == part[:2]
        assert bool(report.unproven) == (part[1] != part[2])

    @pytest.mark.parametrize("place", range(len(PARTS)))
    def test_a_batch_that_came_twice(self, tmp_path: Path, place: int) -> None:
        """An export that was killed before it had saved its cursor sends its last batch again."""
        report = check(tmp_path, LOG.lines(*PARTS[: place + 1], *PARTS[place:]))
        assert report.intact
        assert report.unproven == []
        assert report.events == 40
        assert report.repeated == PARTS[place][1] - PARTS[place][0]

    def test_a_batch_that_came_again_and_longer(self, tmp_path: Path) -> None:
        """The log may have grown meanwhile."""
        report = check(tmp_path, LOG.lines((0, 7, 10), (7, 10, 10), (7, 20, 20), (20, 40, 40)))
        assert (report.findings, report.unproven, report.events, report.repeated) == ([], [], 40, 3)

    @pytest.mark.parametrize("left", range(10))
    def test_lines_that_a_killed_export_left(self, tmp_path: Path, left: int) -> None:
        """Lines without their checkpoint are said again by the next export, and compared."""
        lines = [*LINES[: at(10) + left], *LINES[at(10) :]]
        report = check(tmp_path, lines)
        assert (report.findings, report.unproven, report.events) == ([], [], 40)
        assert report.repeated == left

    def test_lines_that_were_left_of_a_longer_batch(self, tmp_path: Path) -> None:
        """The export that goes on may stop earlier than the one that was killed."""
        lines = [*LINES[: at(10)], *LINES[at(10) : end(2)]]
        report = check(tmp_path, [*lines, *LOG.lines((10, 14, 20), (14, 20, 20), (20, 40, 40))])
        assert (report.findings, report.unproven, report.events) == ([], [], 40)
        assert report.repeated == 10

    def test_lines_that_were_left_of_a_batch_that_came_in_three(self, tmp_path: Path) -> None:
        """Each of them waits until the batch that has it."""
        parts = ((10, 12, 20), (12, 15, 20), (15, 20, 20), (20, 40, 40))
        report = check(tmp_path, [*LINES[: end(2)], *LOG.lines(*parts)])
        assert (report.findings, report.unproven, report.events) == ([], [], 40)
        assert report.repeated == 10

    def test_files_of_which_one_begins_with_pruned_leaves(self, tmp_path: Path) -> None:
        """It comes where its pruned leaves were."""
        log, _ = pruned_log()
        parts = {"b.jsonl": jsonl.lines(log.batch(5, 12, 12, pruned=0)), "a.jsonl": log.lines((12, 20, 20))}
        for name, lines in parts.items():
            (tmp_path / name).write_bytes(b"".join(line + b"\n" for line in lines))
        report = checking.check(tmp_path, log.policy)
        assert (report.findings, report.unproven, report.events) == ([], [], 15)

    def test_a_folder_in_any_order_of_names(self, tmp_path: Path) -> None:
        """Files that a rotation has renamed are read in the order of their leaves; others are left alone."""
        first, second = end(1) + 1, end(3) + 1
        parts = {"a.jsonl": LINES[second:], "a.jsonl.1": LINES[first:second], "a.jsonl.2": LINES[:first]}
        for name, lines in parts.items():
            (tmp_path / name).write_bytes(b"".join(line + b"\n" for line in lines))
        for name in ("policy", "a.jsonl.cursor", "a.jsonl.cursor.lock", ".a.jsonl.new"):
            (tmp_path / name).write_text("something else")
        report = checking.check(tmp_path, LOG.policy)
        assert (report.findings, report.unproven, report.events) == ([], [], 40)

    def test_pruned_leaves(self, tmp_path: Path) -> None:
        """Leaves that were pruned are passed, when a leaf of the log says so; every root still fits."""
        log, pruned = pruned_log()
        lines = jsonl.lines(log.batch(5, 12, 12, pruned=0)) + log.lines((12, 20, 20))
        report = check(tmp_path, lines, policy=log.policy)
        assert (report.findings, report.unproven) == ([], [])
        assert (report.pruned, report.events, report.next) == ([(0, 4)], 15, 20)
        assert pruned == 4

    def test_leaves_that_were_pruned_in_the_middle(self, tmp_path: Path) -> None:
        """Leaves that were pruned before they were exported are passed behind those that were."""
        log, _ = pruned_log()
        lines = [*log.lines((0, 3, 3)), *jsonl.lines(log.batch(5, 20, 20, pruned=3))]
        report = check(tmp_path, lines, policy=log.policy)
        assert (report.findings, report.unproven) == ([], [])
        assert (report.pruned, report.events) == ([(3, 4)], 18)

    def test_a_pruned_line_that_came_twice(self, tmp_path: Path) -> None:
        """An export that was killed after it says the same again, or more when more was pruned."""
        log, _ = pruned_log()
        lines = jsonl.lines(log.batch(5, 20, 20, pruned=3))
        for left in (lines[:1], lines[:4], jsonl.lines(log.batch(4, 20, 20, pruned=3))[:1]):
            report = check(tmp_path, [*log.lines((0, 3, 3)), *left, *lines], policy=log.policy)
            assert (report.findings, report.unproven, report.events) == ([], [], 18)

    def test_what_was_pruned_after_a_kill(self, tmp_path: Path) -> None:
        """Leaves that were exported, and pruned before the cursor was saved: no finding, and no proof."""
        log, _ = pruned_log()
        lines = [*log.lines((0, 4, 10)), *jsonl.lines(log.batch(5, 20, 20, pruned=0))]
        report = check(tmp_path, lines, policy=log.policy)
        assert report.intact
        assert "cannot be joined" in report.unproven[0]
        left = [*log.lines((0, 4, 4))[:-1], *jsonl.lines(log.batch(5, 20, 20, pruned=0))]
        report = check(tmp_path, left, policy=log.policy)
        assert report.intact
        assert all("has no checkpoint behind it, and was pruned since" in one for one in report.unproven)
        assert len(report.unproven) == 4

    def test_a_checkpoint_that_ends_among_pruned_leaves(self, tmp_path: Path) -> None:
        """Nothing here leads up to it any more: that is told, and no finding."""
        log = PaperLog().grow(12).grow(1, action="audit:prune", clear=PRUNE | {"last": 10}).grow(7)
        lines = [*log.lines((0, 7, 9)), *jsonl.lines(log.batch(11, 20, 20, pruned=7))]
        report = check(tmp_path, lines, policy=log.policy)
        assert report.findings == []
        assert report.unproven == ["the checkpoint of size 9 ends among leaves 7 to 10, which were pruned"]

    @given(st.integers(1, 40), st.data())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_however_it_was_cut(self, tmp_path: Path, size: int, data: st.DataObject) -> None:
        """Any division into exports and batches is intact."""
        parts, at_leaf, known = [], 0, 0
        while at_leaf < size:
            known = data.draw(st.integers(max(known, at_leaf + 1), size))
            behind = data.draw(st.integers(at_leaf + 1, known))
            parts.append((at_leaf, behind, known))
            at_leaf = behind
        report = check(tmp_path, LOG.lines(*parts))
        assert (report.findings, report.events) == ([], size)
        assert report.unproven == []


def pruned_log() -> tuple[PaperLog, int]:
    """Return a log of 20 leaves whose leaf 10 says that leaves 0 to 4 were pruned, and that 4."""
    log = PaperLog().grow(10)
    log.grow(1, action="audit:prune", clear=PRUNE)
    return log.grow(9), 4


class TestTampering:
    """Each fault is found and named with its line and leaf."""

    @pytest.mark.parametrize("leaf", [0, 6, 7, 9, 15, 20, 39])
    def test_an_event_that_was_changed(self, tmp_path: Path, leaf: int) -> None:
        """One byte of an entry."""
        lines = [*LINES]
        lines[at(leaf)] = lines[at(leaf)].replace(b'"rows":17', b'"rows":16')
        report = check(tmp_path, lines)
        assert named(report) == [(str(at(leaf) + 1), leaf)]
        assert "was changed" in said(report)

    @pytest.mark.parametrize("sealed", [None, "AAAA"])
    def test_sealed_details_that_were_changed(self, tmp_path: Path, sealed: str | None) -> None:
        """Sealed details that the entry does not commit to."""
        lines = [*LINES]
        fields = lines[at(3)].rpartition(jsonl.SEALED)
        lines[at(3)] = fields[0] + fields[1] + json.dumps(sealed).encode() + b"}"
        assert lines[at(3)] != LINES[at(3)]
        report = check(tmp_path, lines)
        assert named(report) == [(str(at(3) + 1), 3)]
        assert "sealed details of leaf 3" in said(report)

    def test_sealed_details_that_were_added(self, tmp_path: Path) -> None:
        """Sealed details where the entry has none."""
        lines = [*LINES]
        lines[at(4)] = lines[at(4)].replace(b'"sealed":null}', b'"sealed":"AAAA"}')
        lines[at(4)] = LINES[at(4)][: LINES[at(4)].rindex(b"null}")] + b'"AAAA"}'
        assert named(check(tmp_path, lines)) == [(str(at(4) + 1), 4)]

    @pytest.mark.parametrize("leaf", [0, 6, 7, 9, 15, 20, 39])
    def test_a_line_that_was_removed(self, tmp_path: Path, leaf: int) -> None:
        """The first, one in the middle, the last of a batch."""
        lines = [line for place, line in enumerate(LINES) if place != at(leaf)]
        report = check(tmp_path, lines)
        assert [found for _, found in named(report)] == [leaf]
        assert f"leaf {leaf} is missing in this batch" in said(report)

    @pytest.mark.parametrize("leaf", [0, 1, 5, 11, 38])
    def test_lines_that_were_reordered(self, tmp_path: Path, leaf: int) -> None:
        """Two lines of a batch that changed places."""
        lines = [*LINES]
        place = at(leaf)
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
        report = check(tmp_path, lines)
        assert "out of order" in said(report)
        assert {found for _, found in named(report)} <= {leaf, leaf + 1}

    @pytest.mark.parametrize("leaf", [0, 4, 12, 39])
    def test_a_line_that_stands_there_twice(self, tmp_path: Path, leaf: int) -> None:
        """Not at the beginning of a batch, where a killed export would have left it."""
        lines = [*LINES]
        where = at(leaf) + 1
        lines.insert(where, lines[at(leaf)])
        report = check(tmp_path, lines)
        if leaf == 0:
            # The first line of a batch, alone, is what a killed export leaves.
            assert (report.intact, report.repeated) == (True, 1)
        else:
            assert named(report) == [(str(where + 1), leaf)]
            assert "already" in said(report)

    @pytest.mark.parametrize("leaf", [5, 12, 30, 41, 10**9])
    def test_a_line_that_was_inserted(self, tmp_path: Path, leaf: int) -> None:
        """A made-up event, under a number that is taken, and under one that is not."""
        forged = PaperLog().grow(1, tenant="forged").lines((0, 1, 1))[0].replace(b":0,", b":%d," % leaf, 1)
        lines = [*LINES]
        lines.insert(at(14), forged)
        report = check(tmp_path, lines)
        assert (str(at(14) + 1), leaf) in named(report)

    @pytest.mark.parametrize("batch", range(len(PARTS)))
    def test_a_batch_that_was_removed(self, tmp_path: Path, batch: int) -> None:
        """With its checkpoint; of the last one only what is left can tell."""
        first = at(PARTS[batch][0])
        lines = LINES[:first] + LINES[end(batch) + 1 :]
        report = check(tmp_path, lines)
        if batch == len(PARTS) - 1:
            assert report.intact
            assert "its newest checkpoint has 40 leaves: the last 7 are not in it" in report.unproven[0]
        elif batch == 0:
            assert "begins at leaf 7, expected 0" in said(report)
        else:
            assert f"leaves {PARTS[batch][0]} to {PARTS[batch][1] - 1} are missing" in said(report)

    @pytest.mark.parametrize("batch", range(len(PARTS)))
    def test_a_checkpoint_that_was_removed(self, tmp_path: Path, batch: int) -> None:
        """Its lines have nothing that proves them."""
        lines = [line for place, line in enumerate(LINES) if place != end(batch)]
        report = check(tmp_path, lines)
        if batch == len(PARTS) - 1:
            assert report.intact
            assert "have no checkpoint behind them" in report.unproven[0]
        else:
            assert {leaf for _, leaf in named(report)} >= {PARTS[batch][0]}

    def test_batches_that_were_reordered(self, tmp_path: Path) -> None:
        """The later one first."""
        a, b, c = at(10), end(2) + 1, end(3) + 1
        report = check(tmp_path, LINES[:a] + LINES[b:c] + LINES[a:b] + LINES[c:])
        assert "leaves 10 to 19 are missing before this batch" in said(report)
        assert "out of order" in said(report)

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"first": 8}, "no line of|as many leaves"),
            ({"next": 11}, "as many leaves"),
            ({"first": -1}, "no line of"),
            ({"first": True}, "no line of"),
            ({"leaves": ""}, "as many leaves"),
            ({"leaves": "AAAA"}, "as many leaves"),
            ({"leaves": 5}, "no line of"),
            ({"proof": []}, "hashes"),
            ({"proof": ["AAAA"]}, "no line of"),
            ({"proof": "!"}, "no line of"),
            ({"checkpoint": "x"}, "signed note"),
            ({"more": 1}, "no line of"),
        ],
    )
    def test_a_checkpoint_line_that_was_changed(
        self, tmp_path: Path, changes: dict[str, Any], what: str
    ) -> None:
        """Every field of it."""
        lines = [*LINES]
        lines[end(1)] = edited(lines[end(1)], **changes)
        report = check(tmp_path, lines)
        assert str(end(1) + 1) in [line for line, _ in named(report)]
        assert any(
            one.where.endswith(f":{end(1) + 1}") and matches(what, one.what) for one in report.findings
        )

    def test_a_hash_that_was_changed_with_its_event(self, tmp_path: Path) -> None:
        """An event and its hash in the list: then the batch does not lead to its root."""
        lines = [*LINES]
        forged = PaperLog().grow(1, tenant="forged").stored[0][0]
        lines[at(8)] = jsonl.spell(8, forged, None)
        hashes = base64.b64decode(json.loads(lines[end(1)])["leaves"])
        swapped = hashes[:32] + merkle.leaf_hash(forged) + hashes[64:]
        lines[end(1)] = edited(lines[end(1)], leaves=base64.b64encode(swapped).decode())
        report = check(tmp_path, lines)
        assert named(report)[0] == (str(end(1) + 1), 7)
        assert "do not lead to its root" in said(report)

    def test_a_signature_of_somebody_else(self, tmp_path: Path) -> None:
        """A whole export that another key has signed."""
        forged = PaperLog(signers=(signer(9),), stored=LOG.stored)
        report = check(tmp_path, forged.lines(*PARTS))
        assert len(report.findings) == len(PARTS)
        assert all("is not signed by a trusted key" in one.what for one in report.findings)
        assert report.checkpoint is None

    def test_another_log(self, tmp_path: Path) -> None:
        """A batch of another log of the same policy does not join this one."""
        other = PaperLog(
            origin="logs.example.com/other", signers=(signer(2, "logs.example.com/other"),)
        ).grow(20)
        policy = Policy(logs=(*LOG.policy.logs, *other.policy.logs))
        report = check(tmp_path, [*LOG.lines((0, 10, 10)), *other.lines((10, 20, 20))], policy=policy)
        assert "it is of the log logs.example.com/other" in said(report)

    def test_two_histories_of_one_key(self, tmp_path: Path) -> None:
        """Whoever has the key signs another history: its leaves do not grow out of those before."""
        fork = PaperLog(stored=[*LOG.stored[:4]]).grow(36, tenant="other")
        report = check(tmp_path, [*LOG.lines((0, 10, 10)), *fork.lines((10, 40, 40))])
        assert named(report) == [(str(42), 10)]
        assert "two histories" in said(report)

    def test_two_histories_behind_the_leaves(self, tmp_path: Path) -> None:
        """A checkpoint that was ahead of its batch is compared when the export gets there."""
        fork = PaperLog(stored=[*LOG.stored[:10]]).grow(30, tenant="other")
        lines = [*fork.lines((0, 10, 20)), *LOG.lines((10, 40, 40))]
        report = check(tmp_path, lines)
        assert named(report) == [("11", None)]
        assert "its root is not that of the 20 leaves" in said(report)

    def test_two_checkpoints_of_one_size(self, tmp_path: Path) -> None:
        """Found at once, also when the export ends before that size."""
        fork = PaperLog(stored=[*LOG.stored[:10]]).grow(30, tenant="other")
        report = check(tmp_path, [*fork.lines((0, 5, 20)), *LOG.lines((5, 10, 20))])
        assert "has another root: two histories" in said(report)

    def test_a_repetition_with_other_leaves(self, tmp_path: Path) -> None:
        """A batch that comes again has to be the same."""
        fork = PaperLog(stored=[*LOG.stored[:4]]).grow(16, tenant="other")
        report = check(tmp_path, [*LOG.lines((0, 10, 10)), *fork.lines((0, 10, 20))])
        assert [leaf for _, leaf in named(report)] == [4, 5, 6, 7, 8, 9]
        assert "is not the one that stands before" in said(report)

    def test_a_left_over_line_that_was_changed(self, tmp_path: Path) -> None:
        """What a killed export left is compared with what was signed later."""
        left = LINES[at(10)].replace(b'"rows":17', b'"rows":16')
        lines = [*LINES[: at(10)], left, *LINES[at(10) :]]
        assert named(check(tmp_path, lines)) == [(str(at(10) + 1), 10)]

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"{}",
            b"hello",
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"leaf":1}',
            b'{"leaf":01,"event":{},"sealed":null}',
            b'{"leaf":1,"event":{},"sealed":"!"}',
            b'{"pruned":[5,4],"hashes":[]}',
            b'{"pruned":[0],"hashes":[]}',
            b'{"leaf":' + b"9" * 5000 + b',"event":{},"sealed":null}',
        ],
    )
    def test_a_line_of_something_else(self, tmp_path: Path, line: bytes) -> None:
        """Whatever else stands there is a finding, never a crash."""
        lines = [*LINES]
        lines.insert(at(14), line)
        report = check(tmp_path, lines)
        assert [where for where, _ in named(report)] == [str(at(14) + 1)]

    def test_a_line_that_never_ends(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not read whole, and the lines behind it keep their numbers."""
        monkeypatch.setattr("aegis.audit.exported.parts.LONGEST", 10_000)
        report = check(tmp_path, [b'{"leaf":' + b"1" * 25_000, b"x", *LINES], torn=b"1" * 25_000)
        assert [where for where, _ in named(report)] == ["1", "2", str(len(LINES) + 3)]

    def test_leaves_that_are_said_to_be_pruned(self, tmp_path: Path) -> None:
        """Without a leaf of the log that says so, they were removed."""
        lines = LINES[: at(10)] + jsonl.lines(LOG.batch(15, 20, 20, pruned=10)) + LINES[at(20) :]
        report = check(tmp_path, lines)
        assert named(report) == [(str(at(10) + 1), 10)]
        assert "no leaf says that they were pruned" in said(report)
        assert report.pruned == [(10, 14)]

    def test_more_that_is_said_to_be_pruned(self, tmp_path: Path) -> None:
        """A leaf accounts for what it names, and for nothing behind it."""
        log, _ = pruned_log()
        lines = jsonl.lines(log.batch(6, 20, 20, pruned=0))
        report = check(tmp_path, lines, policy=log.policy)
        assert [leaf for _, leaf in named(report)] == [0]

    def test_a_pruning_that_is_not_exported_yet(self, tmp_path: Path) -> None:
        """As long as the export has not come to the end, the leaf that says so may follow."""
        log, _ = pruned_log()
        report = check(tmp_path, jsonl.lines(log.batch(5, 9, 20, pruned=0)), policy=log.policy)
        assert report.intact
        assert any("no leaf says" in one for one in report.unproven)

    @pytest.mark.parametrize("batch", [2, 3])
    def test_an_empty_pruned_line(self, tmp_path: Path, batch: int) -> None:
        """A line of pruned leaves that nothing follows."""
        lines = [*LINES]
        lines.insert(at(PARTS[batch][0]), b'{"pruned":[100,101],"hashes":[]}')
        assert "no batch begins behind them" in said(check(tmp_path, lines))

    def test_two_pruned_lines(self, tmp_path: Path) -> None:
        """Of two that begin elsewhere the first one is of nothing."""
        log, _ = pruned_log()
        lines = [b'{"pruned":[3,4],"hashes":[]}', *jsonl.lines(log.batch(5, 20, 20, pruned=0))]
        report = check(tmp_path, lines, policy=log.policy)
        assert named(report) == [("1", 3)]
        assert "no batch begins behind them" in said(report)

    @pytest.mark.parametrize("action", ["custom:note", "audit:prunes"])
    def test_an_event_that_only_names_a_prune(self, tmp_path: Path, action: str) -> None:
        """Whoever can have an event recorded cannot account for leaves that were removed."""
        log = PaperLog().grow(10).grow(1, action=action, clear=PRUNE | {"reason": "audit:prune"}).grow(9)
        report = check(tmp_path, jsonl.lines(log.batch(5, 20, 20, pruned=0)), policy=log.policy)
        assert "no leaf says that they were pruned" in said(report)

    @pytest.mark.parametrize(
        "entry",
        [
            b"audit:prune",
            b'["audit:prune"]',
            b'{"action":"audit:prune"}',
            b'{"action":"audit:prune","details":[]}',
            b'{"action":"audit:prune","details":{"last":"soon"}}',
            b'{"action":"audit:prune","details":{"last":null}}',
            b'{"action":"custom:note","details":{"last":4,"reason":"audit:prune"}}',
            b"[" * 100_000 + b'"audit:prune"',
        ],
        ids=range(8),
    )
    def test_an_entry_that_tells_of_no_prune(self, entry: bytes) -> None:
        """Whatever its bytes are, it accounts for nothing."""
        assert pruned_up_to(entry) is None

    def test_hashes_of_pruned_leaves_that_do_not_fit(self, tmp_path: Path) -> None:
        """Other hashes lead to another root, and another number of them is none."""
        log, _ = pruned_log()
        lines = jsonl.lines(log.batch(5, 20, 20, pruned=0))
        other = [base64.b64encode(bytes(32)).decode()] * 2
        for hashes, what in ((other, "two histories"), ([], "expected 2 hashes, got 0")):
            changed = [edited(lines[0], hashes=hashes), *lines[1:]]
            report = check(tmp_path, changed, policy=log.policy)
            assert what in said(report)

    @given(st.data())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(300))
    def test_no_change_goes_unseen(self, tmp_path: Path, data: st.DataObject) -> None:
        """A byte changed, a line removed, doubled, moved or taken from elsewhere: never intact and whole."""
        lines = [*LINES]
        place = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["byte", "remove", "move", "replace"])):
            case "byte":
                if not lines[place].startswith(jsonl.LEAF):
                    return
                at_byte = data.draw(st.integers(0, len(lines[place]) - 1))
                flipped = bytearray(lines[place])
                flipped[at_byte] ^= 1 << data.draw(st.integers(0, 7))
                # Unused bits at the end of Base64 say nothing.
                if json_of(bytes(flipped)) == json_of(lines[place]):
                    return
                lines[place] = bytes(flipped)
            case "remove":
                del lines[place]
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(place))
            case "replace":
                lines[place] = data.draw(st.sampled_from(LINES))
        if lines != LINES:
            report = check(tmp_path, lines)
            assert report.findings or report.unproven

    def test_findings_do_not_grow_for_ever(self, tmp_path: Path) -> None:
        """Beyond a thousand they are counted only."""
        report = check(tmp_path, [b"x"] * (MOST + 5))
        assert (len(report.findings), report.more) == (MOST, 5)

    def test_lines_without_a_checkpoint_do_not_pile_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Memory stays flat: beyond a limit they are a finding."""
        monkeypatch.setattr("aegis.audit.exported.lines.MOST", 25)
        events = [line for line in LINES if line.startswith(jsonl.LEAF)]
        assert "more than 25 lines" in said(check(tmp_path, events))


def json_of(line: bytes) -> Any:
    """Return what a line says, with Base64 decoded; the line itself when it is no JSON."""
    try:
        document = json.loads(line)
        if isinstance(document.get("sealed"), str):
            document["sealed"] = base64.b64decode(document["sealed"])
    except (ValueError, AttributeError):
        return line
    return line if document.keys() != {"leaf", "event", "sealed"} else line[:0] + repr(document).encode()


def matches(what: str, text: str) -> bool:
    """Say whether one of the alternatives stands in the text."""
    return any(part in text for part in what.split("|"))


class TestEnds:
    """How an export begins and ends."""

    def test_a_torn_line(self, tmp_path: Path) -> None:
        """A crash left half a line: no finding, but it says so."""
        report = check(tmp_path, LINES[:-1], torn=LINES[-1][:100])
        assert report.intact
        assert "torn" in report.unproven[0]

    def test_a_pruned_line_without_its_batch(self, tmp_path: Path) -> None:
        """An export that was killed behind it says nothing about leaves yet."""
        log, _ = pruned_log()
        report = check(tmp_path, jsonl.lines(log.batch(5, 12, 12, pruned=0))[:1], policy=log.policy)
        assert report.intact
        assert any("no batch follows: an export was stopped there" in one for one in report.unproven)

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        """It is an error, and neither a finding nor an empty export."""
        with pytest.raises(OperationFailed, match="cannot be read: Is a directory"):
            list(parts(tmp_path))

    def test_a_last_line_without_its_end(self, tmp_path: Path) -> None:
        """A whole line counts, whether a newline follows or not."""
        report = check(tmp_path, LINES[:-1], torn=LINES[-1])
        assert (report.findings, report.unproven) == ([], [])

    def test_an_empty_file(self, tmp_path: Path) -> None:
        """Nothing in it: nobody can tell."""
        report = check(tmp_path, [])
        assert report.intact
        assert report.unproven == ["there is no checkpoint in it, and so nothing that could be checked"]

    def test_where_it_has_to_begin(self, tmp_path: Path) -> None:
        """An export from a leaf on begins there, and not elsewhere."""
        lines = LINES[at(20) :]
        assert check(tmp_path, lines, start=20).intact
        assert "begins at leaf 20, expected 7" in said(check(tmp_path, lines, start=7))

    def test_what_is_no_export(self, tmp_path: Path) -> None:
        """A path that is not there, and a folder without one."""
        with pytest.raises(UsageError, match="does not exist"):
            checking.check(tmp_path / "missing", LOG.policy)
        with pytest.raises(UsageError, match="holds neither tiles"):
            checking.check(tmp_path, LOG.policy)


class TestTrust:
    """Whom the check believes."""

    def test_a_retired_key(self, tmp_path: Path) -> None:
        """Its signature counts up to its last size, and not beyond."""
        (key,) = LOG.policy.logs
        for last, faults in ((40, 0), (23, 2), (9, 6)):
            policy = Policy(logs=(signer(2).verifier,), retired={key: last})
            report = check(tmp_path, LINES, policy=policy)
            assert len(report.findings) == faults
            assert "retired" in said(report) or not faults

    def test_the_quorum_of_the_newest_vouches_for_all(self, tmp_path: Path) -> None:
        """A witness that was away, or came later, is no finding; leaves that it has not seen are named."""
        key, policy = witnessed_policy()
        report = check(tmp_path, LINES, policy=policy)
        assert report.intact
        assert "covers the leaves from 0 to 39" in report.unproven[0]
        for place, batch, left in ((-1, 5, []), (3, 3, ["from 23 to 39"])):
            lines = [*LINES]
            lines[end(batch)] = edited(lines[end(batch)], checkpoint=cosigned(lines[end(batch)], key))
            report = check(tmp_path, lines, policy=policy)
            assert report.intact
            assert len(report.unproven) == len(left), place
            assert all(part in one for part, one in zip(left, report.unproven, strict=True))

    def test_a_forged_cosignature(self, tmp_path: Path) -> None:
        """It names the witness and is not the witness's."""
        key, policy = witnessed_policy()
        lines = [*LINES]
        whole = json.loads(lines[-1])["checkpoint"]
        line = Signature(name=key.name, key_id=verifier_of(key).key_id, signature=bytes(72)).line
        lines[-1] = edited(lines[-1], checkpoint=whole + line)
        report = check(tmp_path, lines, policy=policy)
        assert "is not of that key" in said(report)


def verifier_of(key: notes.FileSigner) -> Verifier:
    """Return a witness's public key."""
    return Verifier(name=key.name, public=key.verifier.public, algorithm=COSIGNATURE)


def witnessed_policy() -> tuple[notes.FileSigner, Policy]:
    """Return a witness's key, and a policy that asks for it."""
    key = signer(5, "witness.example.com")
    witness = Witness(name="w", key=verifier_of(key))
    groups = (Group(name="all", needed=1, members=("w",)),)
    return key, dataclasses.replace(LOG.policy, witnesses=(witness,), groups=groups, quorum="all")


def cosigned(line: bytes, key: notes.FileSigner) -> str:
    """Return the checkpoint of a line, cosigned."""
    note = notes.parse(json.loads(line)["checkpoint"])
    moment = (1_800_000_000).to_bytes(8, "big")
    signed = key.sign(b"cosignature/v1\ntime 1800000000\n" + note.text.encode())
    line_of = Signature(name=key.name, key_id=verifier_of(key).key_id, signature=moment + signed)
    return str(note.with_signatures([line_of]))


BIG: Final = PaperLog().grow(300).grow(1, action="audit:prune", clear={"first": 0, "last": 255}).grow(299)


class TestTiles:
    """A folder of tiles."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> TileFolder:
        """A folder of 600 leaves."""
        made = TileFolder(tmp_path)
        BIG.tiles(made)
        return made

    def check(self, folder: TileFolder, policy: Policy = BIG.policy) -> Report:
        """Check a folder."""
        return checking.check(folder.path, policy)

    def test_it_is_intact(self, folder: TileFolder) -> None:
        """Every tile is what the entries give."""
        report = self.check(folder)
        assert (report.findings, report.unproven) == ([], [])
        assert (report.kind, report.next, report.events) == ("tiles", 600, 600)
        assert report.checkpoint == BIG.checkpoint(600)

    @pytest.mark.parametrize("size", [1, 255, 256, 257, 512])
    def test_any_size(self, tmp_path: Path, size: int) -> None:
        """Also where no tile is partial, or all are."""
        made = TileFolder(tmp_path)
        BIG.tiles(made, size)
        report = self.check(made)
        assert (report.findings, report.events) == ([], size)

    def test_full_tiles_do_for_partial_ones(self, folder: TileFolder) -> None:
        """A server may have removed a partial tile once the full one was there."""
        folder.put("tile/1/000.p/1", (folder.path / "tile/1/000.p/2").read_bytes()[:32])
        folder.publish(BIG.note(300))
        report = self.check(folder)
        assert (report.findings, report.events) == ([], 300)

    @pytest.mark.parametrize(
        ("name", "place", "where", "leaf"),
        [
            ("tile/entries/000", 40, "tile/entries/000", 0),
            ("tile/entries/002.p/88", -40, "tile/entries/002.p/88", 599),
            ("tile/0/000", 33, "tile/entries/000", 1),
            ("tile/0/001", 0, "tile/entries/001", 256),
            ("tile/0/002.p/88", -1, "tile/entries/002.p/88", 599),
            ("tile/1/000.p/2", 0, "tile/1/000.p/2", 0),
        ],
    )
    def test_a_byte_that_was_changed(
        self, folder: TileFolder, name: str, place: int, where: str, leaf: int
    ) -> None:
        """In an entry, in a leaf's hash, in a tile above."""
        data = bytearray((folder.path / name).read_bytes())
        data[place] ^= 1
        (folder.path / name).write_bytes(data)
        report = self.check(folder)
        assert (where, leaf) in [(finding.where, finding.leaf) for finding in report.findings]
        assert ("checkpoint" in {finding.where for finding in report.findings}) == name.startswith("tile/0/")

    @pytest.mark.parametrize(
        ("name", "what"),
        [
            ("tile/0/000", "missing or too short"),
            ("tile/0/002.p/88", "missing or too short"),
            ("tile/1/000.p/2", "not what the tiles below it give"),
            ("tile/entries/001", "the entries of leaves 256 to 511 are missing"),
            ("tile/entries/002.p/88", "the entries of leaves 512 to 599 are missing"),
            ("checkpoint", "it is missing"),
        ],
    )
    def test_a_file_that_is_missing(self, folder: TileFolder, name: str, what: str) -> None:
        """It is named, with what it was of."""
        (folder.path / name).unlink()
        report = self.check(folder)
        assert what in said(report)
        assert len(report.findings) == 1

    def test_entries_and_hashes_that_are_missing(self, folder: TileFolder) -> None:
        """Then nothing is left of these leaves."""
        (folder.path / "tile/0/001").unlink()
        (folder.path / "tile/entries/001").unlink()
        report = self.check(folder)
        assert "it is missing, and its entries too" in said(report)
        assert "its root is not that of" in said(report)

    @pytest.mark.parametrize("change", ["short", "long", "torn"])
    def test_a_bundle_of_another_length(self, folder: TileFolder, change: str) -> None:
        """Fewer entries, more, or one that ends in its middle."""
        file = folder.path / "tile/entries/001"
        entries = [entry for entry, _ in BIG.stored[256:512]]
        wrong = {"short": entries[:-1], "long": [*entries, entries[0]], "torn": entries}[change]
        data = tiles.bundle(wrong)
        file.write_bytes(data[:-5] if change == "torn" else data)
        report = self.check(folder)
        assert report.findings[0].where == "tile/entries/001"
        assert report.findings[0].leaf == (256 if change == "torn" else 256 + min(len(wrong), 256))

    def test_everything_made_anew_without_the_key(self, folder: TileFolder) -> None:
        """Tiles that fit one another, under the old checkpoint or under another key's."""
        forged = PaperLog(signers=(signer(9),), stored=[*BIG.stored[:-1]]).grow(1, tenant="forged")
        old = (folder.path / "checkpoint").read_bytes()
        forged.tiles(folder)
        assert "not signed by a trusted key" in said(self.check(folder))
        (folder.path / "checkpoint").write_bytes(old)
        assert "its root is not that of the 600 leaves" in said(self.check(folder))

    def test_leaves_that_were_pruned(self, tmp_path: Path) -> None:
        """Bundles may be missing up to where a leaf says that the log was pruned, and no further."""
        for minimum, faults in ((256, 0), (512, 1)):
            made = TileFolder(tmp_path / str(minimum))
            made.path.mkdir()
            BIG.tiles(made, minimum=minimum)
            report = self.check(made)
            assert len(report.findings) == faults
            assert report.pruned == [(0, minimum - 1)]

    def test_a_note_that_is_none(self, folder: TileFolder) -> None:
        """A checkpoint that cannot be read."""
        (folder.path / "checkpoint").write_text("x")
        assert "expected a signed note" in said(self.check(folder))

    def test_a_folder_where_a_file_should_be(self, folder: TileFolder) -> None:
        """What cannot be read is an error, and not a tile that is missing; the same where one is written."""
        (folder.path / "tile/0/001").unlink()
        (folder.path / "tile/0/001").mkdir()
        with pytest.raises(OperationFailed, match="tile/0/001 cannot be read: Is a directory"):
            self.check(folder)
        with pytest.raises(OperationFailed, match="tile/0/000 cannot be made: "):
            folder.put("tile/0/000/more", b"")

    def test_the_quorum(self, folder: TileFolder) -> None:
        """Leaves that no witness vouches for are named."""
        _, policy = witnessed_policy()
        report = self.check(folder, policy)
        assert report.intact
        assert "covers the leaves from 0 to 599" in report.unproven[0]


class TestFrontier:
    """A tree that only grows."""

    @given(st.integers(0, 70), st.integers(0, 70))
    def test_it_is_the_tree(self, first: int, more: int) -> None:
        """Appending leaves, or the subtrees that cover them, gives the roots of RFC 6962."""
        log = [merkle.leaf_hash(bytes([place])) for place in range(first + more)]

        def node(level: int, index: int) -> bytes:
            return merkle.root_of(log[index << level : (index + 1) << level])

        one, other = Frontier(), Frontier()
        for place in range(first + more):
            assert one.root == merkle.root(place, node)
            one.append(log[place])
        for low, high in ((0, first), (first, first + more)):
            for (level, _), found in zip(
                frontier.cover(low, high), frontier.covered(low, high, node), strict=True
            ):
                other.append(found, level)
        assert one.root == other.root == merkle.root(first + more, node)
        assert one.hashes == other.hashes == Frontier(one.size, one.hashes).hashes

    def test_what_does_not_fit(self) -> None:
        """A subtree that cannot begin there, and a number of hashes that a size does not have."""
        with pytest.raises(Tampered, match="no subtree of 4 leaves begins at leaf 2"):
            Frontier(2, [bytes(32)]).append(bytes(32), 2)
        with pytest.raises(Tampered, match="expected 2 hashes for a tree of 3 leaves, got 1"):
            Frontier(3, [bytes(32)])


def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the leaves take no more memory."""
    monkeypatch.setattr("aegis.audit.exported.history.REMEMBERED", 500)
    log = PaperLog().grow(200)
    hashes = [merkle.leaf_hash(entry) for entry, _ in log.stored]
    peaks = []
    for size in (2_000, 8_000):
        file = tmp_path / f"{size}.jsonl"
        _write_long(file, log, hashes, size)
        tracemalloc.start()
        report = checking.check(file, log.policy)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (report.findings, report.events) == ([], size)
    assert peaks[1] < peaks[0] * 1.2


def _write_long(file: Path, log: PaperLog, hashes: Sequence[bytes], size: int) -> None:
    """Write an export of as many leaves, the same few events again and again."""
    every = [hashes[place % len(hashes)] for place in range(size)]
    levels = [every]
    while len(levels[-1]) > 1:
        pairs = zip(levels[-1][::2], levels[-1][1::2], strict=False)
        levels.append([merkle.node_hash(left, right) for left, right in pairs])

    def node(level: int, index: int) -> bytes:
        return levels[level][index]

    head = notes.Checkpoint(origin=ORIGIN, size=size, root=merkle.root(size, node))
    note = notes.sign(head.text, log.signers)
    with file.open("wb") as out:
        for first in range(0, size, 100):
            for place in range(first, first + 100):
                out.write(jsonl.spell(place, *log.stored[place % len(hashes)]) + b"\n")
            document = {
                "checkpoint": str(note),
                "first": first,
                "next": first + 100,
                "leaves": base64.b64encode(b"".join(every[first : first + 100])).decode(),
                "proof": [
                    base64.b64encode(part).decode() for part in merkle.outside(first, first + 100, size, node)
                ],
            }
            out.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")
