"""Wrapping anew: whatever keys are left of older epochs come under the newest epoch's key.

Portion by portion, each in one short transaction, and each row only if it is still what was read:
a key that was destroyed meanwhile stays destroyed, and two that do this at once do no harm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.keyring.keystore import LABEL, REFERENCES, Kind, framed
from aegis.audit.keyring.wrapping import Wrapping, Wrappings
from aegis.db import keystore
from aegis.db.columns import table_of
from aegis.db.engines import reading, writing
from aegis.db.keystore import Epoch, WrappedKey
from aegis.errors import AegisError

#: Keys in one transaction, and in memory.
PORTION: Final = 200

Rows = Sequence[sa.Row[Any]]


@dataclass(frozen=True, kw_only=True)
class Rewrapped:
    """What one pass did."""

    #: Keys that were wrapped anew.
    keys: int = 0
    #: Keys that do not open, and what the first of them says.
    stuck: int = 0
    fault: AegisError | None = None


def rewrap(engine: sa.Engine, wrappings: Wrappings) -> Rewrapped:
    """Wrap everything of older epochs under the newest one; what does not open stays as it is.

    Raises:
        NotPrepared: the newest epoch's key is not here.

    """
    newest = sa.select(sa.func.max(Epoch.number)).scalar_subquery()
    older = WrappedKey.epoch < newest
    done = Rewrapped()
    with reading(engine, LABEL) as connection:
        if not connection.scalar(sa.select(sa.exists().where(older))):
            return done
    for kind, rows in portions(engine, older):
        moved, faults = _move(engine, wrappings, kind, rows)
        done = Rewrapped(
            keys=done.keys + moved,
            stuck=done.stuck + len(faults),
            fault=done.fault or next(iter(faults), None),
        )
    return done


def portions(engine: sa.Engine, which: sa.ColumnElement[bool]) -> Iterator[tuple[Kind, Rows]]:
    """Yield wrapped keys by their primary key, a portion at a time; no transaction stays open meanwhile."""
    query = sa.select(table_of(WrappedKey), Epoch.key_id).join(Epoch, WrappedKey.epoch == Epoch.number)
    query = query.where(which).order_by(WrappedKey.lookup).limit(PORTION)
    for kind in REFERENCES:
        after, full = "", True
        while full:
            here = query.where(WrappedKey.kind == kind, WrappedKey.lookup > after)
            with reading(engine, LABEL) as connection:
                rows = connection.execute(here).all()
            if rows:
                yield kind, rows
                after = rows[-1].lookup
            full = len(rows) == PORTION


def _move(engine: sa.Engine, wrappings: Wrappings, kind: Kind, rows: Rows) -> tuple[int, list[AegisError]]:
    """Wrap a portion anew; return how many keys were, and why others were not."""
    opened, faults = [], []
    for row in rows:
        about = framed((kind, row.lookup))
        try:
            key, reference = wrappings.load(row.epoch, row.key_id).unwrap(row.wrapped, about)
        except AegisError as fault:
            faults.append(fault)
        else:
            # An older version kept the reference as it is, and not with the key.
            opened.append((row, key, reference or row.reference, about))
    if not opened:
        return 0, faults
    with writing(engine, LABEL) as connection:
        target = _target(connection, wrappings)
        values = [
            {
                "of_lookup": row.lookup,
                "of_epoch": row.epoch,
                "of_reference": row.reference,
                "epoch": target.number,
                "reference": target.blind(reference),
                "wrapped": target.wrap(key, reference, about),
            }
            for row, key, reference, about in opened
        ]
        moved = connection.execute(_update(kind), values).rowcount
    return moved, faults


def _target(connection: sa.Connection, wrappings: Wrappings) -> Wrapping:
    row = keystore.newest(connection)
    return wrappings.load(row.number, row.key_id)


def _update(kind: Kind) -> sa.Update:
    """Return the update of one key that is still what was read: neither destroyed nor made again since."""
    columns = table_of(WrappedKey).c
    return (
        sa.update(table_of(WrappedKey))
        .where(
            columns.kind == kind,
            columns.lookup == sa.bindparam("of_lookup"),
            columns.epoch == sa.bindparam("of_epoch"),
            columns.reference == sa.bindparam("of_reference"),
        )
        .values({name: sa.bindparam(name) for name in ("epoch", "reference", "wrapped")})
    )
