"""Exporting the log: from where the cursor is to the newest signed checkpoint, batch by batch.

A batch is handed over, acknowledged, and only then the cursor moves: a crash repeats a batch and
never leaves one out. A receiver knows a repetition by the event's id.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from aegis.audit.actions import Action
from aegis.audit.exports import batches, cursor, sinks
from aegis.audit.exports.batches import Batch, Snapshot
from aegis.audit.exports.cursor import Cursor
from aegis.audit.exports.formats.table import TILES, format_named
from aegis.audit.exports.sinks import STDOUT, Sink
from aegis.audit.exports.tilefolder import TileFolder, extend
from aegis.audit.recorder import Note, Recorder
from aegis.audit.tlog.notes import Checkpoint
from aegis.db.engines import Databases
from aegis.errors import AegisError, Refused, UsageError


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is exported and where to."""

    #: The format's name.
    format: str
    #: A file, a folder, `-` for stdout, or a URL.
    to: str
    #: Where it is kept how far the export has come; none: beside the file.
    cursor: Path | None = None
    #: A file with the value of the header `Authorization`, for HTTP.
    authorization: Path | None = None
    #: The first leaf, where no cursor says it.
    start: int | None = None
    #: At most so many events.
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What one call exported."""

    format: str
    #: The first leaf, and the first one behind.
    first: int
    next: int
    #: Events that were handed over.
    events: int
    #: Leaves on the way that were pruned from the log, first and last of each range.
    pruned: tuple[tuple[int, int], ...]
    #: Leaves of the checkpoint that the export leads to.
    size: int


@dataclass(kw_only=True)
class _Progress:
    first: int
    next: int
    events: int = 0
    pruned: list[tuple[int, int]] = field(default_factory=list)
    #: Whether anything but exports was among the events.
    news: bool = False

    def add(self, batch: Batch) -> None:
        self.next = batch.next
        self.events += len(batch.leaves)
        self.pruned += [batch.pruned] if batch.pruned else []
        self.news = self.news or any(leaf.fields["action"] != Action.AUDIT_EXPORT for leaf in batch.leaves)


class Exporter:
    """Exports one log."""

    def __init__(self, databases: Databases, recorder: Recorder) -> None:
        self._databases = databases
        self._recorder = recorder

    def export(self, target: Target, *, actor: str) -> Exported:
        """Export what is new, and record it.

        Args:
            target: what and where to.
            actor: who does it.

        Raises:
            UsageError: the target, the cursor or a number cannot be meant so.
            Busy: another export is at work with the same cursor, file or folder.
            Refused: the cursor is ahead of the log, or of another log.
            Tampered: the log is not what was sealed, or not what was exported before.
            Unreachable: the receiver did not take the events; the cursor stays where it was.
            OperationFailed: it refused them, or they cannot be written; the same holds.

        """
        if target.format == TILES:
            return self._tiles(target, actor)
        format_named(target.format)
        _check_number("from", target.start, least=0)
        _check_number("limit", target.limit, least=1)
        place = _cursor_of(target)
        with place.held() if place else contextlib.nullcontext():
            return self._lines(target, place, actor)

    def _lines(self, target: Target, place: Cursor | None, actor: str) -> Exported:
        log = batches.newest(self._databases)
        first = _begin(target, place, log)
        done = _Progress(first=first, next=first)
        sink = sinks.open_sink(target.to, format_named(target.format), authorization=target.authorization)
        try:
            if log:
                _hand_over(log, sink, place, done, target.limit)
        finally:
            sink.close()
            self._record(target, done, log, actor)
        return _exported(target, done, log)

    def _tiles(self, target: Target, actor: str) -> Exported:
        if target.cursor or target.authorization or target.start is not None or target.limit is not None:
            message = (
                "a folder of tiles is always brought up to the newest checkpoint, and is its own cursor: "
                "give no --cursor, --from, --limit or authorization"
            )
            raise UsageError(message)
        if target.to == STDOUT or "://" in target.to:
            message = "tiles go to a folder: give it with --to"
            raise UsageError(message)
        folder, log = TileFolder(Path(target.to)), batches.newest(self._databases)
        if log is None:
            return _exported(target, _Progress(first=0, next=0), None)
        folder.prepare()
        with cursor.lock(folder.lock):
            added = extend(folder, log)
        gone = sum(last - first + 1 for first, last in added.pruned)
        events = added.next - added.first - gone
        done = _Progress(**vars(added), events=events)
        self._record(target, done, log, actor)
        return _exported(target, done, log)

    def _record(self, target: Target, done: _Progress, log: Snapshot | None, actor: str) -> None:
        """Record an export, unless it had nothing but exports in it: two of them would keep each other up."""
        if log is None or not done.news:
            return
        details = {"format": target.format, "first": done.first, "last": done.next - 1}
        note = Note(
            action=Action.AUDIT_EXPORT,
            actor=actor,
            target_type="log",
            target_id=log.checkpoint.origin,
            details=details,
        )
        self._recorder.record(note)


def _hand_over(log: Snapshot, sink: Sink, place: Cursor | None, done: _Progress, limit: int | None) -> None:
    size = log.checkpoint.size
    for batch in log.batches(done.next, size if limit is None else min(size, done.next + limit)):
        try:
            sink.send(batch)
        except AegisError as error:
            message = f"{error}. Leaf {done.next} is the next, as before: nothing is left out"
            raise type(error)(message) from error
        if place:
            place.save(Checkpoint(origin=log.checkpoint.origin, size=batch.next, root=log.root(batch.next)))
        done.add(batch)


def _begin(target: Target, place: Cursor | None, log: Snapshot | None) -> int:
    """Return the first leaf to export."""
    seen = place.read() if place else None
    if seen is None or place is None:
        return _start(target.start or 0, log)
    if target.start is not None:
        message = (
            f"the cursor {place.path} says that leaf {seen.size} is the next: give no --from, or remove the "
            "cursor to begin anew"
        )
        raise UsageError(message)
    if log is None:
        message = f"the cursor {place.path} is at leaf {seen.size}, but nothing of this log was sealed yet"
        raise Refused(message)
    cursor.check(seen, log, place.path)
    return seen.size


def _start(start: int, log: Snapshot | None) -> int:
    size = log.checkpoint.size if log else 0
    if start > size:
        message = f"--from {start} is ahead of the log, which has {size} sealed leaves"
        raise UsageError(message)
    return start


def _cursor_of(target: Target) -> Cursor | None:
    if target.cursor:
        return Cursor(target.cursor)
    if target.to == STDOUT:
        return None
    if "://" in target.to:
        message = "name a cursor file: without one every export would send the whole log again"
        raise UsageError(message)
    path = Path(target.to)
    if not path.name:
        message = "name a file to export to, or - for stdout"
        raise UsageError(message)
    return Cursor(path.with_name(path.name + ".cursor"))


def _exported(target: Target, done: _Progress, log: Snapshot | None) -> Exported:
    return Exported(
        format=target.format,
        first=done.first,
        next=done.next,
        events=done.events,
        pruned=tuple(done.pruned),
        size=log.checkpoint.size if log else 0,
    )


def _check_number(name: str, value: int | None, *, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        message = f"{name}: expected a whole number of {least} or more"
        raise UsageError(message)
