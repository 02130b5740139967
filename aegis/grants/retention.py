"""What a retention policy needs: on its own table, and on those that refer to it."""

from collections.abc import Iterator

import sqlalchemy as sa

from aegis.db import rights, tending
from aegis.db.references import Reference
from aegis.db.reflection import Layout, renews_itself
from aegis.db.rights import Right
from aegis.db.rowlines import gives_what_it_deletes
from aegis.db.tables import DataRetentionPolicy
from aegis.grants.needs import PLACE, Needs, columns_in
from aegis.masking.keys import MaskKey
from aegis.masking.masks import Masks
from aegis.operations.system import System
from aegis.retention import archiving, inspecting, policies
from aegis.retention.anonymizing import deletes
from aegis.retention.bounds import why_in_batches
from aegis.retention.branches import Branch, every
from aegis.retention.target import Target

#: Only the columns that an expression reads are asked for, so the key does not matter.
_NO_KEY = MaskKey(id="0", secret=bytes(32))


def of_policy(needs: Needs, system: System, policy: DataRetentionPolicy) -> None:
    """Collect what a policy needs, as its table stands now.

    Raises:
        UsageError: the table, or a column that the policy names, is not there any more.
        UnsafeTable: Aegis does not touch the table.

    """
    # A text clock's form does not matter here, so its column is not read.
    target = inspecting.read_policy_target(needs.connection, policy, system, forms={})
    name, goes = f"policy {policy.name}", deletes(policies.definition_of(policy))
    _reading(needs, target, name)
    if target.masks is not None:
        _masking(needs, target, target.masks, name)
    if goes:
        _deleting(needs, target, name)
    if archiving.keep_days(policy) is not None:
        _archiving(needs, target, name, goes=goes)
    _vacuuming(needs, target, name)
    if goes and target.layout.partitioned and why_in_batches(target, policy, None) is None:
        needs.tended.append(target.layout.table)
        right = Right(privilege="EXECUTE", kind="function", name=tending.SIGNATURE)
        needs.add(right, f"{name}: drops partitions that are wholly past")


def _reading(needs: Needs, target: Target, name: str) -> None:
    table = target.layout.table
    columns = [*target.layout.key, target.clock_column, *target.condition_columns]
    columns += [floor.column for floor in target.floors]
    columns += [] if target.tenant_column is None else [target.tenant_column]
    names = [column.name for column in columns]
    names += [column for hold in target.own_holds for column in sorted(hold.columns)]
    names += PLACE if needs.postgresql else ()
    needs.read(table, names, f"{name}: finds the rows that are due")
    _triggers(needs, table, name)


def _triggers(needs: Needs, table: sa.Table, name: str) -> None:
    """Need to see a table's triggers: MariaDB shows them to whoever may make some."""
    if not needs.postgresql:
        needs.whole("TRIGGER", table, f"{name}: sees the table's triggers, which its approval covers")


def _masking(needs: Needs, target: Target, masks: Masks, name: str) -> None:
    table = target.layout.table
    written = masks.values(table, _NO_KEY)
    read = columns_in(table, masks.due(table), *written.values())
    needs.read(table, read, f"{name}: finds the rows that are due")
    # Masking a row must not make it young (MariaDB).
    clock = [target.clock_column.name] if renews_itself(target.clock_column) else []
    needs.columns("UPDATE", table, [*written, *clock], f"{name}: anonymizes")


def _deleting(needs: Needs, target: Target, name: str) -> None:
    table = target.layout.table
    needs.whole("DELETE", table, f"{name}: deletes")
    for reference in target.layout.references:
        _referring(needs, target.layout, reference, name)
    for branch in every(target.branches):
        _along(needs, branch, name)


def _referring(needs: Needs, layout: Layout, reference: Reference, name: str) -> None:
    """Look for rows that refer to those that go: they would go along, or keep them from going."""
    why = f"{name}: looks for rows that refer to those that go"
    needs.read(layout.table, reference.referred_columns, why)
    child = sa.table(reference.table, schema=reference.schema)
    needs.read(child, reference.columns, why)


def _along(needs: Needs, branch: Branch, name: str) -> None:
    table, why = branch.layout.table, f"{name}: takes rows along (cascades)"
    _triggers(needs, table, name)
    needs.read(table, list(_held_by(branch)), f"{name}: looks for holds on rows that go along")
    if branch.action == "cascade":
        needs.whole("DELETE", table, why)
        for reference in branch.layout.references:
            _referring(needs, branch.layout, reference, name)
    else:
        names = branch.reference.changed or branch.reference.columns
        needs.columns("UPDATE", table, names, why)


def _held_by(branch: Branch) -> Iterator[str]:
    """Yield the columns by which a legal hold names rows of a referring table."""
    if branch.columns.tenant is not None:
        yield branch.columns.tenant.name
    if branch.columns.clock is not None and branch.columns.clock_column is not None:
        yield branch.columns.clock_column.name
    yield from (column.name for column in branch.layout.key)


def _archiving(needs: Needs, target: Target, name: str, *, goes: bool) -> None:
    table = target.layout.table
    needs.read(table, None, f"{name}: archives the rows")
    if goes and needs.postgresql and not gives_what_it_deletes(needs.connection, table):
        # What is locked before it is read needs a right to change.
        column = target.layout.key[0].name
        needs.columns("UPDATE", table, [column], f"{name}: locks the rows that it archives")
    database = str(needs.connection.engine.url.database)
    privilege = "TEMPORARY" if needs.postgresql else "CREATE TEMPORARY TABLES"
    right = Right(privilege=privilege, kind="database", name=database)
    needs.add(right, f"{name}: brings rows back (retention restore)")
    if goes:
        stored = [column.name for column in table.columns if column.computed is None]
        needs.columns("INSERT", table, stored, f"{name}: brings rows back (retention restore)")


def _vacuuming(needs: Needs, target: Target, name: str) -> None:
    if not rights.maintainable(needs.connection):
        return
    tables = [target.layout.table, *(branch.layout.table for branch in every(target.branches))]
    for table in tables:
        needs.whole("MAINTAIN", table, f"{name}: vacuums (retention purge)")
