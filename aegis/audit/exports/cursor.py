"""How far an export has come: a file with the text of an unsigned checkpoint.

Origin, the next leaf, and the root of the leaves before it: what a receiver has acknowledged. So an
export that goes on sees whether the log is still the one that it left.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from aegis.audit.actions import Action
from aegis.audit.exports.batches import Snapshot
from aegis.audit.tlog import notes
from aegis.audit.tlog.notes import Checkpoint, Note
from aegis.durable import sync_folder
from aegis.errors import Busy, OperationFailed, Refused, Tampered, UsageError

#: Longer files are no cursors.
_LONGEST: Final = 4096


class Cursor:
    """The cursor file of one export."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other exports off this cursor.

        Raises:
            Busy: another one is at work with it.
            UsageError: its folder cannot be written to.

        """
        # Beside it, because the cursor itself is replaced.
        with lock(self.path.with_name(self.path.name + ".lock")):
            yield

    def read(self) -> Checkpoint | None:
        """Return what was acknowledged, or None before the first time.

        Raises:
            UsageError: the file is no cursor.

        """
        try:
            with self.path.open(encoding="utf-8") as file:
                text = file.read(_LONGEST)
            return notes.checkpoint(Note(text=text, signatures=()))
        except FileNotFoundError:
            return None
        except (Tampered, UnicodeDecodeError):
            message = (
                f"{self.path} is no cursor of an export: expected the name of a log, the next leaf and a "
                "root, a line each. Name another file; or remove this one, and say with --from where to begin"
            )
            raise UsageError(message) from None
        except OSError as error:
            message = f"the cursor {self.path} cannot be read: {error.strerror}"
            raise UsageError(message) from None

    def save(self, seen: Checkpoint) -> None:
        """Replace the cursor; once this returns, a crash does not take it back.

        Raises:
            OperationFailed: it cannot be written; the old one stands.

        """
        replace(self.path, seen.text.encode())


def replace(path: Path, data: bytes) -> None:
    """Write a file whole, so that a reader finds the old one or the new one, also after a crash.

    Raises:
        OperationFailed: it cannot be written.

    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise OperationFailed(message) from None


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock file; it stays, empty.

    Raises:
        Busy: somebody else holds it.
        UsageError: its folder is missing or cannot be written to.

    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        message = f"{path} cannot be made: {error.strerror}"
        raise UsageError(message) from None
    try:
        hold(handle, path)
        yield
    finally:
        os.close(handle)


def hold(handle: int, path: Path) -> None:
    """Lock an open file until it is closed.

    Raises:
        Busy: somebody else holds it.

    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"another export is at work with {path}; let it end, or give this one files of its own"
        raise Busy(message) from None


def check(seen: Checkpoint, log: Snapshot, path: Path) -> None:
    """See that a log grew out of what was exported of it.

    Raises:
        Refused: it is another log, or has fewer leaves.
        Tampered: it was rewritten.

    """
    now = log.checkpoint
    if seen.origin != now.origin:
        message = (
            f"{path} is of the log {seen.origin}; this one is {now.origin}, which went on after a restore "
            "with leaves of its own. Begin a new export, with a target and a cursor of its own: the "
            f"new log's first leaf is that of its event {Action.AUDIT_RECOVER} (--from)"
        )
        raise Refused(message)
    if seen.size > now.size:
        message = (
            f"{path} is at leaf {seen.size}, ahead of the log, which has {now.size} sealed leaves: its "
            "database was restored from a backup, or is another one. Nothing was exported. Run "
            "`aegis audit verify`"
        )
        raise Refused(message)
    if log.root(seen.size) != seen.root:
        message = (
            f"the first {seen.size} leaves of the log are not those that were exported, as {path} has it: "
            "the log was rewritten. Nothing was exported. Run `aegis audit verify`"
        )
        raise Tampered(message)
