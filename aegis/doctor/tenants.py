"""Tenants: which of the tables that tell them apart have no row-level security, where the database has it."""

from collections.abc import Mapping, Sequence
from typing import Final

from aegis.db.engines import reading
from aegis.db.rowsecurity import RowSecurity, knows_row_security, read_row_security
from aegis.doctor.findings import Finding, Found, Skipped, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.doctor.work import Work

_CURE: Final = "ALTER TABLE {} ENABLE ROW LEVEL SECURITY, and a CREATE POLICY: docs/tenants.md"
#: Tables that are named one by one.
_NAMED: Final = 6


def check_tenants(patient: Patient, name: str) -> Found:
    """Check that row security covers every table that tells tenants apart, or none of them."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be told while the control database is not ready"
        raise Skipped(message)
    label, work = f"tenants of {name}", patient.work(name)
    columns = work.tenant_columns()
    if not columns:
        return
    with reading(patient.system.databases.source(name), f"data source {name}") as connection:
        if not knows_row_security(connection):
            yield ok(label, f"{_count(columns)}; this database has no row security to look at")
            return
        known = read_row_security(connection)
    found = {table: known[key] for table in columns if (key := _place(work, table)) in known}
    bare = [table for table, security in found.items() if not (security.enabled and security.policies)]
    if len(bare) == len(found):
        text = f"{_count(columns)}, and none has row security: the application alone keeps tenants apart"
        yield note(label, text, _CURE.format(bare[0]) if bare else None)
        return
    if bare:
        text = f"{len(bare)} of {len(found)} tables that tell tenants apart have no policy: {_listed(bare)}"
        yield fault(label, text, _CURE.format(bare[0]))
    yield from _unbound(label, found)
    if not bare:
        yield ok(label, f"{_count(columns)}; each has a policy of row security")


def _unbound(label: str, found: Mapping[str, RowSecurity]) -> Found:
    """Tell of owners who are connected, and whom the policies of their own tables do not bind."""
    owners = {one.owner: one.sessions for one in found.values() if one.enabled and not one.forced}
    for owner, sessions in sorted(owners.items()):
        tables = [t for t, one in found.items() if one.owner == owner and one.enabled and not one.forced]
        if sessions:
            yield _sees_all(label, owner, sessions, tables)


def _sees_all(label: str, owner: str, sessions: int, tables: Sequence[str]) -> Finding:
    who = f"{sessions} session{'s are' if sessions > 1 else ' is'} connected as {owner}"
    text = (
        f"{who}, whom the policies of its own tables do not bind: it sees every tenant in {_listed(tables)}"
    )
    cure = f"connect the application as another role, or ALTER TABLE {tables[0]} FORCE ROW LEVEL SECURITY"
    return fault(label, text, cure)


def _place(work: Work, label: str) -> tuple[str, str]:
    table = work.catalog.tables[label].table
    return table.schema or work.catalog.schema or "", table.name


def _count(columns: Mapping[str, str]) -> str:
    return f"{len(columns)} table{'s tell' if len(columns) > 1 else ' tells'} tenants apart"


def _listed(tables: Sequence[str]) -> str:
    more = len(tables) - _NAMED
    return ", ".join(tables[:_NAMED]) + (f" and {more} more" if more > 0 else "")
