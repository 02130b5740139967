"""Copies elsewhere of an erasure's people: which there are, what was asked of them, what is confirmed.

`aegis.toml` names them for each data source; an erasure takes them over when it is done. From then on the
rows are the truth: a copy that is named later has nothing to forget, and one whose name is gone from the
file still has.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.events import stamp
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import ErasureCopy, Request
from aegis.erasure.persons import Kept
from aegis.operations.marks import Box
from aegis.operations.system import System

#: Of a copy that nobody is asked about: a person sees to it.
MANUAL: Final = "manual"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A copy that an erasure ends with."""

    name: str
    kind: str
    due_at: dt.datetime
    #: The people's keys; None: nobody is asked.
    sealed: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of the people of a request, and what is known of it now; instants are ISO 8601, UTC."""

    request: str
    datasource: str
    name: str
    #: task, webhook or manual
    kind: str
    due_at: str
    #: When it was last asked to forget them.
    asked_at: str | None
    #: Why asking failed, if it did since.
    reason: str | None
    confirmed_at: str | None
    #: Whoever confirmed it, as the log refers to them.
    confirmed_by: str | None
    #: The event of the confirmation.
    event: str | None
    #: Whether it is past its date and not confirmed.
    overdue: bool


def planned(
    system: System, request_id: str, datasource: str, kept: Kept, moment: dt.datetime
) -> list[Planned]:
    """Return the copies that a data source has now.

    Args:
        system: this process's Aegis.
        request_id: the request that ends.
        datasource: the source's own name.
        kept: who has to be forgotten.
        moment: when the erasure ends.

    """
    return [
        Planned(
            name=name,
            kind=copy.kind,
            due_at=moment + dt.timedelta(days=copy.due_days),
            sealed=None
            if copy.kind == MANUAL
            else box(system, request_id, name).seal({"keys": [list(key) for key in kept.keys]}),
        )
        for name, copy in sorted(system.settings.source(datasource).copies.items())
    ]


def keep(connection: sa.Connection, request_id: str, copies: Sequence[Planned], moment: dt.datetime) -> None:
    """Write an erasure's copies in the transaction of its end; they are asked from then on."""
    rows = [
        {
            "request_id": request_id,
            **vars(copy),
            "told": 0,
            "tries": 0,
            "not_before": None if copy.sealed is None else moment,
        }
        for copy in copies
    ]
    if rows:
        connection.execute(sa.insert(ErasureCopy), rows)


def of_request(system: System, request_id: str) -> tuple[Copy, ...]:
    """Return the copies of a request by name; none before it is done."""
    return _read(system, ErasureCopy.request_id == request_id)


def overdue(system: System) -> tuple[Copy, ...]:
    """Return the copies that nobody has confirmed in time, the longest overdue first."""
    return tuple(copy for copy in _read(system, ErasureCopy.confirmed_at.is_(None)) if copy.overdue)


def counted_overdue(system: System) -> Mapping[str, int]:
    """Return how many copies of each name nobody has confirmed in time."""
    with reading(system.databases.control, CONTROL) as connection:
        late = ErasureCopy.confirmed_at.is_(None) & (ErasureCopy.due_at < dialects.now(connection))
        query = sa.select(ErasureCopy.name, sa.func.count()).where(late).group_by(ErasureCopy.name)
        return {row[0]: row[1] for row in connection.execute(query.order_by(ErasureCopy.name))}


def box(system: System, request_id: str, name: str) -> Box:
    """Return what seals the keys of a copy's people."""
    about = f"{request_id}/{name}"
    return Box(system.worker_key.subkey("erasure-copy"), about, f"people of copy {about}")


def _read(system: System, which: sa.ColumnElement[bool]) -> tuple[Copy, ...]:
    table = table_of(ErasureCopy)
    columns = [column for column in table.c if column.name != "sealed"]
    query = sa.select(*columns, Request.datasource).join(Request).where(which)
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        rows = connection.execute(query.order_by(table.c.due_at, table.c.name)).mappings().all()
    return tuple(_copy(dict(row), moment) for row in rows)


def _copy(row: Mapping[str, Any], moment: dt.datetime) -> Copy:
    return Copy(
        request=row["request_id"],
        datasource=row["datasource"],
        name=row["name"],
        kind=row["kind"],
        due_at=stamp(row["due_at"]),
        asked_at=row["asked_at"] and stamp(row["asked_at"]),
        reason=row["reason"],
        confirmed_at=row["confirmed_at"] and stamp(row["confirmed_at"]),
        confirmed_by=row["confirmed_by"],
        event=row["event"],
        overdue=row["confirmed_at"] is None and row["due_at"] < moment,
    )
