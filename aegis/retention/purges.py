"""The last stage of a run: its rows are gone from the tables, and then from the files too."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.events import Event, stamp
from aegis.audit.recorder import Note, store
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.tables import Purge
from aegis.db.upkeep import checkpoint, vacuum
from aegis.errors import AegisError, Refused, UnknownName
from aegis.operations import stops
from aegis.operations.system import System
from aegis.retention.purging import Verdict, baseline, judge, remains

#: Seconds between two looks of beat at the same purge.
LOOK_SECONDS: Final = 600
OPEN: Final = ("waiting", "overdue")


def labels_of(table: str, along: Mapping[str, int]) -> list[str]:
    """Return the tables that a run changed: its own, and those whose rows went along (`action:table`)."""
    return list(dict.fromkeys([table, *(name.partition(":")[2] for name in along)]))


def begun(
    system: System, run: Mapping[str, Any], *, rows: int, base: Mapping[str, Any]
) -> list[Callable[[sa.Connection], None]]:
    """Return what writes the purge of a run that is done, in the transaction of its end."""
    if not rows:
        return []

    def write(connection: sa.Connection) -> None:
        moment = dialects.now(connection)
        values = {
            "run": run["id"],
            "policy": run["policy"],
            "datasource": run["datasource"],
            "table_name": run["table_name"],
            "state": "waiting",
            "changed_at": moment,
            "due_at": moment + dt.timedelta(days=system.settings.retention.purge_days),
            "report": {"rows": rows, "baseline": base},
        }
        dialects.insert_missing(connection, table_of(Purge), values)

    return [write]


def recent(system: System, limit: int) -> list[Mapping[str, Any]]:
    """Return the purges that are open, then those that are done, the newest first."""
    order = (Purge.state == "done", Purge.changed_at.desc())
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.execute(sa.select(table_of(Purge)).order_by(*order).limit(limit)).mappings()
        return [dict(row) for row in rows]


def overdue(system: System) -> Mapping[str, int]:
    """Return how many purges of each policy are overdue."""
    query = sa.select(Purge.policy, sa.func.count()).where(Purge.state == "overdue").group_by(Purge.policy)
    with reading(system.databases.control, CONTROL) as connection:
        return {row[0]: row[1] for row in connection.execute(query.order_by(Purge.policy))}


def fetch(system: System, run: str) -> Mapping[str, Any]:
    """Return the purge of a run.

    Raises:
        UnknownName: the run changed no row, is not done, or is not there.

    """
    with reading(system.databases.control, CONTROL) as connection:
        row = connection.execute(sa.select(table_of(Purge)).where(Purge.run == run)).mappings().first()
    if row is None:
        message = f"run {run} has nothing to purge: it is not there, not done, or changed no row"
        raise UnknownName(message)
    return dict(row)


def look(system: System, purge: Mapping[str, Any], *, own: bool = False) -> Mapping[str, Any]:
    """Look at the files of a purge's tables, keep what was found, and return the purge as it is now."""
    if purge["state"] == "done":
        return purge
    engine = system.databases.source(purge["datasource"])
    label, known, mode = f"data source {purge['datasource']}", purge["report"]["baseline"], ""
    if engine.dialect.name == dialects.SQLITE:
        emptied, mode = checkpoint(engine, label)
        why = None if emptied else "somebody reads the database, so its write-ahead log cannot be emptied"
        verdict = Verdict(how="overwritten" if emptied else None, why=why, baseline=known)
    else:
        with reading(engine, label) as connection:
            verdict = judge(connection, known, own=own)
    return _keep(system, purge, verdict, engine.dialect.name, mode)


def look_after(system: System) -> int:
    """Look at every open purge that was not looked at lately; return how many are done by that.

    A source that is away stops no other; its purges say so and become overdue.
    """
    done = 0
    for purge in _unseen(system):
        try:
            done += look(system, purge)["state"] == "done"
        except AegisError as error:
            _keep(
                system, purge, Verdict(how=None, why=str(error), baseline=purge["report"]["baseline"]), "", ""
            )
    return done


def execute(system: System, run: str) -> Mapping[str, Any]:
    """Do what the database offers without a rewrite: VACUUM on PostgreSQL, a checkpoint on SQLite.

    Raises:
        Refused: the server skipped the vacuum, the database offers a rewrite only, or everything in the
            source is stopped.

    """
    purge = fetch(system, run)
    stops.refuse_if_stopped(system, purge["datasource"])
    engine = system.databases.source(purge["datasource"])
    if purge["state"] == "done" or engine.dialect.name == dialects.SQLITE:
        return look(system, purge)
    labels = list(purge["report"]["baseline"]["parts"])
    if engine.dialect.name != dialects.POSTGRESQL:
        message = (
            f"only a rebuild takes the bytes out of {', '.join(labels)}, and it can hurt the application: "
            f"run OPTIMIZE TABLE {', '.join(labels)} as the owner, in a window"
        )
        raise Refused(message)
    warned = [
        text for label in labels for text in vacuum(engine, label, f"data source {purge['datasource']}")
    ]
    if warned:
        named = ", ".join(labels)
        message = (
            f"the server did not vacuum {named} ({'; '.join(warned)}): run VACUUM as the owner or, from "
            f"PostgreSQL 17 on, as the owner: GRANT MAINTAIN ON {named} (`aegis grants` prints it)"
        )
        raise Refused(message)
    return look(system, purge, own=True)


def _unseen(system: System) -> list[Mapping[str, Any]]:
    with reading(system.databases.control, CONTROL) as connection:
        lately = dialects.now(connection) - dt.timedelta(seconds=LOOK_SECONDS)
        old = sa.or_(Purge.looked_at.is_(None), Purge.looked_at < lately)
        query = sa.select(table_of(Purge)).where(Purge.state.in_(OPEN), old).order_by(Purge.changed_at)
        return [dict(row) for row in connection.execute(query.limit(100)).mappings()]


def _keep(
    system: System, purge: Mapping[str, Any], verdict: Verdict, dialect: str, mode: str
) -> Mapping[str, Any]:
    report = {**purge["report"], "why": verdict.why, "baseline": verdict.baseline}
    event = None
    if verdict.how:
        days = system.settings.source(purge["datasource"]).backup_horizon_days
        report |= {"how": verdict.how}
        report["remains"] = remains(
            dialect, how=verdict.how, mode=mode, horizon_days=days, changed_at=purge["changed_at"]
        )
        event = _event(system, purge, verdict.how)
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        values: dict[str, Any] = {"report": report, "looked_at": moment}
        values["state"] = "overdue" if moment > purge["due_at"] else "waiting"
        if event:
            values |= {"state": "done", "done_at": moment}
        mine = sa.update(Purge).where(Purge.run == purge["run"], Purge.state.in_(OPEN))
        if connection.execute(mine.values(**values)).rowcount and event:
            store(connection, event)
    return {**purge, **values}


def _event(system: System, purge: Mapping[str, Any], how: str) -> Event:
    details = {
        "run": purge["run"],
        "table": purge["table_name"],
        "datasource": purge["datasource"],
        "rows": purge["report"]["rows"],
        "how": how,
        "changed_at": stamp(purge["changed_at"]),
    }
    note = Note(
        action=Action.RETENTION_PURGE,
        actor="system",
        target_type="policy",
        target_id=purge["policy"],
        details=details,
        correlation_id=purge["run"],
    )
    return system.recorder.prepare(note)


def baseline_of(connection: sa.Connection, table: str, along: Mapping[str, int]) -> dict[str, Any]:
    """Return what the purge of a run begins with."""
    return baseline(connection, labels_of(table, along))
