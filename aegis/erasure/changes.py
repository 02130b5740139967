"""The statements of an erasure: each changes rows of one table that still are what they were found as.

The whole condition by which a row was found stands in the statement that changes it, so that a row which the
application moved to somebody else meanwhile stays.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from aegis.datamap.closure import CUT
from aegis.datamap.edges import Edge
from aegis.db import dialects
from aegis.db.reflection import renews_itself
from aegis.erasure.acts import Act
from aegis.erasure.people import key_values
from aegis.erasure.portions import in_portions
from aegis.erasure.rows import Group
from aegis.erasure.tracing import Trace
from aegis.errors import UnsafeTable
from aegis.masking.keys import MaskKey
from aegis.masking.masks import Masks, masks_of
from aegis.masking.strategies import strategy_of


@dataclass(frozen=True, kw_only=True)
class Means:
    """What masks need besides the rows."""

    #: Of this erasure alone, destroyed at its end.
    key: MaskKey
    #: For strategies that say why their tokens may be linked for ever.
    lasting: MaskKey
    #: What the people are called, for strategies that look for it in texts.
    identifiers: Sequence[str] = field(default=(), repr=False)


class Changes:
    """Changes rows in one open transaction.

    Args:
        connection: the transaction; the trace may be of an earlier one.
        trace: the people's rows.
        means: what masks need.

    """

    def __init__(self, connection: sa.Connection, trace: Trace, means: Means) -> None:
        self._connection = connection
        self._trace = trace
        self._means = means
        self._edges = trace.coverage.edges

    def apply(self, act: Act, groups: Sequence[Group]) -> Counter[str]:
        """Do an act to some of its groups; return `action:table` → rows."""
        done: Counter[str] = Counter()
        # Two people may have what the ghost can have once: the second one's row is to find the first one's.
        for some in in_portions(groups, 1) if act.action == "reassign" else self._portions(act.table, groups):
            where = self._among(act.table, some)
            if act.action == "delete":
                done[f"delete:{act.table}"] += self._delete(act.table, where)
            elif act.action == "reassign":
                done += self._reassign(act, where)
            else:
                done[f"{act.counted}:{act.table}"] += self._update(act, where)
        return +done

    def break_circle(self, circle: Sequence[Act]) -> Counter[str]:
        """Delete rows that refer to each other in a circle; return `action:table` → rows."""
        name = self._connection.dialect.name
        if name == dialects.POSTGRESQL:
            return self._together(circle)
        if name == dialects.SQLITE:
            # Until the commit, which checks them all.
            self._connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            return sum((self.apply(act, act.groups) for act in circle), Counter())
        return self._unhooked(circle)

    def some_of(self, act: Act, group: Group, most: int) -> Counter[str]:
        """Do an act to some rows of one group: fewer than `most` are the last of it.

        Only where doing it again does nothing more: `repeats` says so.
        """
        table, where = self._table(act.table), self._among(act.table, [group])
        due = self._due(act) if act.action in {"anonymize", "retain"} else None
        key = list(table.primary_key.columns)
        query = sa.select(*key).where(where if due is None else where & due).order_by(*key).limit(most)
        keys = [tuple(row) for row in self._connection.execute(query)]
        if not keys:
            return Counter()
        among = key[0].in_([k for (k,) in keys]) if len(key) == 1 else sa.tuple_(*key).in_(keys)
        if act.action == "delete":
            return Counter({f"delete:{act.table}": self._delete(act.table, where & among)})
        if act.action == "reassign":
            return self._reassign(act, where & among)
        return Counter({f"{act.counted}:{act.table}": self._update(act, where & among)})

    def repeats(self, act: Act) -> bool:
        """Whether an act that is done again changes no row a second time."""
        return act.action not in {"anonymize", "retain"} or self._due(act) is not None

    def waiting(self, act: Act) -> list[Group] | None:
        """Return the groups of which rows have still to be changed; None where nobody can tell by looking.

        Rows that were masked by an earlier slice are found again like any others, and the next one must not
        spend its time on them.
        """
        if act.action not in {"anonymize", "retain"}:
            return list(act.groups)
        if (due := self._due(act)) is None:
            return None
        side, waiting = self._trace.rows.side(act.table), list[Group]()
        for some in side.portions(act.groups):
            found = self._connection.execute(side.groups(side.among([g.values for g in some]) & due))
            # As they are found now: of values that are equal to MariaDB, such as `A` and `a`, it shows any.
            waiting += [replace(some[0], values=tuple(values), rows=int(rows)) for *values, rows in found]
        return waiting

    def left(self, act: Act) -> int:
        """Count the rows that an act has still to change; of masks that nobody can recognise, none."""
        table, due = self._table(act.table), None
        if act.action in {"anonymize", "retain"}:
            due = self._due(act)
            if due is None:
                return 0
        rows = 0
        for some in self._portions(act.table, act.groups):
            where = self._among(act.table, some)
            query = sa.select(sa.func.count()).select_from(table)
            rows += int(self._connection.scalar(query.where(where if due is None else where & due)) or 0)
        return rows

    # -- one statement each -----------------------------------------------------------------

    def _delete(self, label: str, where: sa.ColumnElement[bool]) -> int:
        return self._connection.execute(sa.delete(self._table(label)).where(where)).rowcount

    def _update(self, act: Act, where: sa.ColumnElement[bool]) -> int:
        table = self._table(act.table)
        values = self._masked(act)
        due = self._due(act) if act.action in {"anonymize", "retain"} else None
        for edge in self._cut(act):
            values |= self._emptied(act, edge)
        if not values:
            return 0
        values |= {c.name: c for c in table.c if renews_itself(c) and c.name not in values}
        return self._connection.execute(
            sa.update(table).where(where if due is None else where & due).values(values)
        ).rowcount

    def _reassign(self, act: Act, where: sa.ColumnElement[bool]) -> Counter[str]:
        """Move rows to the ghost; one that it has already, by a unique key, would clash and goes."""
        table, done = self._table(act.table), Counter[str]()
        values = self._masked(act)
        for edge in self._cut(act):
            ghost = self._ghost(edge)
            for unique in self._trace.catalog.tables[act.table].uniques:
                if set(unique.columns) & set(ghost) and not unique.expressions:
                    clash = where & self._has(table, unique.columns, ghost)
                    done[f"delete:{act.table}"] += self._delete(act.table, clash)
            values |= ghost
        moved = self._connection.execute(sa.update(table).where(where).values(values))
        done[f"reassign:{act.table}"] += moved.rowcount
        return done

    def _together(self, circle: Sequence[Act]) -> Counter[str]:
        """Delete in one statement, at whose end PostgreSQL looks at the references."""
        parts = [
            sa.delete(self._table(act.table))
            .where(self._among(act.table, act.groups))
            .returning(sa.literal(1).label("one"))
            .cte(f"part_{place}")
            for place, act in enumerate(circle)
        ]
        counted = sa.select(*[sa.select(sa.func.count()).select_from(p).scalar_subquery() for p in parts])
        rows = self._connection.execute(counted.add_cte(*parts)).one()
        return Counter({f"delete:{act.table}": int(n) for act, n in zip(circle, rows, strict=True)})

    def _unhooked(self, circle: Sequence[Act]) -> Counter[str]:
        """Empty what refers inside of the circle, then delete; MariaDB looks at each row at once."""
        labels = {act.table for act in circle}
        inside = [e for e in self._edges if e.on_delete and {e.child, e.parent} <= labels]
        bare = []
        for act in circle:
            table, side = self._table(act.table), self._trace.rows.side(act.table)
            own = {name for edge in inside if edge.child == act.table for name in edge.columns}
            emptied = sorted(name for name in own if table.c[name].nullable)
            for some in side.portions(act.groups) if emptied else ():
                where = self._among(act.table, some)
                self._connection.execute(
                    sa.update(table).where(where).values(dict.fromkeys(emptied, sa.null()))
                )
            groups = [replace(group, values=side.emptied(group.values, emptied)) for group in act.groups]
            bare.append(replace(act, groups=groups))
        kept = [
            edge for edge in inside if not any(self._table(edge.child).c[n].nullable for n in edge.columns)
        ]
        return sum((self.apply(act, act.groups) for act in _leaves_first(bare, kept)), Counter())

    # -- what is written --------------------------------------------------------------------

    def _masked(self, act: Act) -> dict[str, Any]:
        table, masks = self._table(act.table), self._masks(act)
        values: dict[str, Any] = {}
        for some, key in ((_lasting(masks), self._means.lasting), (_passing(masks), self._means.key)):
            values |= some.values(table, key)
        return values | self._hooked(act)

    def _hooked(self, act: Act) -> dict[str, sa.ColumnElement[Any]]:
        found: dict[str, sa.ColumnElement[Any]] = {}
        if self._trace.coverage.tables[act.table].hooked(act.action):
            for hook in self._trace.anonymizers:
                owner = self._trace.catalog.find(hook.table)
                if owner is not None and owner.label == act.table:
                    found |= hook.expressions(owner.table)
        return found

    def _masks(self, act: Act) -> Masks:
        return masks_of(act.masks).for_subject(self._means.identifiers)

    def _due(self, act: Act) -> sa.ColumnElement[bool] | None:
        """Return the rows that lack a mask; none where nobody can tell by looking."""
        table, masks = self._table(act.table), self._masks(act)
        if any(strategy.recognises(table.c[name]) is None for name, strategy in masks.strategies.items()):
            return None
        hooked = [table.c[name].is_distinct_from(value) for name, value in self._hooked(act).items()]
        return sa.or_(masks.due(table) if masks.strategies else sa.false(), *hooked)

    def _cut(self, act: Act) -> Iterator[Edge]:
        """Yield the edges whose reference to the person ends."""
        if act.action in CUT:
            yield from (self._edges[way] for way in sorted(act.ways))

    def _emptied(self, act: Act, edge: Edge) -> dict[str, Any]:
        table = self._table(act.table)
        column = table.c[edge.columns[0]]
        if edge.path:
            path = "$" + "".join(f'."{name}"' for name in edge.path)
            return {column.name: strategy_of({"json_delete": [path]}).expression(column)}
        if act.action == "decorrelate":
            return {column.name: strategy_of("random_token").expression(column)}
        return {name: sa.null() for name in edge.columns if table.c[name].nullable}

    def _ghost(self, edge: Edge) -> dict[str, sa.ColumnElement[Any]]:
        """Return what refers to the subject's ghost by an edge."""
        who = self._trace.who
        subject, root = who.subject, who.table.table
        key = key_values(who.table, subject, subject.ghost)
        is_ghost = sa.and_(*[root.c[name] == value for name, value in zip(subject.key, key, strict=True)])
        names = list(zip(edge.columns, edge.parent_columns, strict=True))
        row = self._connection.execute(sa.select(*[root.c[p] for _, p in names]).where(is_ghost)).first()
        if row is None:
            message = (
                f"the ghost of subject {subject.name} is not in {who.table.label}; insert the row that "
                "stands for nobody, or name another one. Nothing was changed"
            )
            raise UnsafeTable(message)
        return {name: sa.literal(value) for (name, _), value in zip(names, row, strict=True)}

    @staticmethod
    def _has(
        table: sa.Table, columns: Sequence[str], ghost: Mapping[str, sa.ColumnElement[Any]]
    ) -> sa.ColumnElement[bool]:
        other = table.alias()
        same = [other.c[n] == (ghost[n] if n in ghost else table.c[n]) for n in columns]
        return sa.exists(sa.literal(1)).where(*same).select_from(other)

    def _table(self, label: str) -> sa.Table:
        return self._trace.catalog.tables[label].table

    def _portions(self, label: str, groups: Sequence[Group]) -> Iterator[list[Group]]:
        return self._trace.rows.side(label).portions(groups)

    def _among(self, label: str, groups: Sequence[Group]) -> sa.ColumnElement[bool]:
        return self._trace.rows.side(label).among([group.values for group in groups])


def _leaves_first(acts: Sequence[Act], edges: Sequence[Edge]) -> Iterator[Act]:
    """Yield deletions so that none meets a row that refers to its own.

    Raises:
        UnsafeTable: there is no such order.

    """
    left = list(acts)
    while left:
        labels = {act.table for act in left}
        held = {edge.parent for edge in edges if edge.child in labels}
        free = [act for act in left if act.table not in held]
        if not free:
            message = (
                f"rows of {', '.join(sorted(labels))} refer to each other in a circle by columns that are "
                "NOT NULL, which this database cannot take apart; let one be NULL. Nothing was changed"
            )
            raise UnsafeTable(message)
        left = [act for act in left if act.table in held]
        yield from free


def _lasting(masks: Masks) -> Masks:
    return Masks(strategies={n: s for n, s in masks.strategies.items() if s.needs_key and s.linkable})


def _passing(masks: Masks) -> Masks:
    return Masks(strategies={n: s for n, s in masks.strategies.items() if not (s.needs_key and s.linkable)})
