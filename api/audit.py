"""The audit log's doors: record, read, relay.

Services that installed the wheel import the same functions from `aegis.auditing`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from aegis import arguments
from aegis.arguments import Long, Parsed, RequestId, door
from aegis.audit import actions, head
from aegis.audit.enclosed import disclose
from aegis.audit.exports.export import Exported, Exporter, Target
from aegis.audit.exports.formats.table import TILES
from aegis.audit.head import Backlog
from aegis.audit.reading import MOST
from aegis.audit.recorder import Note, store
from aegis.audit.relay import Relayed
from aegis.audit.sequencer import Sealed
from aegis.audit.tlog.trust import Policy
from aegis.audit.verification import verify
from aegis.audit.verification.findings import Report, Tell
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import Ledger
from aegis.errors import AegisError, UnknownName, UsageError
from aegis.operations import requests
from aegis.operations.account import Account, account
from aegis.operations.pruning import prune
from aegis.operations.system import current


@door
def record_audit(
    action: str,
    actor: str,
    target_type: str,
    target_id: str | int | UUID,
    details: Mapping[str, Any] | None = None,
    *,
    connection: sa.Connection | None = None,
) -> str:
    """Record an event of your own and return its id.

    The action is kept as `custom:…`; the details are encrypted, the actor and a target that may be
    a person are kept as keyed references.

    Args:
        action: what happened.
        actor: who did it.
        target_type: what kind of thing it was done to.
        target_id: which one.
        details: plain data, at most 32 KiB once encrypted.
        connection: joins this open transaction of the control database and never commits it;
            none: a transaction of its own, committed.

    Raises:
        ValueError: the details are too large or not plain data, or a text is missing.

    """
    note = _note(action, actor, target_type, target_id, details)
    recorder = current().recorder
    if connection is None:
        return recorder.record(note).id
    event = recorder.prepare(note, connection=connection)
    store(connection, event)
    return event.id


@door
def record_audit_once(
    request_id: RequestId,
    action: str,
    actor: str,
    target_type: str,
    target_id: str | int | UUID,
    *,
    sealed: Parsed | None = None,
) -> str:
    """Record an event for a request; the same request again returns the same event's id.

    Args:
        request_id: the producer's id.
        action: what happened; this and the next three are as for `record_audit`.
        actor: who did it.
        target_type: what kind of thing it was done to.
        target_id: which one.
        sealed: its details in an envelope for the workers, as `aegis.audit.enclosed` has it.

    Raises:
        ValueError: an argument is wrong, or the envelope does not open.
        aegis.errors.Conflict: the id was used for another event.

    """
    system = current()
    arguments: dict[str, Any] = {"action": action, "actor": actor}
    arguments |= {"target_type": target_type, "target_id": target_id}
    details = None
    if sealed is not None:
        # An event without details has the digest that it had before there were any.
        arguments["details"] = details = disclose(system.worker_key, request_id, sealed)
    event = system.recorder.prepare(_note(action, actor, target_type, target_id, details))

    def work(connection: sa.Connection) -> str:
        store(connection, event)
        return event.id

    kept = requests.once(
        system, request_id=request_id, operation="audit.record", arguments=arguments, work=work
    )
    return str(kept)


@door
def get_audit_events(
    limit: int = 100, *, after: int | None = None, action: str | None = None, run: str | None = None
) -> list[dict[str, Any]]:
    """Return events newest first, those that have no place in the log yet included.

    Args:
        limit: how many, from 1 to 10,000.
        after: a leaf, or -1: the events that follow it in the log, in its order; a reader that keeps
            the last leaf it has seen misses none and sees none twice.
        action: only this action.
        run: only the events of this run.

    Returns:
        For each event: id, leaf (its place in the log; None before it has one), time, action,
        outcome, actor (None once erased), target_type, target_id, tenant, correlation_id, details.

    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        message = f"limit must be a whole number from 1 to {MOST}"
        raise UsageError(message)
    if after is not None and (isinstance(after, bool) or not isinstance(after, int) or after < -1):
        message = "after must be the number of a leaf, or -1 for all of them"
        raise UsageError(message)
    reader = current().reader
    if after is None:
        return reader.newest(limit, action=action, correlation=run)
    return reader.following(after, limit, action=action, correlation=run)


def relay_journals() -> list[Relayed]:
    """Move what waits in the journals of the data sources into the log.

    A source that cannot be relayed does not stop the others.

    Raises:
        aegis.errors.AegisError: the first fault, after every source was tried.

    """
    system = current()
    moved, faults = [], []
    for name in system.relay.registered():
        try:
            moved.append(system.relay.relay(name))
        except AegisError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    return moved


def seal_audit_log() -> Sealed:
    """Give every waiting event its leaf, sign the new head, and show it to the witnesses.

    Raises:
        aegis.errors.NotPrepared: the log has no key, or its key is not on this machine.
        aegis.errors.Refused: the log is behind what was published or witnessed; nothing was signed.

    """
    return current().sequencer.seal()


def verify_audit_log(
    *,
    since: int = 0,
    witness: str | None = None,
    policy: Policy | None = None,
    columns: bool = True,
    on_progress: Tell | None = None,
) -> Report:
    """Verify the log: every leaf, tile, column, checkpoint and key.

    Args:
        since: compare the entries from this leaf on only; the tree is always computed whole.
        witness: a witness's submission URL, to be asked too.
        policy: whom to trust; default: what was published from this machine.
        columns: compare the columns with the entries, not only their hashes.
        on_progress: is told how far it has come.

    Returns:
        The report; `intact` when nothing was found.

    Raises:
        aegis.errors.NotPrepared: nobody said whom to trust.
        aegis.errors.Unreachable: the database or the witness does not answer.

    """
    system = current()
    trusted = policy or system.published.policy()
    report = verify.verify(
        system.databases,
        trusted,
        published=system.published.checkpoint(),
        since=since,
        columns=columns,
        on_progress=on_progress,
    )
    if witness is None:
        return report
    objections = verify.verify_witnessed(system.databases, trusted, url=witness)
    found = report.found + len(objections)
    return replace(report, findings=(*report.findings, *objections), found=found)


def prune_journals() -> int:
    """Remove journal rows of runs that ended before the backup horizon; return how many.

    Until then they stay, so that a control database restored from a backup gets them again.
    """
    system = current()
    return sum(prune(system, name) for name in system.relay.registered())


def audit_backlog() -> Backlog:
    """Return how far the log is behind what was recorded."""
    with reading(current().databases.control, CONTROL) as connection:
        return head.backlog(connection)


def ledger() -> list[tuple[str, str, str, int]]:
    """Return (policy, table, action, rows gone) as the log has them: exact, all doors together."""
    query = sa.select(Ledger.policy, Ledger.table_name, Ledger.action, Ledger.rows)
    with reading(current().databases.control, CONTROL) as connection:
        return [(row[0], row[1], row[2], int(row[3])) for row in connection.execute(query)]


@door
def account_of(policy: str) -> Account:
    """Return a policy's account: journal, log, reports and ledger, which must agree."""
    return account(current(), policy)


@door
def export_audit_log(
    layout: str,
    to: Long,
    *,
    cursor: Path | None = None,
    start: int | None = None,
    limit: int | None = None,
    authorization: Path | None = None,
    actor: str = "system",
) -> Exported:
    """Export what is new in the log, at least once, and never beyond its newest signed checkpoint.

    Args:
        layout: `jsonl`, `ocsf`, `ecs`, `cef`, `rfc5424` or `tiles`.
        to: a file to append to, a folder for tiles, `-` for stdout, `syslog://host:port`,
            `syslog+tls://host:port`, or a URL of HTTP.
        cursor: where it is kept how far the export has come; default: beside the file.
        start: the first leaf, where no cursor says it.
        limit: at most so many events.
        authorization: a file with the value of the header `Authorization`, for HTTP.
        actor: who does it.

    Raises:
        ValueError: the target, the cursor or a number cannot be meant so.
        aegis.errors.Busy: another export is at work with the same cursor, file or folder.
        aegis.errors.Refused: the cursor is ahead of the log, or of another log.
        aegis.errors.Tampered: the log is not what was sealed, or not what was exported before.
        aegis.errors.Interrupted: the receiver did not take the events; the cursor stays where it was.
        aegis.errors.OperationFailed: it refused them, or they cannot be written; the same holds.

    """
    target = Target(
        format=layout, to=to, cursor=cursor, authorization=authorization, start=start, limit=limit
    )
    system = current()
    return Exporter(system.databases, system.recorder).export(target, actor=actor)


@door
def export_as_configured(name: str, *, limit: int | None = None, actor: str = "system") -> Exported:
    """Export what is new in the log to where `aegis.toml` says, as `[audit.exports.NAME]`.

    Raises:
        ValueError: there is no such export.
        aegis.errors.AegisError: as `export_audit_log`.

    """
    settings = current().settings
    known = settings.audit.exports
    if name not in known:
        message = f"there is no export {name!r}; aegis.toml names: {', '.join(sorted(known)) or 'none'}"
        raise UnknownName(message)
    export, cursor = known[name], known[name].cursor
    if cursor is None and export.format != TILES:
        cursor = settings.home / "audit" / f"{name}.cursor"
        cursor.parent.mkdir(parents=True, exist_ok=True)
    return export_audit_log(
        export.format,
        export.to,
        cursor=cursor,
        limit=limit,
        authorization=export.authorization_file,
        actor=actor,
    )


def _note(
    action: str,
    actor: str,
    target_type: str,
    target_id: str | int | UUID,
    details: Mapping[str, Any] | None,
) -> Note:
    # A target that stands in clear is a name; any other becomes a reference, however long it is.
    most = arguments.MOST if target_type in actions.CLEAR_TARGETS else arguments.LONGEST
    return Note(
        action=arguments.text("action", actions.public_name(action)),
        actor=actor,
        target_type=target_type,
        target_id=arguments.text("target_id", _identified(target_id), most),
        details=details or {},
    )


def _identified(target: object) -> object:
    """Return an id of another kind as text; what is none stays, to be refused."""
    return str(target) if isinstance(target, int | UUID) and not isinstance(target, bool) else target
