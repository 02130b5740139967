"""The keys of one mapping in a data map, each read as what it must be, with every fault noted."""

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import yaml

from aegis.datamap.formats import Entry, Problems, entries, items, kind_name, line_of, value_of
from aegis.datamap.model import TODO
from aegis.datamap.names import meant


class Body:
    """One mapping: the keys that it may have, and what is wrong with them."""

    def __init__(self, node: yaml.Node, where: str, known: Collection[str], problems: Problems) -> None:
        self.where = where
        self.problems = problems
        self.parts: dict[str, Entry] = {}
        #: Keys that say TODO, with their lines.
        self.todo: dict[str, int] = {}
        for entry in entries(node, problems, where) or []:
            if entry.key in known:
                self.parts[entry.key] = entry
            else:
                sentence = f"{where}: there is no key {entry.key}; {meant(entry.key, known)}"
                problems.add(entry.line, sentence)

    @property
    def lines(self) -> dict[str, int]:
        """The line of each key."""
        return {key: entry.line for key, entry in self.parts.items()}

    def complain(self, key: str, sentence: str) -> None:
        """Note what is wrong with a key."""
        self.problems.add(self.parts[key].line, f"{self.where}: {key}{sentence}")

    def undecided(self, key: str) -> bool:
        """Say whether a key says TODO, and remember it."""
        node = self.parts[key].node
        if isinstance(node, yaml.ScalarNode) and node.value == TODO:
            self.todo[key] = self.parts[key].line
        return key in self.todo

    def text(self, key: str) -> str | None:
        """Return a text; None when it is not there, undecided or wrong."""
        if key not in self.parts or self.undecided(key):
            return None
        value = self._value(key)
        if isinstance(value, str) and value.strip():
            return value
        if value is not None:
            quotes = "" if isinstance(value, dict | list | str) else "; write it in quotes"
            self.complain(key, f" must be a text, got {kind_name(value)}{quotes}")
        return None

    def choice(self, key: str, options: Sequence[str]) -> Any:
        """Return one of some words."""
        word = self.text(key)
        if word is None or word in options:
            return word
        self.complain(key, f": there is no {word!r}; {meant(word, options)}")
        return None

    def number(self, key: str) -> float | None:
        """Return a number."""
        if key not in self.parts or self.undecided(key):
            return None
        value = self._value(key)
        if type(value) in {int, float}:
            return float(value)
        if value is not None:
            self.complain(key, f" must be a number, got {kind_name(value)}")
        return None

    def day(self, key: str) -> dt.date | None:
        """Return a date."""
        if key not in self.parts or self.undecided(key):
            return None
        value = self._value(key)
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value
        if value is not None:
            self.complain(key, f" must be a date such as 2035-12-31, got {kind_name(value)}")
        return None

    def names(self, key: str) -> tuple[str, ...]:
        """Return one name, or a list of names."""
        if key not in self.parts or self.undecided(key):
            return ()
        value = self._value(key)
        found = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(name, str) and name for name in found):
            self.complain(key, " must be a name, or a list of names")
            return ()
        return tuple(found) if value is not None else ()

    def values(self, key: str) -> tuple[str, ...]:
        """Return one value, or a list of values, each a text or a whole number, as text."""
        if key not in self.parts or self.undecided(key):
            return ()
        value = self._value(key)
        found = value if isinstance(value, list) else [value]
        if value is not None and not all(item != "" and type(item) in {str, int} for item in found):
            self.complain(key, " must be a text or a whole number, or a list of them")
            return ()
        return tuple(map(str, found)) if value is not None else ()

    def pairs(self, key: str) -> list[Entry]:
        """Return the keys of a mapping below a key."""
        if key not in self.parts:
            return []
        return entries(self.parts[key].node, self.problems, f"{self.where}: {key}") or []

    def several(self, key: str) -> list[Entry]:
        """Return the items of a list below a key that is there, or the one value that stands in its place."""
        entry = self.parts[key]
        if isinstance(entry.node, yaml.SequenceNode):
            return list(items(entry.node))
        return [Entry(key="", line=line_of(entry.node), node=entry.node)]

    def _value(self, key: str) -> Any:
        entry, before = self.parts[key], len(self.problems.found)
        value = value_of(entry.node, self.problems, f"{self.where}: {key}")
        if value is None and len(self.problems.found) == before:
            self.complain(key, " has no value; give it one, or take the key out")
        return value


def said(node: yaml.Node) -> bool:
    """Say whether a value was written at all; a lone `key:` is none, and `null` is one."""
    return not isinstance(node, yaml.ScalarNode) or bool(node.value) or node.style is not None
