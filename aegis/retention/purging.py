"""Deciding whether the bytes of deleted rows are gone from a table's files, and what stays readable."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.upkeep import Upkeep, horizon, read_upkeep, unseen

#: What stays readable in the files of each kind of database after the rows' own pages are clean.
REMAINS: Final[Mapping[str, tuple[str, ...]]] = {
    dialects.POSTGRESQL: (
        "old bytes in free space of table and indexes, until it is used again, or VACUUM FULL or pg_repack",
        "the WAL of that time, until the server recycles it, and for as long as an archive keeps it",
    ),
    "mariadb": (
        "pages keep old bytes until the table is rebuilt: OPTIMIZE TABLE, as its owner, in a window",
        "the binary log, for as long as the server keeps it",
    ),
    dialects.SQLITE: (),
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a look at the files found."""

    #: vacuumed, rewritten, overwritten; None: not gone yet.
    how: str | None
    #: Why it is not gone yet, and what helps.
    why: str | None = None
    #: What the next look compares with.
    baseline: Mapping[str, Any]


def baseline(connection: sa.Connection, labels: Sequence[str]) -> dict[str, Any]:
    """Return what a later look compares with: the tables' files as they are when the rows have gone."""
    since = horizon(connection)
    clear = since is not None and bool(unseen(connection, since))
    return {
        "since": since,
        "clear": clear,
        "parts": {label: _parts(read_upkeep(connection, label)) for label in labels},
    }


def judge(connection: sa.Connection, known: Mapping[str, Any], *, own: bool = False) -> Verdict:
    """Compare the tables' files with what they were when the rows had gone.

    Args:
        connection: the data source; not SQLite.
        known: from `baseline`, or from the last verdict.
        own: a vacuum of ours ran from beginning to end since then, so that none is in doubt.

    """
    hows, reasons = [], []
    for label, parts in known["parts"].items():
        # A partition that is new since then never held the rows.
        for part in [part for part in read_upkeep(connection, label) if part.name in parts]:
            was = parts[part.name]
            how, why = _judge_part(connection, part, was, clear=known["clear"], own=own)
            hows.append(how)
            reasons += [why] if why else []
    if all(hows):
        how = "vacuumed" if "vacuumed" in hows else "rewritten" if hows else "dropped"
        return Verdict(how=how, baseline=known)
    return Verdict(how=None, why="; ".join(dict.fromkeys(reasons)), baseline=_renewed(connection, known))


def _judge_part(
    connection: sa.Connection, part: Upkeep, was: Mapping[str, Any], *, clear: bool, own: bool
) -> tuple[str | None, str | None]:
    if connection.dialect.name != dialects.POSTGRESQL:
        if part.files != was["files"]:
            return "rewritten", None
        return None, f"{part.name} was not rebuilt since; OPTIMIZE TABLE {part.name} does it, in a window"
    if part.files != was["files"] and clear:
        return "rewritten", None
    vacuumed = part.vacuums >= was["first" if own else "target"]
    if vacuumed and (clear or part.dead == 0):
        return "vacuumed", None
    if vacuumed:
        return None, (
            f"{part.name} was vacuumed, but {part.dead:,} dead rows are left: an old transaction or a "
            "replication slot may still see them (a role in pg_read_all_stats can tell)"
        )
    return None, f"{part.name} was not vacuumed since"


def _parts(found: Sequence[Upkeep]) -> dict[str, dict[str, Any]]:
    """Return the files, and the number of vacuums at which one has surely begun after now."""
    return {
        part.name: {
            "files": part.files,
            "first": part.vacuums + 1,
            "target": part.vacuums + (2 if part.running else 1),
        }
        for part in found
    }


def _renewed(connection: sa.Connection, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """Begin anew once no transaction sees the rows any more: every vacuum from now on takes them."""
    since = known["since"]
    if known["clear"] or since is None or not unseen(connection, since):
        return known
    parts = {label: _parts(read_upkeep(connection, label)) for label in known["parts"]}
    return {"since": since, "clear": True, "parts": parts}


def remains(
    dialect: str, *, how: str, mode: str, horizon_days: int | None, changed_at: dt.datetime
) -> list[str]:
    """Return what stays readable outside the rows' own place, and until when."""
    kind = "mariadb" if dialect in dialects.MARIADB else dialect
    found = list(REMAINS[kind])
    if how in {"rewritten", "dropped"}:
        found = found[1:]
    if mode == "persist":
        found.append("the rollback journal beside the database file (journal_mode is PERSIST)")
    if horizon_days is None:
        found.append(
            "backups, for as long as you keep them; `backup_horizon_days` of the data source says how long"
        )
    else:
        until = changed_at + dt.timedelta(days=horizon_days)
        found.append(f"backups from before, until {until:%Y-%m-%d} (backup_horizon_days = {horizon_days})")
    return found
