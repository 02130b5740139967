"""Decides a first data map by a general rule, as the check asks for it, until it asks for nothing more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import sqlalchemy as sa
import yaml

from aegis.datamap.findings import Undecided
from tests.realschemas.picture import Key, Picture
from tests.realschemas.planting import ROOM

TODO: Final = "TODO"
_ROUNDS: Final = 40
#: What each strategy writes at most.
_SURROGATE, _SURROGATE_EMAIL, _REDACTED = 35, 50, 10
Check = Callable[[str], Sequence[Undecided]]


@dataclass(kw_only=True)
class Rule:
    """One way to decide everything."""

    picture: Picture
    #: Whether rows stay and are masked; else they go, and references that can be emptied are.
    keeps_rows: bool

    def edge(self, key: Key) -> str:
        """Decide about the rows that refer by a foreign key."""
        if key.child in self._going:
            return "delete"
        if self.keeps_rows and key.parent not in self._going:
            return "anonymize"
        return "nullify" if self._can_be_empty(key) else "delete"

    @cached_property
    def _going(self) -> set[str]:
        """The tables whose rows cannot stay: no mask fits, or they must refer to rows that go."""
        going = {name for name in self.picture.tables if not self._can_be_masked(name)}
        while (
            more := {k.child for k in self.picture.keys if k.parent in going and not self._can_be_empty(k)}
            - going
        ):
            going |= more
        return going

    def _can_be_empty(self, key: Key) -> bool:
        columns = self.picture.tables[key.child].c
        return any(columns[name].nullable for name in key.columns)

    def _can_be_masked(self, table: str) -> bool:
        return all(self.column(table, column.name) is not None for column in self.picture.tables[table].c)

    def column(self, table: str, name: str) -> str | None:
        """Decide about a column; None: its rows can only go."""
        column = self.picture.tables[table].c[name]
        if not self.picture.is_text(table, name):
            return "preserve"
        if name in self.picture.tables[table].primary_key.columns:
            return None
        if column.nullable:
            return "null"
        return self._needed(table, column)

    def _needed(self, table: str, column: sa.Column[Any]) -> str | None:
        if (table, column.name) in self.picture.documents or isinstance(column.type, sa.JSON):
            return "empty"
        if not isinstance(column.type, sa.String):
            return None
        room = column.type.length or 10_000
        if not self.picture.is_unique(table, column.name):
            return "redact" if room >= _REDACTED else "empty" if room >= ROOM else "preserve"
        if "email" in column.name and room >= _SURROGATE_EMAIL:
            return "surrogate_email"
        return "surrogate" if room >= _SURROGATE else None

    def shared(self, table: str) -> str:
        """Decide about rows of two people."""
        return "mask_own_columns" if self.keeps_rows and table not in self._going else "delete"


def decide(text: str, rule: Rule, identifiers: Mapping[str, str], check: Check) -> str:
    """Return a data map that leaves nothing open.

    Args:
        text: what `aegis datamap init` wrote.
        rule: how each TODO is decided.
        identifiers: kind → column of the people's table.
        check: what a map leaves open.

    """
    document = yaml.safe_load(text)
    document["subjects"]["user"]["identifiers"] = dict(identifiers)
    for _ in range(_ROUNDS):
        _fill(document["tables"], rule, document["subjects"]["user"]["table"])
        text = yaml.safe_dump(document, sort_keys=False)
        open_things = check(text)
        if not open_things:
            return text
        for item in open_things:
            _take(document["tables"], item)
    left = [f"{item.kind} {item.table} {item.what}: {item.why} ({item.cure})" for item in open_things]
    message = "the check asks on and on:\n" + "\n".join(left[:20])
    raise AssertionError(message)


def _take(tables: dict[str, Any], item: Undecided) -> None:
    """Write what the check says is to be written."""
    for name, body in (yaml.safe_load(item.cure) if item.cure else {}).items():
        entry = tables.setdefault(name, {})
        for key, value in body.items():
            if isinstance(value, dict):
                entry.setdefault(key, {}).update(value)
            else:
                entry[key] = value


def _fill(tables: dict[str, Any], rule: Rule, root: str) -> None:
    """Decide every TODO."""
    for name, entry in tables.items():
        table, column = _split(name, rule.picture)
        if entry.get("row") == TODO:
            entry["row"] = (
                "anonymize" if name == root else rule.edge(_key(rule.picture, table, column, entry))
            )
        if entry.get("shared") == TODO:
            entry["shared"] = rule.shared(table)
        for own, spec in (entry.get("columns") or {}).items():
            if spec == TODO:
                entry["columns"][own] = rule.column(table, own) or "preserve"


def _split(name: str, picture: Picture) -> tuple[str, str | None]:
    if name in picture.tables:
        return name, None
    table, _, column = name.rpartition(".")
    return table, column


def _key(picture: Picture, table: str, column: str | None, entry: Mapping[str, Any]) -> Key:
    """Return the foreign key that an entry decides."""
    via = entry.get("via")
    wanted = column or (via if isinstance(via, str) else next(iter(via or {}), None))
    keys = [key for key in picture.of(table) if wanted is None or wanted in key.columns]
    assert keys, f"{table}: no foreign key for {entry}"
    return keys[0]
