"""What erasures by a data map need: on every table that has rows of a person."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.closure import CUT
from aegis.datamap.edges import Edge
from aegis.datamap.groups import belongs
from aegis.datamap.hooks import Anonymizer
from aegis.datamap.model import Row, Rule, Shared, Subject
from aegis.datamap.reached import Coverage, Reached
from aegis.db import dialects
from aegis.db.catalog import Catalog
from aegis.db.reflection import renews_itself
from aegis.erasure.exporting import SECRET
from aegis.erasure.order import knots
from aegis.erasure.sides import Side
from aegis.grants.needs import Needs, columns_in
from aegis.masking.keys import MaskKey
from aegis.masking.masks import Masks, masks_of

_NO_KEY: Final = MaskKey(id="0", secret=bytes(32))
#: What leaves rows that are written over.
_MASKED: Final = frozenset({*CUT, "anonymize", "retain"})
FINDS: Final = "erasure: finds the rows of a person"
EXPORTS: Final = "erasure: exports the rows of a person"
CHANGES: Final = "erasure: writes over the rows of a person"
DELETES: Final = "erasure: deletes the rows of a person"
MOVES: Final = "erasure: deletes rows that the ghost has already"
ENDS: Final = "erasure: deletes what was retained, at its end"
VERIFIES: Final = "erasure verify: looks for rows that the map reaches"


def of_map(
    needs: Needs, catalog: Catalog, coverage: Coverage, anonymizers: Sequence[Anonymizer], *, verify: bool
) -> None:
    """Collect what the erasure of one kind of person needs.

    Args:
        needs: collects it.
        catalog: the live schema.
        coverage: what the data map reaches, with every decision made.
        anonymizers: code of the application that writes columns.
        verify: only what is needed to look again, and to change nothing.

    """
    for label in coverage.tables:
        table = _Table(needs, catalog, coverage, label, anonymizers)
        if verify:
            needs.read(table.table, table.found(verify=True), VERIFIES)
        else:
            table.collect()


@dataclass(frozen=True, kw_only=True)
class _Masked:
    """What is written over in rows of one table."""

    masks: Masks
    hooked: Mapping[str, sa.ColumnElement[Any]]


class _Table:
    """One table that has rows of a person."""

    def __init__(
        self,
        needs: Needs,
        catalog: Catalog,
        coverage: Coverage,
        label: str,
        anonymizers: Sequence[Anonymizer],
    ) -> None:
        self._needs = needs
        self._catalog, self._coverage, self._anonymizers = catalog, coverage, anonymizers
        self._reached: Reached = coverage.tables[label]
        self._side = Side(catalog, label, coverage)
        self.table = catalog.tables[label].table

    def collect(self) -> None:
        """Collect what its rows are read, written over and deleted by."""
        self._needs.read(self.table, self.found(verify=False), FINDS)
        secrets = {name for rule in self._rules for name, spec in rule.columns.items() if spec == SECRET}
        rest = [column.name for column in self.table.c if column.name not in secrets]
        self._needs.read(self.table, rest, EXPORTS)
        written = dict.fromkeys([*self._written.masks.columns, *self._written.hooked, *self._cut()])
        if not self._needs.postgresql and (written or self._goes):
            why = "erasure: sees the table's triggers, which its plan lists"
            self._needs.whole("TRIGGER", self.table, why)
        if written:
            renewed = [c.name for c in self.table.c if renews_itself(c)]
            self._needs.columns("UPDATE", self.table, [*written, *renewed], CHANGES)
        for why in self._goes:
            self._needs.whole("DELETE", self.table, why)

    def found(self, *, verify: bool) -> list[str]:
        """Return the columns by which rows are found, and seen to be as they should be."""
        names = columns_in(self.table, *self._side.columns)
        if self._reached.table == self._coverage.root:
            names += self._of_subject(self._coverage.subject, verify=verify)
        kept = [rule.keep_at_least for rule in self._rules if rule.action == "retain"]
        names += [minimum.column for minimum in kept if minimum is not None and not verify]
        masks = self._written.masks
        recognised = [strategy.recognises(self.table.c[n]) for n, strategy in masks.strategies.items()]
        if all(one is not None for one in recognised):
            names += [*columns_in(self.table, *recognised), *self._written.hooked, *masks.columns]
            names += columns_in(self.table, *self._written.hooked.values())
        if not verify:
            values = [*masks.values(self.table, _NO_KEY).values(), *self._written.hooked.values()]
            names += columns_in(self.table, *values)
        return names

    def _of_subject(self, subject: Subject, *, verify: bool) -> Iterator[str]:
        yield from subject.key
        yield from [subject.tenant] if subject.tenant else []
        yield from subject.identifiers.values()
        if not verify:
            yield from [subject.created] if subject.created else []
            now = dialects.now(self._needs.connection)
            for group in subject.groups.values():
                yield from columns_in(self.table, belongs(group, self.table, now))
                yield from [group.column] if group.column else []

    @cached_property
    def _ways(self) -> list[Edge]:
        return [edge for edge in self._coverage.edges if edge.child == self._reached.table]

    @property
    def _is_root(self) -> bool:
        return self._reached.table == self._coverage.root

    @property
    def _rules(self) -> list[Rule]:
        entries = [self._reached.entry, *(edge.entry for edge in self._ways)]
        return [rule for rule in entries if rule is not None]

    @cached_property
    def _goes(self) -> list[str]:
        """Why rows of it are deleted."""
        ends = any(r.action == "retain" and (r.until or r.keep_at_least) for r in self._rules)
        goes = "delete" in self._reached.rows or (
            "anonymize" in self._reached.rows and self._shared("delete")
        )
        return [why for why, so in ((DELETES, goes), (MOVES, self._clashes), (ENDS, ends)) if so]

    def _shared(self, word: Shared) -> bool:
        """Whether that is what happens to rows that are another person's too."""
        return any(rule.shared == word for rule in self._rules)

    @property
    def _clashes(self) -> bool:
        """Whether a row that is moved to the ghost may be one too many by a unique key."""
        moved = {name for edge in self._ways if edge.row == "reassign" for name in edge.columns}
        uniques = self._catalog.tables[self._reached.table].uniques
        return any(moved & set(unique.columns) and not unique.expressions for unique in uniques)

    @cached_property
    def _written(self) -> _Masked:
        entry = self._reached.entry
        own = self._is_root and entry is not None and entry.action in _MASKED
        specs = dict(entry.masks) if own and entry else {}
        for edge in self._ways:
            masked = edge.row in _MASKED or (edge.row == "delete" and self._shared("mask_own_columns"))
            specs |= edge.masks if masked else {}
        hooked: dict[str, sa.ColumnElement[Any]] = {}
        done: set[Row] = {*self._reached.rows}
        if self._shared("mask_own_columns"):
            done.add("anonymize")
        for hook in self._anonymizers if any(map(self._reached.hooked, done)) else ():
            owner = self._catalog.find(hook.table)
            if owner is not None and owner.label == self._reached.table:
                hooked |= hook.expressions(self.table)
        return _Masked(masks=masks_of(specs), hooked=hooked)

    def _cut(self) -> Iterator[str]:
        """Yield the referring columns that are written to."""
        for edge in self._ways:
            if edge.row not in CUT:
                continue
            if edge.path or edge.row == "decorrelate":
                yield edge.columns[0]
            elif edge.row == "reassign":
                yield from edge.columns
            else:
                yield from (name for name in edge.columns if self.table.c[name].nullable)
        if not self._needs.postgresql:
            yield from self._unhooked()

    def _unhooked(self) -> Iterator[str]:
        """Yield what refers inside of a circle of tables: MariaDB has it emptied before rows are deleted."""
        knot = next(tables for tables in knots(self._coverage) if self._reached.table in tables)
        if "delete" in self._reached.rows:
            for edge in self._ways:
                if edge.on_delete and edge.parent in knot:
                    yield from (name for name in edge.columns if self.table.c[name].nullable)
