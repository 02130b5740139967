"""Legal holds over an erasure: one that covers a single row of the person's stops all of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from aegis.erasure.acts import Act
from aegis.erasure.persons import KeptPerson
from aegis.erasure.portions import in_portions
from aegis.erasure.rows import Group
from aegis.erasure.tracing import Trace
from aegis.errors import Refused
from aegis.operations.rowkeys import held_rows
from aegis.operations.runs import ERASURE
from aegis.operations.scopes import Scope

#: Holds on single rows that one statement looks for.
_TOGETHER: Final = 200


def refuse_held(
    connection: sa.Connection,
    trace: Trace,
    acts: Iterable[Act],
    people: Sequence[KeptPerson],
    scopes: Sequence[Scope],
) -> None:
    """Refuse an erasure of which a legal hold covers a row that would change.

    A hold on a span of time covers all rows of its tables: an erasure knows no clock. One on a tenant covers
    people of whom the data map does not say whose customers they are.

    Args:
        connection: the data source.
        trace: where the people's rows are.
        acts: what would change.
        people: whose rows they are.
        scopes: the holds in force.

    Raises:
        Refused: names the hold.

    """
    binding = [s for s in scopes if not s.stops and s.policy is None and _of_tenant(s, people)]
    if not binding:
        return
    groups: dict[str, dict[tuple[Any, ...], Group]] = defaultdict(dict)
    for act in acts:
        groups[act.table].update({group.values: group for group in act.groups})
    for table, found in groups.items():
        if found and (scope := _holder(connection, trace, table, list(found.values()), binding)) is not None:
            what = scope.table or scope.tenant or "everything"
            message = (
                f"legal hold {scope.id} ({what}) covers rows of this erasure; nothing more is changed. "
                "When it is released, `aegis erasure resume` makes a new plan"
            )
            raise Refused(message)


def _of_tenant(scope: Scope, people: Sequence[KeptPerson]) -> bool:
    return scope.tenant is None or any(person.tenant in {None, scope.tenant} for person in people)


def _holder(
    connection: sa.Connection, trace: Trace, table: str, groups: Sequence[Group], scopes: Sequence[Scope]
) -> Scope | None:
    """Return a hold that covers a row of these groups of a table."""
    touching = [scope for scope in scopes if scope.touches(policy=ERASURE, table=table)]
    whole = next((scope for scope in touching if scope.key is None), None)
    if whole is not None:
        return whole
    for some in in_portions(touching, _TOGETHER):
        if _cover(connection, trace, table, groups, some):
            # Only now is it asked which of them it is.
            return next((one for one in some if _cover(connection, trace, table, groups, [one])), some[0])
    return None


def _cover(
    connection: sa.Connection, trace: Trace, label: str, groups: Sequence[Group], scopes: Sequence[Scope]
) -> bool:
    """Whether a row that one of these holds names is among those of the groups."""
    table, side = trace.catalog.tables[label].table, trace.rows.side(label)
    held = held_rows(table, [scope.key or {} for scope in scopes])
    return any(
        connection.scalar(sa.select(sa.exists(sa.literal(1)).where(held, among).select_from(table)))
        for some in side.portions(groups)
        for among in [side.among([group.values for group in some])]
    )
