"""A live schema scanned table by table: read-only, bounded, and nothing of a row is kept."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.catalog.classify import classify_table
from aegis.catalog.context import Context
from aegis.catalog.decision import ColumnDecision
from aegis.catalog.facts import TableFacts, read_facts
from aegis.catalog.findings import Findings
from aegis.catalog.sampling import sample, widths_of
from aegis.datamap.names import meant
from aegis.db.catalog import Catalog, CatalogTable, read_catalog
from aegis.db.engines import looking
from aegis.errors import NotPrepared, OperationFailed, Passing, Refused, TooLong, UnknownName, UnsafeTable

#: Reading the catalog of a thousand tables takes longer than a look at one.
_CATALOG_MS: Final = 60_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of a table is looked at."""

    #: Rows of a table that are sampled, at most; 0: none.
    rows: int = 50
    #: How long one statement may take.
    statement_ms: int = 2_000
    #: How long a lock is waited for.
    lock_ms: int = 500


@dataclass(frozen=True, kw_only=True)
class TableScan:
    """What was found in one table."""

    table: str
    #: What a row of it stands for, in a word: `person`, `order`, `thing`, …
    nature: str
    decisions: tuple[ColumnDecision, ...]
    #: Rows that were sampled; None: it was not sampled.
    sampled: int | None
    #: Why it was not sampled, or how not; empty otherwise. Never a value.
    note: str = ""
    #: Tables that are done with this one, and all there are.
    done: int
    total: int


def scan(
    engine: sa.Engine, label: str, *, limits: Limits | None = None, only: frozenset[str] = frozenset()
) -> Generator[TableScan]:
    """Scan the tables of a database, one after the other; whoever iterates may stop at any time.

    Each table is a short transaction of its own that the database lets write nothing. A table that cannot be
    sampled in time is decided without values, and its note says so.

    Args:
        engine: the database.
        label: what to call it in an error.
        limits: how much is looked at.
        only: labels of the tables to be scanned; none: all.

    Raises:
        UnknownName: there is no table of such a label.
        UnsafeTable: row security hides rows of a table.
        Refused: the role may not read a table.
        Unreachable: it does not answer.

    """
    limits = limits or Limits()
    with looking(engine, label, lock_ms=limits.lock_ms, statement_ms=_CATALOG_MS) as connection:
        catalog = read_catalog(connection)
    facts = read_facts(catalog, engine.dialect)
    context = Context.of(facts.values())
    chosen = _chosen(catalog, only, label)
    for done, table in enumerate(chosen, start=1):
        known = facts[table]
        rows, note, findings = _sampled(engine, label, catalog.tables[table], known, limits)
        yield TableScan(
            table=table,
            nature=context.natures[table],
            decisions=tuple(classify_table(known, context, findings)),
            sampled=rows,
            note=note,
            done=done,
            total=len(chosen),
        )


def _chosen(catalog: Catalog, only: frozenset[str], label: str) -> list[str]:
    chosen = []
    for name in sorted(only):
        table = catalog.find(name)
        if table is None:
            message = f"there is no table {name} in {label}; {meant(name, catalog.tables)}"
            raise UnknownName(message)
        chosen.append(table.label)
    return chosen or sorted(catalog.tables)


def _sampled(
    engine: sa.Engine, label: str, table: CatalogTable, facts: TableFacts, limits: Limits
) -> tuple[int | None, str, dict[str, Findings]]:
    """Return how many rows of a table were sampled, what is to be said of it, and what was found."""
    if not limits.rows:
        return None, "", {}
    if not widths_of(facts):
        return None, "it has no column of text", {}
    try:
        with looking(engine, label, lock_ms=limits.lock_ms, statement_ms=limits.statement_ms) as connection:
            probed, found = sample(connection, table, facts, limits.rows)
    except TooLong:
        return None, f"sampling took longer than {limits.statement_ms / 1000:g} s", {}
    except Passing:
        return None, "it was locked", {}
    except (NotPrepared, OperationFailed) as error:
        return None, f"it could not be read: {error}", {}
    except Refused as error:
        kind = UnsafeTable if isinstance(error, UnsafeTable) else Refused
        message = f"table {table.label}: {error}; or scan without values: --no-sample"
        raise kind(message) from error
    return len(probed.rows), "" if probed.spread else "it has no key to sample along: its first rows", found
