"""The receipt of an erasure: what was done, what stays and until when, what was searched and what was not.

Its SHA-256 stands in the event that ends the erasure, and that event in the log: whoever has the log's public
key can check a receipt years later, with Aegis or without.
"""

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events, proving
from aegis.audit.events import canonical
from aegis.db.upkeep import read_upkeep
from aegis.erasure import copies
from aegis.erasure.copies import Copy, Planned
from aegis.erasure.persons import Kept
from aegis.erasure.residual.hits import Hit, Verdict
from aegis.erasure.steps import steps_of
from aegis.erasure.tracing import Trace
from aegis.erasure.verifying import Searched
from aegis.errors import Refused
from aegis.masking.masks import masks_of
from aegis.operations.system import System

FORMAT: Final = 1


def write(
    system: System,
    request: Mapping[str, Any],
    run: Mapping[str, Any],
    *,
    kept: Kept,
    trace: Trace,
    changed: Mapping[str, int],
    searched: Searched,
    elsewhere: Sequence[Mapping[str, Any]],
    erasers: Sequence[Mapping[str, Any]],
    planned: Sequence[Planned],
    rest: Mapping[str, Any] | None,
    moment: dt.datetime,
) -> str:
    """Return a receipt as canonical JSON; it names no person.

    Args:
        system: this process's Aegis.
        request: its row.
        run: its run's row.
        kept: who it was about.
        trace: what is left of their rows.
        changed: `action:table` → rows.
        searched: what the search for their identifiers found.
        elsewhere: the receipts of the same people in other data sources.
        erasers: what code of the application reported of what is not in the database.
        planned: the copies that have to forget them too.
        rest: the request that will finish what is retained; none: nothing is, or nobody can tell when.
        moment: when the erasure ends.

    """
    days = system.settings.source(run["datasource"]).backup_horizon_days
    keys_gone = system.epochs.destroyed_by(moment)
    body = {
        "format": FORMAT,
        "request": request["request_id"],
        "run": run["id"],
        "subject": request["arguments"]["subject"],
        "persons": len(kept.people),
        "members": dict(Counter(person.subject for person in kept.members)),
        "datasource": run["datasource"],
        "received_at": events.stamp(request["received_at"]),
        "due_at": request["due_at"] and events.stamp(request["due_at"]),
        "ended_at": events.stamp(moment),
        "plan": request["plan_digest"],
        "changed": dict(changed),
        "outcome": _outcome(trace),
        "retained": _retained(trace),
        "rest": None if rest is None else dict(rest),
        "shared": _shared(trace),
        "searched": {
            "identifiers": sorted({kind for person in kept.everybody for kind in person.identifiers}),
            "left": _told(searched.hits, Verdict.RETAINED),
            "to_look_at": _told(searched.hits, Verdict.POSSIBLE),
            "not_searched": list(searched.not_searched),
        },
        "elsewhere": list(elsewhere),
        "erasers": list(erasers),
        "purged": _purged(trace.connection, changed),
        "copies": [
            {"name": copy.name, "kind": copy.kind, "due": events.stamp(copy.due_at)} for copy in planned
        ],
        "gone_from_backups": None if days is None else (moment + dt.timedelta(days=days)).date().isoformat(),
        "keys_gone": None if keys_gone is None else keys_gone.date().isoformat(),
    }
    return canonical(body).decode()


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A receipt with what proves it."""

    #: Canonical JSON: the exact text whose SHA-256 the event has.
    receipt: str
    sha256: str
    #: The event that ends the erasure.
    event: str
    #: C2SP tlog-proof: that the event stands in the log.
    proof: str
    #: The copies elsewhere as they are known now; who confirmed one is named while the log knows the name.
    copies: tuple[Copy, ...]

    @property
    def body(self) -> dict[str, Any]:
        """What the receipt says."""
        found: dict[str, Any] = json.loads(self.receipt)
        return found


def of_run(system: System, run: Mapping[str, Any]) -> Receipt:
    """Return the receipt of an erasure that is complete.

    Raises:
        Refused: it is not.
        Busy: its event has no place in the log yet.

    """
    report = run["report"] or {}
    if "text" not in report:
        message = f"erasure {run['id']} is {run['state']}; there is a receipt when it is done"
        raise Refused(message)
    proof = str(proving.prove(system.databases, report["event"]))
    return Receipt(
        receipt=report["text"],
        sha256=digest(report["text"]),
        event=report["event"],
        proof=proof,
        copies=_known_now(system, run["request_id"]),
    )


def digest(receipt: str) -> str:
    """Return what the event says of a receipt."""
    return hashlib.sha256(receipt.encode()).hexdigest()


def _known_now(system: System, request_id: str) -> tuple[Copy, ...]:
    found = copies.of_request(system, request_id)
    names = system.reader.actors({copy.confirmed_by for copy in found if copy.confirmed_by})
    return tuple(
        replace(copy, confirmed_by=names.get(str(copy.confirmed_by)) or copy.confirmed_by) for copy in found
    )


def _purged(connection: sa.Connection, changed: Mapping[str, int]) -> dict[str, str | None]:
    """Return of each changed table when all of it was last vacuumed; None: never, or nobody can tell."""
    found: dict[str, str | None] = {}
    for table in sorted({name.partition(":")[2] for name in changed}):
        moments = [part.vacuumed_at for part in read_upkeep(connection, table)]
        known = [moment for moment in moments if moment is not None]
        found[table] = events.stamp(min(known)) if known and len(known) == len(moments) else None
    return found


def _outcome(trace: Trace) -> str:
    """Return whether somebody could still link what was written, with a key or with other knowledge."""
    kinds = {masks_of(act.masks).outcome for act in trace.each_act if act.masks}
    return "pseudonymous" if "pseudonymous" in kinds else "anonymous"


def _retained(trace: Trace) -> list[dict[str, Any]]:
    return [
        {"table": step.table, "rows": step.rows, "reason": step.reason, "until": step.until}
        for step in steps_of(trace.coverage, trace.rows)
        if step.action == "retain" and step.rows
    ]


def _shared(trace: Trace) -> list[dict[str, Any]]:
    return [
        {"table": step.table, "rows": rows, "what": what}
        for step in steps_of(trace.coverage, trace.rows)
        for what, rows in sorted(step.shared.items())
    ]


def _told(hits: Iterable[Hit], verdict: Verdict) -> list[dict[str, Any]]:
    names = ("table", "column", "identifier", "rows")
    return [{name: getattr(hit, name) for name in names} for hit in hits if hit.verdict is verdict]
