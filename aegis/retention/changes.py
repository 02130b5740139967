"""What happens to the rows of a portion: each action changes them and counts what it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from aegis.db.reflection import renews_itself
from aegis.errors import InvalidPolicy, UnsafeTable
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

    def __init__(self, target: Target, masks: Masks) -> None:
        self._table = target.layout.table
        self._values = masks.values(self._table)
        if renews_itself(target.clock_column):
            # Masking a row must not make it young.
            self._values[target.clock_column.name] = target.clock_column

    def apply(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> Changed:
        """Mask them; `where` leaves out the rows that are masked already."""
        return Changed(
            rows=connection.execute(sa.update(self._table).where(where).values(self._values)).rowcount
        )


def action_for(target: Target, name: str) -> RowAction:
    """Return the action of that name on a policy's table; nothing is ever taken for a deletion.

    Raises:
        InvalidPolicy: there is no such action, or it lacks its masks.

    """
    if name == Delete.name:
        return Delete(target)
    if name == Anonymize.name and target.masks:
        return Anonymize(target, target.masks)
    message = f"{target.layout.label}: there is nothing to do for the action {name!r} as the policy stands"
    raise InvalidPolicy(message)
