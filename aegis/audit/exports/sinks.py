"""Where an export goes: files, stdout, syslog and HTTP. `send` returns once the receiver has everything."""

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from aegis.audit.exports import cursor, receivers
from aegis.audit.exports.batches import Batch
from aegis.audit.exports.formats.table import Format
from aegis.audit.exports.receivers import HttpReceiver, SyslogReceiver
from aegis.durable import sync_folder
from aegis.errors import AegisError, OperationFailed, Tampered, UsageError

STDOUT: Final = "-"
#: How much is read at a time to find the last end of a line.
_BLOCK: Final = 64 * 1024


class Sink(Protocol):
    """A receiver of batches."""

    def send(self, batch: Batch) -> None:
        """Hand a batch over; return once it was acknowledged."""

    def close(self) -> None:
        """Let go of what is held."""


class FileSink:
    """A file that is appended to; acknowledged is what an fsync has returned for."""

    def __init__(self, path: Path, layout: Format) -> None:
        self._path = path
        self._format = layout
        self._handle = _open(path)
        try:
            cursor.hold(self._handle, path)
            self._cut()
        except AegisError:
            self.close()
            raise

    def send(self, batch: Batch) -> None:
        """Append a batch.

        Raises:
            OperationFailed: it cannot be written; what was written of it is there twice later.

        """
        left = memoryview(b"".join(line + b"\n" for line in self._format.lines(batch)))
        try:
            while left:
                left = left[os.write(self._handle, left) :]
            os.fsync(self._handle)
        except OSError as error:
            message = f"{self._path} cannot be written: {error.strerror}"
            raise OperationFailed(message) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _cut(self) -> None:
        """Cut a last line without its end off: a crash left it there."""
        size = os.fstat(self._handle).st_size
        end = _last_line(self._handle, size)
        if end == size:
            return
        start = os.pread(self._handle, max(map(len, self._format.begins)), end)
        if not any(begin.startswith(start[: len(begin)]) for begin in self._format.begins):
            message = (
                f"{self._path} ends with a line that is none of an export as {self._format.name}: nothing "
                "was changed. Name another file"
            )
            raise Tampered(message)
        os.ftruncate(self._handle, end)


class StreamSink:
    """Standard output; acknowledged is what was flushed."""

    def __init__(self, stream: BinaryIO, layout: Format) -> None:
        self._stream = stream
        self._format = layout

    def send(self, batch: Batch) -> None:
        """Write a batch."""
        self._stream.write(b"".join(line + b"\n" for line in self._format.lines(batch)))
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream open: it is the process's."""


def open_sink(to: str, layout: Format, *, authorization: Path | None = None) -> Sink:
    """Open what a target names.

    Args:
        to: a file, `-` for stdout, `syslog://host:port`, `syslog+tls://host:port`, or a URL of HTTP.
        layout: what is sent.
        authorization: a file with the value of the header `Authorization`.

    Raises:
        UsageError: it cannot be opened, or does not take this format.
        Busy: another export appends to the same file.
        Tampered: the file is none of such an export.

    """
    scheme = to.partition("://")[0] if "://" in to else ""
    if authorization and scheme not in receivers.HTTP_SCHEMES:
        message = "only a receiver over HTTP is given an authorization"
        raise UsageError(message)
    if to == STDOUT:
        return StreamSink(sys.stdout.buffer, layout)
    if not scheme:
        return FileSink(Path(to), layout)
    if scheme in receivers.HTTP_SCHEMES:
        return HttpReceiver(to, layout, authorization)
    if scheme in receivers.SYSLOG_PORTS:
        return SyslogReceiver(to, layout)
    known = ", ".join(f"{name}://" for name in (*receivers.SYSLOG_PORTS, *receivers.HTTP_SCHEMES))
    message = f"an export does not go to {scheme}://: expected a file, - for stdout, {known}"
    raise UsageError(message)


def _open(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o644)
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        if regular:
            sync_folder(path.parent)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise UsageError(message) from None
    if not regular:
        os.close(handle)
        message = f"{path} is no plain file; name one, or - for stdout"
        raise UsageError(message)
    return handle


def _last_line(handle: int, size: int) -> int:
    """Return the place behind the last end of a line."""
    place = size
    while place:
        start = max(0, place - _BLOCK)
        found = os.pread(handle, place - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        place = start
    return 0
