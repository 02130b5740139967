"""The plan of an erasure: what would happen to every row of one person, counted exactly, and its digest.

Everything is read in one snapshot; nothing is changed. A data map that leaves anything open makes no plan.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from aegis.audit.events import canonical
from aegis.datamap.hooks import columns_of
from aegis.datamap.model import Rule
from aegis.datamap.reached import Coverage
from aegis.db import dialects
from aegis.db.catalog import Catalog
from aegis.db.journal import Journal
from aegis.db.references import CHANGING
from aegis.db.reflection import read_triggers
from aegis.erasure.erasers import erasers_of
from aegis.erasure.objections import objections
from aegis.erasure.people import Key
from aegis.erasure.steps import Step, steps_of
from aegis.erasure.tracing import Trace
from aegis.operations.system import System

#: Of the digest's document; old ones are told apart by it.
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an erasure would do, in the order in which it would do it."""

    datasource: str
    #: The database's own id, by which it is told from another one of that name.
    database: str
    #: When the snapshot was read, by the database's clock.
    read_at: dt.datetime
    subject: str
    steps: tuple[Step, ...]
    #: Referring columns that are searched by reading the whole table.
    unindexed: tuple[str, ...]
    #: Table → triggers that fire when its rows change.
    triggers: dict[str, tuple[str, ...]]
    #: Reference → what the database itself would do with the rows that refer to those that go, were they
    #: still there: CASCADE, SET NULL or SET DEFAULT.
    cascades: dict[str, str]
    #: What speaks against it; empty: it could be carried out.
    objections: tuple[str, ...]
    #: What an approval binds to: the map's decisions, the schema that they are about, and the person.
    digest: str
    #: Code of the application that is called when all rows are changed.
    erasers: tuple[str, ...] = ()
    #: The same people in other data sources.
    elsewhere: tuple["Plan", ...] = ()

    @property
    def place(self) -> str:
        """What tells it from the plans for other data sources."""
        return f"{self.datasource}/{self.subject}"

    @property
    def rows(self) -> int:
        """Rows that would be changed; one of which no column is written over is not."""
        idle = {"retain", "fail"}
        changing = (step for step in self.steps if step.columns or step.action == "delete")
        return sum(step.rows for step in changing if step.action not in idle)

    @property
    def kept(self) -> int:
        """Rows that stay, with a reason."""
        return sum(step.rows for step in self.steps if step.action == "retain")


def joint(home: Plan, others: Sequence[Plan]) -> Plan:
    """Return the plan for people in several data sources, with one digest for all."""
    if not others:
        return home
    digest = joint_digest(home.digest, {other.place: other.digest for other in others})
    return replace(home, elsewhere=tuple(others), digest=digest)


def joint_digest(home: str, others: Mapping[str, str]) -> str:
    """Return the digest for several data sources: of the home's digest, and of each other's by its place."""
    if not others:
        return home
    body = {"version": VERSION, "home": home, "elsewhere": dict(others)}
    return hashlib.sha256(canonical(body)).hexdigest()


def of(system: System, trace: Trace, datasource: str) -> Plan:
    """Return the plan for what was traced, in its own transaction."""
    hooked, _ = columns_of(trace.anonymizers, trace.catalog)
    steps = tuple(steps_of(trace.coverage, trace.rows, hooked))
    return Plan(
        datasource=datasource,
        database=_identity(system, trace, datasource),
        read_at=dialects.now(trace.connection),
        subject=trace.who.subject.name,
        steps=steps,
        unindexed=_unindexed(trace.catalog, trace.coverage),
        triggers=_triggers(trace.connection, trace.catalog, steps),
        cascades=_cascades(trace.coverage, steps),
        objections=tuple(objections(trace, steps)),
        digest=digest_of(system, trace, datasource),
        erasers=tuple(each.name for each in erasers_of(system, datasource, trace.who.subject.name)),
    )


def digest_of(system: System, trace: Trace, datasource: str) -> str:
    """Return what an approval of an erasure binds to."""
    body = {
        "version": VERSION,
        "datasource": datasource,
        "identity": _identity(system, trace, datasource),
        "name": trace.who.subject.name,
        "people": sorted(reference(system, trace.who.subject.name, key) for key in trace.who.keys),
        "hooks": sorted([item.label, item.source_hash] for item in trace.anonymizers),
        **_rules(trace.catalog, trace.coverage),
    }
    erasers = erasers_of(system, datasource, trace.who.subject.name)
    if erasers:
        body["erasers"] = [[each.name, each.label, each.source_hash] for each in erasers]
    return hashlib.sha256(canonical(body)).hexdigest()


def _triggers(
    connection: sa.Connection, catalog: Catalog, steps: Sequence[Step]
) -> dict[str, tuple[str, ...]]:
    touched = sorted({step.table for step in steps if step.rows and step.action not in {"retain", "fail"}})
    tables = {label: catalog.tables[label].table for label in touched}
    found = {label: read_triggers(connection, t.schema, t.name) for label, t in tables.items()}
    return {label: names for label, names in found.items() if names}


def _cascades(coverage: Coverage, steps: Sequence[Step]) -> dict[str, str]:
    gone = {step.table for step in steps if step.rows and step.action == "delete"}
    rules = {edge.label: str(edge.on_delete) for edge in coverage.edges if edge.parent in gone}
    return {label: rule for label, rule in rules.items() if rule in CHANGING}


def _unindexed(catalog: Catalog, coverage: Coverage) -> tuple[str, ...]:
    return tuple(
        sorted(
            f"{edge.child}.{edge.source}"
            for edge in coverage.edges
            if edge.path or not catalog.tables[edge.child].indexed(edge.columns)
        )
    )


def _identity(system: System, trace: Trace, datasource: str) -> str:
    """Return the database's own id, read in the same transaction."""
    journal = Journal(trace.connection.dialect.name)
    if not journal.exists(trace.connection):
        return system.source_row(datasource).identity
    return journal.source(trace.connection).identity


def reference(system: System, subject: str, key: Key) -> str:
    """Return what stands for a person: nobody without the worker key can tell who it is."""
    named = canonical([subject, *(str(value) for value in key)])
    return hmac.digest(system.worker_key.subkey("erasure-subject"), named, "sha256").hex()


def _rules(catalog: Catalog, coverage: Coverage) -> dict[str, Any]:
    """Return what the plan follows from: the map's decisions, and the columns of what it reaches.

    Rows are not in it: the application may write new ones of the person, and they go as well.
    """
    return {
        "subject": [
            coverage.root,
            list(coverage.subject.key),
            dict(coverage.subject.identifiers),
            list(coverage.subject.ghost),
        ],
        "edges": [
            [edge.label, edge.row, edge.when, edge.on_delete, dict(edge.masks), _entry(edge.entry)]
            for edge in coverage.edges
        ],
        "entries": {label: _entry(reached.entry) for label, reached in coverage.tables.items()},
        "columns": {
            label: [[c.name, str(c.type), bool(c.nullable)] for c in catalog.tables[label].table.columns]
            for label in coverage.tables
        },
    }


def _entry(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    kept = rule.keep_at_least
    return {
        "row": rule.action,
        "columns": dict(rule.columns),
        "shared": rule.shared,
        "reason": rule.reason,
        "until": rule.until.isoformat() if rule.until else None,
        "keep_at_least": [kept.period, kept.column, kept.basis] if kept else None,
    }
