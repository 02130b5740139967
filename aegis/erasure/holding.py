"""Legal holds over an erasure: one that covers a single row of the person's stops all of it."""

from collections.abc import Sequence

import sqlalchemy as sa

from aegis.erasure.acts import Act
from aegis.erasure.persons import KeptPerson
from aegis.erasure.tracing import Trace
from aegis.errors import Refused
from aegis.operations.rowkeys import held_rows
from aegis.operations.runs import ERASURE
from aegis.operations.scopes import Scope


def refuse_held(
    connection: sa.Connection, trace: Trace, people: Sequence[KeptPerson], scopes: Sequence[Scope]
) -> None:
    """Refuse an erasure of which a legal hold covers a row that would change.

    A hold on a span of time covers all rows of its tables: an erasure knows no clock. One on a tenant covers
    people of whom the data map does not say whose customers they are.

    Raises:
        Refused: names the hold.

    """
    found = [act for act in trace.each_act if act.groups]
    for scope in scopes:
        if scope.stops or scope.policy is not None or not _of_tenant(scope, people):
            continue
        touched = [act for act in found if scope.touches(policy=ERASURE, table=act.table)]
        if not touched or (
            scope.key is not None and not any(_has(connection, trace, a, scope) for a in touched)
        ):
            continue
        what = scope.table or scope.tenant or "everything"
        message = (
            f"legal hold {scope.id} ({what}) covers rows of this erasure; nothing more is changed. "
            "When it is released, `aegis erasure resume` makes a new plan"
        )
        raise Refused(message)


def _of_tenant(scope: Scope, people: Sequence[KeptPerson]) -> bool:
    return scope.tenant is None or any(person.tenant in {None, scope.tenant} for person in people)


def _has(connection: sa.Connection, trace: Trace, act: Act, scope: Scope) -> bool:
    """Whether the one row that is held is among those of an act."""
    table, side = trace.catalog.tables[act.table].table, trace.rows.side(act.table)
    held = held_rows(table, [scope.key or {}])
    return any(
        connection.scalar(sa.select(sa.exists(sa.literal(1)).where(held, among).select_from(table)))
        for some in side.portions(act.groups)
        for among in [side.among([group.values for group in some])]
    )
