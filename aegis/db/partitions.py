"""Partitions of a table on PostgreSQL: which lie wholly in the past, and their way out and back in.

Bounds are never read from names, nor compared here: the planner prunes a partition exactly when its
bounds leave no room for a row that a condition asks for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa

from aegis.db import tending
from aegis.db.engines import translated

#: How long a lock is waited for that the application waits behind.
BRIEF_MS: Final = 50
#: How long a concurrent detach waits for transactions that know the partition; nobody waits behind it.
PATIENT_MS: Final = 10_000
#: Milliseconds that a look at all rows of a partition may take.
LOOK_MS: Final = 240_000
#: The high half of the advisory lock on a partition.
_LOCK_SPACE: Final = 0x61656769
Standing = Literal["attached", "pending", "alone", "gone"]


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A partition that holds rows itself."""

    oid: int
    schema: str
    name: str
    parent_schema: str
    parent_name: str
    #: The clause with which it is attached.
    bound: str
    #: Its CHECK constraints by name.
    checks: tuple[str, ...]
    #: Whether the role owns it and its parent.
    owned: bool
    #: Whether its parent has a default partition, beside which nothing is detached concurrently.
    beside_default: bool
    #: What a DROP would leave undone that a DELETE does, or what hinders it.
    hindered: str | None
    #: Whether its owner's function does what the role may not do itself.
    tended: bool = False

    @property
    def label(self) -> str:
        """The partition as people write it."""
        return f"{self.schema}.{self.name}"


def leaves(connection: sa.Connection, table: sa.Table) -> list[Leaf]:
    """Return the partitions of a partitioned table, at any depth, that hold rows and are no defaults."""
    qualified = connection.dialect.identifier_preparer.format_table(table)
    rows = connection.execute(sa.text(_LEAVES), {"qualified": qualified}).mappings().all()
    tended = any(not row["owned"] for row in rows) and tending.tends(connection, qualified)
    return [
        Leaf(**{**row, "checks": tuple(row["checks"]), "tended": tended and not row["owned"]}) for row in rows
    ]


_LEAVES: Final = """
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name,
       m.nspname AS parent_schema, p.relname AS parent_name,
       pg_get_expr(c.relpartbound, c.oid) AS bound,
       ARRAY(SELECT k.conname::text FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
         AS checks,
       pg_has_role(c.relowner, 'USAGE') AND pg_has_role(p.relowner, 'USAGE') AS owned,
       EXISTS (SELECT FROM pg_partitioned_table d WHERE d.partrelid = p.oid AND d.partdefid <> 0)
         AS beside_default,
       CASE
         WHEN EXISTS (SELECT FROM pg_trigger t JOIN pg_partition_ancestors(c.oid) a ON a.relid = t.tgrelid
                      WHERE NOT t.tgisinternal AND (t.tgtype & 8) <> 0)
           THEN 'a trigger fires for each row that is deleted'
         WHEN EXISTS (SELECT FROM pg_rewrite r JOIN pg_partition_ancestors(c.oid) a ON a.relid = r.ev_class
                      WHERE r.ev_type = '4')
           THEN 'a rule stands on its deletion'
         WHEN EXISTS (SELECT FROM pg_publication u WHERE u.pubdelete AND (u.puballtables
                      OR EXISTS (SELECT FROM pg_publication_rel r JOIN pg_partition_ancestors(c.oid) a
                                 ON a.relid = r.prrelid WHERE r.prpubid = u.oid)
                      OR EXISTS (SELECT FROM pg_publication_namespace s
                                 WHERE s.pnpubid = u.oid AND s.pnnspid IN (c.relnamespace, p.relnamespace))))
           THEN 'it is published, and subscribers would keep the rows of a table that is dropped'
         WHEN EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass
                      AND d.refobjid = c.oid AND d.deptype = 'n')
           THEN 'a view or another object depends on it'
       END AS hindered
FROM pg_partition_tree(to_regclass(:qualified)) AS tree
JOIN pg_class c ON c.oid = tree.relid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_inherits i ON i.inhrelid = c.oid
JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace m ON m.oid = p.relnamespace
WHERE tree.isleaf AND tree.level > 0 AND c.relkind = 'r'
  AND NOT EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a
                  JOIN pg_partitioned_table d ON d.partdefid = a.relid)
ORDER BY pg_get_expr(c.relpartbound, c.oid), c.relname
"""


def holding(
    connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]
) -> set[tuple[str, str]]:
    """Return the partitions, by schema and name, whose bounds leave room for rows that fit."""
    query: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(table).where(which)
    compiled = query.compile(dialect=connection.dialect)
    asked = f"EXPLAIN (FORMAT JSON, VERBOSE, COSTS OFF) {compiled}"
    return set(_scanned(connection.exec_driver_sql(asked, dict(compiled.params)).scalar()))


def _scanned(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if "Relation Name" in node:
            yield node["Schema"], node["Relation Name"]
        for value in node.values():
            yield from _scanned(value)
    elif isinstance(node, list):
        for value in node:
            yield from _scanned(value)


def users(connection: sa.Connection, leaf: Leaf) -> set[str]:
    """Return the transactions that hold a lock on the parent: a concurrent detach would wait for each."""
    query = sa.text(
        "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND relation = to_regclass(:parent) AND pid IS DISTINCT FROM pg_backend_pid()"
    )
    return set(
        connection.scalars(query, {"parent": _quoted(connection, leaf.parent_schema, leaf.parent_name)})
    )


def standing(connection: sa.Connection, leaf: Leaf) -> Standing:
    """Return how a partition stands to its parent now; another table of its name is not the partition."""
    query = sa.text(
        "SELECT i.inhdetachpending AS pending FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid "
        "WHERE c.oid = CAST(:oid AS bigint)::oid AND c.oid = to_regclass(:name)"
    )
    row = connection.execute(query, {"oid": leaf.oid, "name": _own(connection, leaf)}).first()
    if row is None:
        return "gone"
    if row.pending is None:
        return "alone"
    return "pending" if row.pending else "attached"


def rows_of(leaf: Leaf, table: sa.Table) -> sa.TableClause:
    """Return the partition as a table of its own, with the columns of its parent."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name, column.type) for column in table.c]
    return sa.table(leaf.name, *columns, schema=leaf.schema)


def wait(connection: sa.Connection, *, lock_ms: int, statement_ms: int | None = None) -> None:
    """Limit how long the open transaction waits for a lock, and how long a statement of it takes."""
    limits = {"lock_timeout": f"{lock_ms}ms"}
    if statement_ms is not None:
        limits["statement_timeout"] = f"{statement_ms}ms"
    settings = [sa.func.set_config(name, limit, sa.true()) for name, limit in limits.items()]
    connection.execute(sa.select(*settings))


def lock(connection: sa.Connection, leaf: Leaf) -> None:
    """Let nobody else read or write a detached partition until the transaction ends."""
    if leaf.tended:
        return tending.tend(connection, "lock", _own(connection, leaf))
    connection.exec_driver_sql(f"LOCK TABLE ONLY {_own(connection, leaf)} IN ACCESS EXCLUSIVE MODE")
    return None


def open_rows(connection: sa.Connection, leaf: Leaf) -> None:
    """Let the role read a partition by itself, which it may read as a part of its table only."""
    if leaf.tended:
        tending.tend(connection, "open", _own(connection, leaf))


def lock_standing(connection: sa.Connection, leaf: Leaf) -> None:
    """Wait until no other worker detaches the partition, and let none begin before the commit."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_key(leaf.oid))))


def detach(connection: sa.Connection, leaf: Leaf) -> None:
    """Detach a partition in the open transaction; no row can enter it that does not belong there."""
    if leaf.tended:
        return tending.tend(connection, "detach", _own(connection, leaf))
    query = sa.text("SELECT pg_get_partition_constraintdef(CAST(:oid AS bigint)::oid)")
    belongs = connection.scalar(query, {"oid": leaf.oid})
    own = _own(connection, leaf)
    connection.exec_driver_sql(f"ALTER TABLE {_parent(connection, leaf)} DETACH PARTITION {own}")
    # Every row in it fits already: nothing is read for this.
    connection.exec_driver_sql(
        f"ALTER TABLE {own} ADD CONSTRAINT {tending.CHECK} CHECK ({belongs}) NOT VALID"
    )
    return None


def detach_concurrently(
    engine: sa.Engine,
    source: str,
    leaf: Leaf,
    *,
    permitted: Callable[[sa.Connection], None],
    finalize: bool = False,
) -> None:
    """Detach a partition while the application goes on with the others.

    Args:
        engine: the data source.
        source: what to call it in an error.
        leaf: the partition.
        permitted: asked when nobody else can detach the partition any more; raises to keep it.
        finalize: bring to its end what was interrupted.

    Raises:
        Passing: transactions that know the partition did not end in time; it may be half detached.

    """
    how = "FINALIZE" if finalize else "CONCURRENTLY"
    outside = engine.execution_options(isolation_level="AUTOCOMMIT")
    with translated(source), outside.connect() as connection:
        try:
            connection.exec_driver_sql(f"SET lock_timeout = {PATIENT_MS}")
            connection.execute(sa.select(sa.func.pg_advisory_lock(_key(leaf.oid))))
            permitted(connection)
            named = f"{_parent(connection, leaf)} DETACH PARTITION {_own(connection, leaf)}"
            connection.exec_driver_sql(f"ALTER TABLE {named} {how}")
        finally:
            # Not back into the pool with its limit and its lock.
            connection.invalidate()


def prove(connection: sa.Connection, leaf: Leaf) -> None:
    """Show that every row of a detached partition belongs there, so that attaching it reads none."""
    if leaf.tended:
        return tending.tend(connection, "prove", _own(connection, leaf))
    own = _own(connection, leaf)
    for name in _added(connection, leaf):
        connection.exec_driver_sql(f"ALTER TABLE {own} VALIDATE CONSTRAINT {_quote(connection, name)}")
    return None


def attach(connection: sa.Connection, leaf: Leaf) -> None:
    """Attach a partition as it was, in the open transaction."""
    if leaf.tended:
        return tending.tend(connection, "attach", _own(connection, leaf))
    own = _own(connection, leaf)
    connection.exec_driver_sql(f"ALTER TABLE {_parent(connection, leaf)} ATTACH PARTITION {own} {leaf.bound}")
    for name in _added(connection, leaf):
        connection.exec_driver_sql(f"ALTER TABLE {own} DROP CONSTRAINT {_quote(connection, name)}")
    return None


def drop(connection: sa.Connection, leaf: Leaf) -> None:
    """Drop a detached partition; what depends on it is an error."""
    if leaf.tended:
        return tending.tend(connection, "drop", _own(connection, leaf))
    connection.exec_driver_sql(f"DROP TABLE {_own(connection, leaf)} RESTRICT")
    return None


def _added(connection: sa.Connection, leaf: Leaf) -> list[str]:
    """Return the CHECK constraints that came with the detach, ours or the server's."""
    query = sa.text(
        "SELECT conname::text FROM pg_constraint WHERE contype = 'c' AND conrelid = CAST(:oid AS bigint)::oid"
    )
    return [name for name in connection.scalars(query, {"oid": leaf.oid}) if name not in leaf.checks]


def _key(oid: int) -> sa.ColumnElement[int]:
    return sa.cast(sa.literal(_LOCK_SPACE << 32 | oid), sa.BigInteger)


def _own(connection: sa.Connection, leaf: Leaf) -> str:
    return _quoted(connection, leaf.schema, leaf.name)


def _parent(connection: sa.Connection, leaf: Leaf) -> str:
    return _quoted(connection, leaf.parent_schema, leaf.parent_name)


def _quoted(connection: sa.Connection, schema: str, name: str) -> str:
    return f"{_quote(connection, schema)}.{_quote(connection, name)}"


def _quote(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
