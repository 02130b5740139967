"""The data map of a data source: what its tables say about keeping, read from YAML.

This reads only what retention obeys: `keep_at_least` and `hold`. The other keys of a data map may
stand in it already; a key that no data map has is refused, because a misspelt one would protect nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from aegis.datamap.periods import parse_period
from aegis.errors import InvalidDataMap, InvalidPolicy

_TOP: Final = frozenset({"subjects", "tables"})
_TABLE: Final = frozenset(
    {"row", "columns", "via", "reason", "keep_at_least", "until", "shared", "when", "hold"}
)
_KEEP: Final = frozenset({"period", "from", "basis"})


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """A time for which rows must be kept, whatever a policy says."""

    #: ISO 8601.
    period: str
    #: The column that it is counted from.
    column: str
    #: The law or contract that says so.
    basis: str | None = None


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What the data map says about keeping the rows of one table."""

    minimums: tuple[Minimum, ...] = ()
    #: Conditions; a row that fulfils one is on hold.
    holds: tuple[str, ...] = ()


def keeping(path: Path | None, table: str) -> Keeping:
    """Return what the data map says of a table; nothing where there is no map.

    An entry without a schema speaks of the table in every schema, and the other way round.

    Raises:
        InvalidDataMap: the file cannot be read, or says what cannot be meant.

    """
    if path is None:
        return Keeping()
    found = [entry for name, entry in _read(path).items() if _same_table(name, table)]
    minimums = tuple(minimum for entry in found for minimum in entry.minimums)
    return Keeping(minimums=minimums, holds=tuple(hold for entry in found for hold in entry.holds))


def _read(path: Path) -> dict[str, Keeping]:
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        message = f"data map {path} cannot be read: {error.strerror}"
        raise InvalidDataMap(message) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        message = f"data map {path}{line}: it is no YAML"
        raise InvalidDataMap(message) from None
    reader = _Reader(path)
    return reader.tables(root) if root is not None else {}


class _Reader:
    """Reads the nodes of one file; every refusal names its line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tables(self, root: yaml.Node) -> dict[str, Keeping]:
        found = {}
        for key, node in self._pairs(root, _TOP, "the data map"):
            if key == "tables":
                found = {name: self._table(name, body) for name, body in self._pairs(node, None, "tables")}
        return found

    def _table(self, table: str, node: yaml.Node) -> Keeping:
        what = f"table {table}"
        parts = dict(self._pairs(node, _TABLE, what))
        minimums = (self._minimum(what, parts["keep_at_least"]),) if "keep_at_least" in parts else ()
        holds = (self._text(what, "hold", parts["hold"]),) if "hold" in parts else ()
        return Keeping(minimums=minimums, holds=holds)

    def _minimum(self, what: str, node: yaml.Node) -> Minimum:
        what = f"{what}: keep_at_least"
        parts = {name: self._text(what, name, value) for name, value in self._pairs(node, _KEEP, what)}
        for name in ("period", "from"):
            if name not in parts:
                self._refuse(node, f"{what} needs {name}, such as {{period: P8Y, from: issued_at}}")
        try:
            parse_period(parts["period"])
        except InvalidPolicy as error:
            self._refuse(node, f"{what}: {error}")
        return Minimum(period=parts["period"], column=parts["from"], basis=parts.get("basis"))

    def _pairs(
        self, node: yaml.Node, known: frozenset[str] | None, what: str
    ) -> Iterator[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, f"{what}: expected keys with values")
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if known is not None and name not in known:
                self._refuse(key, f"{what}: unknown key {name!r}; known: {', '.join(sorted(known))}")
            if name in seen:
                self._refuse(key, f"{what}: {name!r} stands there twice; keep one")
            seen.add(name)
            yield name, value

    def _text(self, what: str, name: str, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            self._refuse(node, f"{what}: {name} must be a text")
        return str(node.value)

    def _refuse(self, node: yaml.Node, why: str) -> Any:
        message = f"data map {self._path}, line {node.start_mark.line + 1}: {why}"
        raise InvalidDataMap(message)


def _same_table(one: str, other: str) -> bool:
    (schema, _, name), (other_schema, _, other_name) = one.rpartition("."), other.rpartition(".")
    return name == other_name and (not schema or not other_schema or schema == other_schema)
