"""The check of an export alone, without a database and without a network.

What cannot be seen in an export: that newer leaves were withheld, as long as nobody else has seen a
newer checkpoint.
"""

import re
from pathlib import Path
from typing import Final

from aegis.audit.exported import folder
from aegis.audit.exported.lines import Lines
from aegis.audit.exported.parts import Gap, Line, parts
from aegis.audit.exported.report import Report, Trust
from aegis.audit.exports.tilefolder import TileFolder
from aegis.audit.tlog.trust import Policy
from aegis.errors import UsageError

#: `audit.jsonl`, and what a rotation makes of it.
_NAMED: Final = re.compile(r"[^.].*\.jsonl(?!.*\.(?:cursor|lock)$).*")
_NEVER: Final = 1 << 64


def check(path: Path, policy: Policy, *, start: int = 0) -> Report:
    """Check a file of JSON lines, a folder of such files, or a folder of tiles.

    Args:
        path: the file or folder.
        policy: whom to trust.
        start: the first leaf that is expected; an export with `--from` begins there.

    Returns:
        What was found, and what this export alone cannot tell.

    Raises:
        UsageError: there is nothing of that kind.

    """
    if path.is_dir() and ((path / "checkpoint").exists() or (path / "tile").is_dir()):
        report = Report(kind="tiles")
        folder.check(TileFolder(path), Trust(policy, report), report)
        return report
    files = _files(path)
    report = Report(kind="jsonl", first=start, next=start)
    lines = Lines(Trust(policy, report), report, start)
    for file in files:
        for part in parts(file):
            lines.take(part)
    lines.conclude()
    if report.checkpoint is None and report.intact:
        report.unproven.append("there is no checkpoint in it, and so nothing that could be checked")
    return report


def _files(path: Path) -> list[Path]:
    """Return the files of an export in the order of their leaves, whatever a rotation has named them."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        message = f"{path} does not exist"
        raise UsageError(message)
    found = [file for file in path.iterdir() if _NAMED.fullmatch(file.name) and file.is_file()]
    if not found:
        message = f"{path} holds neither tiles (a file `checkpoint`) nor files named like audit.jsonl"
        raise UsageError(message)
    return sorted(found, key=lambda file: (_first_leaf(file), file.name))


def _first_leaf(path: Path) -> int:
    for part in parts(path):
        if isinstance(part, Line):
            return part.leaf
        if isinstance(part, Gap):
            return part.first
    return _NEVER
