"""What happens to the rows of a portion: each action changes them and counts what it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import sqlalchemy as sa

from aegis.db.reflection import renews_itself
from aegis.errors import InvalidPolicy, UnsafeTable
from aegis.masking.keys import MaskKey
from aegis.masking.masks import Masks
from aegis.retention.children import take_children
from aegis.retention.target import Target


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What one statement of a batch did."""

    #: Rows of the policy's own table.
    rows: int
    #: Rows of other tables that went along: `action:table` → rows.
    along: Mapping[str, int] = field(default_factory=dict)
    #: What the batch's event says besides: names and counts only.
    about: Mapping[str, Any] = field(default_factory=dict)


class RowAction(Protocol):
    """An action on rows; `name` is what journal, log and ledger call it."""

    name: str

    def apply(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> Changed:
        """Do it to the rows of the policy's table that fit `where`, in the open transaction."""


class Delete:
    """The rows go."""

    name = "delete"

    def __init__(self, target: Target) -> None:
        self._table = target.layout.table
        self._target = target

    def apply(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> Changed:
        """Delete them; the whole predicate stands in the statement that deletes.

        Raises:
            UnsafeTable: rows went along with parents that the database kept.

        """
        along = take_children(connection, self._target, where)
        rows = connection.execute(sa.delete(self._table).where(where)).rowcount
        if along and not rows:
            message = (
                f"rows of {', '.join(sorted(along))} would have gone without a row of "
                f"{self._target.layout.label}: a trigger or rule keeps that. Nothing was changed"
            )
            raise UnsafeTable(message)
        return Changed(rows=rows, along=along)


class Anonymize:
    """Masks are written over the rows, which stay."""

    name = "anonymize"

    def __init__(self, target: Target, masks: Masks, key: MaskKey | None) -> None:
        self._table = target.layout.table
        self._clock = target.clock_column
        self._masks = masks
        self._key = key

    def apply(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> Changed:
        """Mask them; `where` leaves out the rows that are masked already."""
        changed = connection.execute(sa.update(self._table).where(where).values(self._values))
        return Changed(rows=changed.rowcount)

    @cached_property
    def _values(self) -> dict[str, sa.ColumnElement[Any]]:
        values = self._masks.values(self._table, self._key)
        # Masking a row must not make it young.
        return values | ({self._clock.name: self._clock} if renews_itself(self._clock) else {})


def action_for(target: Target, name: str, key: MaskKey | None = None) -> RowAction:
    """Return the action of that name on a policy's table; nothing is ever taken for a deletion.

    Args:
        target: the policy's table.
        name: of the action.
        key: for masks that need one; nothing but a count works without it.

    Raises:
        InvalidPolicy: there is no such action, or it lacks its masks.

    """
    if name == Delete.name:
        return Delete(target)
    if name == Anonymize.name and target.masks:
        return Anonymize(target, target.masks, key)
    message = f"{target.layout.label}: there is nothing to do for the action {name!r} as the policy stands"
    raise InvalidPolicy(message)
