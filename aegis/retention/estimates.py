"""What a run would take and give back: time, room and log, and what that is known from."""

from dataclasses import dataclass
from typing import Final

from aegis.db.sizes import Size
from aegis.retention.tempo import Tempo

#: What a gentle run frees in a second while nothing was measured yet.
_GUESSED_BYTES: Final = 8 << 20
#: The log of one deleted row (PostgreSQL): its record, and those of the commit's share.
_LOGGED_BYTES: Final = 64
_PAGE: Final = 8192


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """About what it takes; None is not known."""

    #: Of work; windows and budgets make it longer.
    seconds: float | None
    #: What the seconds were taken from, as a sentence's part.
    basis: str
    #: Bytes that become free for new rows inside the table's files.
    frees: int | None
    #: Bytes of write-ahead log, from no page image at all to one of every page that is touched.
    log_least: int | None = None
    log_most: int | None = None


def estimate(rows: int, total: int, *, size: Size | None, tempo: Tempo | None, masks: bool) -> Estimate:
    """Estimate a run.

    Args:
        rows: that would go.
        total: rows of the table.
        size: of the table.
        tempo: of earlier runs on it.
        masks: the rows are masked and stay, so that nothing becomes free.

    """
    freed = size.total * min(rows, total) // total if size is not None and total else None
    seconds, basis = _seconds(rows, freed, tempo)
    least, most = _log(rows, size, rewritten=freed if masks else 0)
    return Estimate(seconds=seconds, basis=basis, frees=0 if masks else freed, log_least=least, log_most=most)


def _seconds(rows: int, freed: int | None, tempo: Tempo | None) -> tuple[float | None, str]:
    if tempo is not None:
        of = "the newest run" if tempo.runs == 1 else f"the newest {tempo.runs} runs"
        return rows / tempo.rows_per_second, f"the pace of {of} on this table"
    if freed is None:
        return None, "no run of this table is on record, and its size is not known"
    return freed / _GUESSED_BYTES, "a guess from the table's size: no run of it is on record"


def _log(rows: int, size: Size | None, *, rewritten: int | None) -> tuple[int | None, int | None]:
    if size is None or not size.pages:
        return None, None
    least = rows * _LOGGED_BYTES + (rewritten or 0)
    return least, least + min(rows, size.pages) * _PAGE
