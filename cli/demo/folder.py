"""The demo's folder: made by a demo, held by one, and removed by the next; anybody else's is left alone."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aegis.embedded.server import lock_within
from aegis.errors import Busy, Refused

NAME: Final = ".aegis-demo"
#: The file that says whose folder it is; whoever has its lock is at work in there.
MARK: Final = "made-by-aegis-demo"
#: How long the processes of a demo that was killed may need to end.
_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that this demo alone works in."""

    path: Path
    #: The lock, for the processes that work in there too.
    lock: int


@contextlib.contextmanager
def held(parent: Path, *, keep: bool) -> Iterator[Folder]:
    """Make the demo's folder, empty, and hold it for the block; remove it afterwards unless it is kept.

    Raises:
        Refused: it cannot be made or emptied, or is not a demo's.
        Busy: another demo works in there.

    """
    path = parent / NAME
    with contextlib.ExitStack() as undo:
        try:
            lock = _hold(path, undo)
            _clear(path)
        except OSError as error:
            message = (
                f"cannot use {path}: {error.strerror}. Run `aegis demo` in a folder that you may write to"
            )
            raise Refused(message) from error
        if not keep:
            undo.callback(_remove, path)
        yield Folder(path=path, lock=lock)


def _hold(path: Path, undo: contextlib.ExitStack) -> int:
    if path.is_symlink() or (path.exists() and not _is_ours(path)):
        message = (
            f"{path} is there, and no demo made it: nothing was touched. Move it away, or run "
            "`aegis demo` in another folder"
        )
        raise Refused(message)
    path.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(path / MARK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    undo.callback(os.close, lock)
    if not lock_within(lock, _SECONDS):
        message = f"another `aegis demo` works in {path}: wait for its end, or run this one in another folder"
        raise Busy(message)
    return lock


def _is_ours(path: Path) -> bool:
    # One that was interrupted at its very beginning or end is empty.
    return path.is_dir() and (not any(path.iterdir()) or (path / MARK).is_file())


def _clear(path: Path) -> None:
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MARK:
            entry.unlink()


def _remove(path: Path) -> None:
    # The mark goes last: what is left of a removal that failed is still known as a demo's.
    _clear(path)
    (path / MARK).unlink()
    path.rmdir()
