"""Where outputs of releases lie that are too large for a row: sealed, each under a name of its own.

A file is there completely or not at all. Which files count is decided by the rows that name them;
one that no row names is left over from a process that died, and goes when it is old enough. Files
of others may lie beside ours: those that do not end in `.aegis` are never touched.
"""

import datetime as dt
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

from aegis.errors import UsageError
from aegis.operations.stores import Store, open_store
from aegis.operations.system import System

#: Sealed bytes up to here stand in their row; what is larger is a file.
INLINE_BYTES: Final = 64 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_ENDING: Final = ".aegis"
#: What a killed process leaves of a file that it had not finished.
_UNFINISHED: Final = re.compile(r"\.[0-9a-f]{16}\.new")


def keep(system: System, name: str, sealed: bytes) -> None:
    """Write an output, durable on return; one of the same name is replaced.

    Raises:
        Unreachable: the place cannot be written.

    """
    _place(system).put("", _file(name), sealed)


def fetch(system: System, name: str) -> bytes:
    """Return an output as it was written; whoever fetches it compares its digest.

    Raises:
        Tampered: it is not there any more.
        Unreachable: the place cannot be read.

    """
    return fetch_from(_place(system), name)


def fetch_from(place: Store, name: str) -> bytes:
    """Return an output, for whoever reaches the place without a system of its own."""
    return place.get("", _file(name))


def drop(system: System, name: str) -> None:
    """Remove an output; it may be gone already."""
    _place(system).remove("", _file(name))


def drop_orphans(system: System, before: dt.datetime, named: Callable[[], AbstractSet[str]]) -> int:
    """Remove what no row names and what was written before a moment.

    Args:
        system: this process's Aegis.
        before: what is younger may belong to a row that is not committed yet.
        named: returns the names that rows name; asked only when there are candidates.

    Returns:
        How many files went.

    """
    place = _place(system)
    old = [file for file, moment in place.written("").items() if moment < before]
    ours = [file for file in old if file.endswith(_ENDING) or _UNFINISHED.fullmatch(file)]
    kept = named() if ours else frozenset()
    orphans = [file for file in ours if file.removesuffix(_ENDING) not in kept]
    for file in orphans:
        place.remove("", file)
    return len(orphans)


def _place(system: System) -> Store:
    return open_store(system.settings.outputs_url)


def _file(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = "the name of an output is 1 to 200 letters, digits, dots, dashes and underscores"
        raise UsageError(message)
    return name + _ENDING
