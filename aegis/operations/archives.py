"""Archives: rows that were written to files before they went. One for a run, under the run's id.

Which files belong to an archive is decided by the journal alone: a part counts when the event of
its batch was committed with the rows. Everything else in its folder is left over from a batch that
was rolled back, and is removed when the archive is completed.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.db import dialects, transactions
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.journal import Journal
from aegis.db.tables import Archive
from aegis.errors import Refused, Tampered, UnknownName
from aegis.operations import manifests
from aegis.operations.parts import FORMAT, Parts, file_of
from aegis.operations.stores import open_store
from aegis.operations.system import System


def begin(system: System, run: Mapping[str, Any], keep_days: int) -> Parts:
    """Open the archive of a run for its batches; made with a key of its own when there is none.

    Raises:
        Refused: it has expired; the run cannot go on.

    """
    with writing(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        values = {
            "id": run["id"],
            "run": run["id"],
            "policy": run["policy"],
            "datasource": run["datasource"],
            "table_name": run["table_name"],
            "tenant": run["tenant"],
            "location": system.settings.archives_url,
            "state": "open",
            "created_at": moment,
            "expires_at": moment + dt.timedelta(days=keep_days),
        }
        if not dialects.insert_missing(connection, table_of(Archive), values):
            again = sa.update(Archive).where(Archive.id == run["id"], Archive.state != "expired")
            connection.execute(again.values(state="open", expires_at=values["expires_at"]))
    row = find(system, run["id"])
    if row["state"] == "expired":
        message = f"the archive of run {run['id']} has expired: cancel the run, and start a new one"
        raise Refused(message)
    key = system.keystore.key("archive", run["id"])
    return Parts(open_store(row["location"]), run["id"], key)


def complete(system: System, run: Mapping[str, Any], keep_days: int, *, over: bool = False) -> None:
    """Write the manifest of a run's archive and remove what belongs to no committed batch.

    Does nothing when the run keeps no archive.

    Args:
        system: this process's Aegis.
        run: its row.
        keep_days: how long the archive is kept from now on.
        over: nobody works on the run any more, so that an archive without a row can be forgotten.

    Raises:
        Tampered: a part is missing, or the archive holds other rows than went.

    """
    row = _row(system, run["id"])
    if row is None or row["state"] == "expired":
        return
    place = open_store(row["location"])
    # Listed before the batches in flight are waited for: each of these files is decided by now.
    listed = place.sizes(row["id"])
    parts, gone = _committed(system, run)
    if not parts:
        if over:
            place.destroy(row["id"])
            _forget(system, row["id"])
        return
    _refuse_incomplete(run["id"], parts, gone, place.sizes(row["id"]))
    kept = {manifests.NAME, *(file_of(part["digest"]) for part in parts)}
    for name in sorted(listed.keys() - kept):
        place.remove(row["id"], name)
    if row["state"] != "complete" or row["parts"] != len(parts):
        _close(system, row, parts, keep_days)


def find(system: System, archive: str) -> dict[str, Any]:
    """Return an archive's row.

    Raises:
        UnknownName: there is none of that id.

    """
    row = _row(system, archive)
    if row is None:
        message = f"there is no archive {archive}; `aegis retention archives` lists those there are"
        raise UnknownName(message)
    return row


def listing(system: System, *, states: Sequence[str] = (), run: str | None = None) -> list[dict[str, Any]]:
    """Return archives, the newest first; only that of one run, where it is named."""
    query = sa.select(table_of(Archive)).order_by(Archive.created_at.desc(), Archive.id.desc())
    if states:
        query = query.where(Archive.state.in_(states))
    if run is not None:
        query = query.where(Archive.run == run)
    with reading(system.databases.control, CONTROL) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def opened(system: System, row: Mapping[str, Any]) -> tuple[dict[str, Any], Parts]:
    """Return a complete archive's manifest and its parts.

    Raises:
        Refused: it has expired, or is not complete.
        Tampered: the manifest is not the one that was written.

    """
    key = None if row["state"] == "expired" else system.keystore.kept("archive", row["id"])
    if key is None:
        message = f"archive {row['id']} has expired: its key is destroyed, and nobody can read it"
        raise Refused(message)
    if row["state"] != "complete":
        message = f"archive {row['id']} is {row['state']}: its run has not ended"
        raise Refused(message)
    place = open_store(row["location"])
    data = place.get(row["id"], manifests.NAME)
    mac_key = system.worker_key.subkey("archive-mac")
    body = manifests.read(data, mac_key, archive=row["id"], digest=row["manifest_digest"])
    return body, Parts(place, row["id"], key)


def destroy(system: System, row: Mapping[str, Any]) -> None:
    """Destroy an archive: its key, then its files, then say so; repeating it does no harm."""
    system.keystore.destroy("archive", row["id"])
    open_store(row["location"]).destroy(row["id"])
    event = system.recorder.prepare(_note(Action.ARCHIVE_EXPIRE, row))
    with writing(system.databases.control, CONTROL) as connection:
        update = sa.update(Archive).where(Archive.id == row["id"], Archive.state != "expired")
        values = {"state": "expired", "expired_at": dialects.now(connection)}
        if connection.execute(update.values(**values)).rowcount:
            store(connection, event)


def _row(system: System, archive: str) -> dict[str, Any] | None:
    query = sa.select(table_of(Archive)).where(Archive.id == archive)
    with reading(system.databases.control, CONTROL) as connection:
        row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _committed(system: System, run: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return the parts of a run's committed batches, and the rows that the run changed."""
    limits = system.settings.retention
    engine = system.databases.source(run["datasource"])
    journal = Journal(engine.dialect.name)
    with writing(engine, f"data source {run['datasource']}") as connection:
        transactions.begin_work(
            connection,
            lock_ms=limits.lock_timeout_milliseconds,
            statement_ms=limits.statement_timeout_milliseconds,
        )
        journal.await_batches(connection, run["id"])
        told = [events.details_of(entry) for entry in journal.entries(connection, run["id"])]
        gone = journal.rows_gone(connection, run["id"])
    parts = [_part(details) for details in told if "part" in details]
    return sorted(parts, key=lambda part: (part["shard"], part["number"])), gone


def _part(details: Mapping[str, Any]) -> dict[str, Any]:
    part = {name: details[name] for name in ("shard", "number", "action")}
    return part | {
        "digest": details["part"],
        "rows": details["part_rows"],
        "bytes": details["part_bytes"],
        "policy_digest": details["digest"],
    }


def _refuse_incomplete(
    run: str, parts: Sequence[Mapping[str, Any]], gone: int, sizes: Mapping[str, int]
) -> None:
    for part in parts:
        found = sizes.get(file_of(part["digest"]))
        if found != part["bytes"]:
            message = (
                f"archive {run}: part {part['number']} of shard {part['shard']} should have "
                f"{part['bytes']} bytes, found {found}"
            )
            raise Tampered(message)
    archived = sum(part["rows"] for part in parts)
    if archived != gone:
        message = f"archive {run} holds {archived} rows, but the run changed {gone}"
        raise Tampered(message)


def _close(
    system: System, row: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], keep_days: int
) -> None:
    key = system.keystore.key("archive", row["id"])
    place = open_store(row["location"])
    head, _ = Parts(place, row["id"], key).read(parts[0]["digest"])
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
    expires = moment + dt.timedelta(days=keep_days)
    body = {
        "format": FORMAT,
        "archive": row["id"],
        "run": row["run"],
        "policy": row["policy"],
        "datasource": row["datasource"],
        "table": row["table_name"],
        "tenant": row["tenant"],
        "key": key.reference(row["id"]),
        "shape": head["shape"],
        "created_at": events.stamp(row["created_at"]),
        "completed_at": events.stamp(moment),
        "expires_at": events.stamp(expires),
        "rows": sum(part["rows"] for part in parts),
        "parts": list(parts),
    }
    data = manifests.write(body, system.worker_key.subkey("archive-mac"))
    place.put(row["id"], manifests.NAME, data)
    values: dict[str, Any] = {
        "state": "complete",
        "rows": body["rows"],
        "parts": len(parts),
        "manifest_digest": manifests.digest_of(data),
        "completed_at": moment,
        "expires_at": expires,
    }
    event = system.recorder.prepare(_note(Action.ARCHIVE_COMPLETE, {**row, **values}))
    with writing(system.databases.control, CONTROL) as connection:
        connection.execute(sa.update(Archive).where(Archive.id == row["id"]).values(**values))
        store(connection, event)


def _forget(system: System, archive: str) -> None:
    system.keystore.destroy("archive", archive)
    with writing(system.databases.control, CONTROL) as connection:
        connection.execute(sa.delete(Archive).where(Archive.id == archive))


def _note(action: Action, row: Mapping[str, Any]) -> Note:
    return Note(
        action=action,
        actor="system",
        target_type="archive",
        target_id=row["id"],
        details={
            "table": row["table_name"],
            "datasource": row["datasource"],
            "policy": row["policy"],
            "rows": row["rows"],
            "parts": row["parts"],
            "manifest": row["manifest_digest"],
        },
        tenant=row["tenant"],
        correlation_id=row["run"],
    )
