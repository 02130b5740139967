"""What must happen to each planted row, found row by row: a second opinion on a plan.

It reads the same map as Aegis and knows the promises of `docs/datamap.md`, and nothing of Aegis's code.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.realschemas.picture import Key, Picture
from tests.realschemas.planting import Row

_ALONE: Final = ("fail", "retain", "delete")
_TAKES: Final = ("delete", "anonymize")
_FOLLOWED: Final = ("delete", "anonymize", "retain")
_CUT: Final = ("nullify", "reassign", "decorrelate")
_SHARED: Final = {"keep": None, "mask_own_columns": "anonymize", "delete": "delete"}


@dataclass(frozen=True, kw_only=True)
class Way:
    """A reference that the map decides."""

    key: Key
    entry: Mapping[str, Any]
    table: Mapping[str, Any]
    #: Column and number: only rows that have it.
    when: tuple[str, str] | None = None
    #: Whether a foreign key is on it that does not empty itself.
    binds: bool = False

    def link(self, row: Row) -> tuple[str, ...] | None:
        """Return what a row refers to, as text; None: nothing."""
        link = row.link(self.key.columns)
        if link is None or (self.when and str(row.values[self.when[0]]) != self.when[1]):
            return None
        return tuple(map(str, link))

    @property
    def row(self) -> str:
        """What happens to the rows that refer."""
        return str(self.entry.get("row", "anonymize"))

    @property
    def shared(self) -> str | None:
        """What happens to rows of two people."""
        return self.entry.get("shared") or self.table.get("shared")

    #: Whether the table's columns are meant where the entry names none.
    lent: bool = True

    @property
    def masks(self) -> Mapping[str, Any]:
        """The columns that are written over in rows that stay."""
        told = self.entry.get("columns") or (self.table.get("columns") if self.lent else None) or {}
        return {name: spec for name, spec in told.items() if spec != "preserve"}


#: What happens to one row: action → the columns that are written. Empty: it is kept for somebody else.
Verdict = Mapping[str, frozenset[str]]


def ways_of(document: Mapping[str, Any], picture: Picture, root: str) -> list[Way]:
    """Return the references over which a person's rows are found: the schema's, and those that a map adds."""
    tables = document["tables"]
    found = [
        Way(
            key=key,
            entry=entry,
            table=tables.get(key.child) or {},
            when=when,
            binds=key in picture.keys and not key.empties,
        )
        for key, when in [*((key, None) for key in picture.keys), *_added(tables)]
        if (entry := _entry(tables, key)) is not None
    ]
    known = {root}
    while more := {w.key.child for w in found if w.key.parent in known and w.row in _FOLLOWED} - known:
        known |= more
    found = [way for way in found if way.key.parent in known]
    # In rows of other people a table's columns are meant for the person's own rows, if there are such.
    own = {way.key.child for way in found if way.row in {"anonymize", "retain"}} | {root}
    return [replace(way, lent=way.row not in _CUT or way.key.child not in own) for way in found]


def _added(tables: Mapping[str, Any]) -> Iterable[tuple[Key, tuple[str, str] | None]]:
    for name, entry in tables.items():
        for via in _list(entry.get("via", [])):
            if isinstance(via, dict):
                pairs = {column: target.rpartition(".") for column, target in via.items() if column != "when"}
                key = Key(
                    child=name,
                    columns=tuple(pairs),
                    parent=next(iter(pairs.values()))[0],
                    parent_columns=tuple(parent[2] for parent in pairs.values()),
                )
                column, _, number = via.get("when", "").partition(" = ")
                yield key, (column, number) if column else None


def _entry(tables: Mapping[str, Any], key: Key) -> Mapping[str, Any] | None:
    """Return the entry that decides a reference: one of its column, else the table's that names it."""
    own = next((tables[name] for c in key.columns if (name := f"{key.child}.{c}") in tables), None)
    table = tables.get(key.child)
    if own is not None or table is None:
        return own
    named = [_plain(via) for via in _list(table.get("via", []))]
    pairs = zip(key.columns, key.parent_columns, strict=True)
    spelled = {column: f"{key.parent}.{other}" for column, other in pairs}
    return (
        table
        if not named or spelled in named or set(key.columns) & {via for via in named if isinstance(via, str)}
        else None
    )


def _plain(via: Any) -> Any:
    return {name: to for name, to in via.items() if name != "when"} if isinstance(via, dict) else via


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class Judge:
    """Follows the rows of one person, one by one."""

    def __init__(self, ways: Iterable[Way], rows: Mapping[str, list[Row]], root: Row, entry: Any) -> None:
        self._ways, self._root, self._entry = list(ways), root, entry
        self._children: dict[Any, list[Row]] = defaultdict(list)
        for way in self._ways:
            for row in rows[way.key.child]:
                if (link := way.link(row)) is not None:
                    self._children[id(way), link].append(row)
        self._followed: set[Row] = set()
        self._reached, self._asked = self._follow(set())

    def verdicts(self) -> dict[Row, Verdict]:
        """Return what happens to every row that is reached."""
        return {row: self._verdict(row, ways) for row, ways in self._reached.items()}

    @property
    def own(self) -> dict[str, int]:
        """How many rows of each table are the person's, and nobody else's."""
        found = [row for row in self._followed if not self._is_others(row, self._reached[row])]
        return dict(Counter(row.table for row in found))

    def _follow(self, closed: set[Row]) -> tuple[dict[Row, list[Way]], dict[int, set[Any]]]:
        """Follow every way; start again while a row turns out to stay another person's."""
        while True:
            reached: dict[Row, list[Way]] = {self._root: []}
            asked: dict[int, set[Any]] = defaultdict(set)
            followed, waiting = {self._root}, [self._root]
            while waiting:
                parent = waiting.pop()
                for way in self._ways:
                    link = parent.link(way.key.parent_columns) if way.key.parent == parent.table else None
                    if link is None:
                        continue
                    asked[id(way)].add(tuple(map(str, link)))
                    for row in self._children[id(way), tuple(map(str, link))]:
                        reached.setdefault(row, [])
                        if way not in reached[row]:
                            reached[row].append(way)
                        if way.row in _FOLLOWED and row not in followed and row not in closed:
                            followed.add(row)
                            waiting.append(row)
            self._reached, self._asked, self._followed = reached, asked, followed
            kept = {row for row in followed if self._shared(row, reached[row]) == "keep"}
            if not kept:
                return reached, asked
            closed |= kept

    def _shared(self, row: Row, ways: list[Way]) -> str | None:
        """Return what is done about a row that is another person's too."""
        if not self._is_others(row, ways):
            return None
        return next((way.shared for way in ways if way.shared), None)

    def _is_others(self, row: Row, ways: list[Way]) -> bool:
        return row is not self._root and any(self._others(row, ways))

    def _others(self, row: Row, ways: list[Way]) -> Iterable[bool]:
        for way in self._ways:
            if way.key.child == row.table and way.row in _TAKES and way not in ways:
                link = way.link(row)
                yield link is not None and link not in self._asked[id(way)]

    def _verdict(self, row: Row, ways: list[Way]) -> Verdict:
        wanted = {way.row for way in ways}
        if row is self._root:
            wanted.add(self._entry["row"])
        alone = next((action for action in _ALONE if action in wanted), None)
        if alone == "retain":
            # A kept row gives up what refers to rows that go.
            ways = [way for way in ways if way.row == "retain" or (way.row in _CUT and self._ends(way))]
            alone, wanted = None, {way.row for way in ways}
        shared = self._shared(row, ways)
        verdict: dict[str, frozenset[str]] = {}
        for action in [alone] if alone else sorted(wanted):
            final = _SHARED[shared] if shared and action in _TAKES else action
            if final is not None:
                own = [way for way in ways if way.row == action]
                verdict[final] = verdict.get(final, frozenset()) | self._written(row, final, own)
        return verdict

    def _ends(self, way: Way) -> bool:
        return way.binds and any(w.row == "delete" for w in self._ways if w.key.child == way.key.parent)

    def _written(self, row: Row, action: str, ways: list[Way]) -> frozenset[str]:
        if action in {"delete", "fail"}:
            return frozenset()
        masked = {name for way in ways for name in way.masks}
        if row is self._root:
            masked |= {name for name, spec in self._entry["columns"].items() if spec != "preserve"}
        if action in _CUT:
            masked |= {name for way in ways for name in way.key.columns}
        return frozenset(masked)


def counts(verdicts: Mapping[Row, Verdict]) -> dict[tuple[str, str], int]:
    """Return how many rows of each table meet which fate."""
    return dict(Counter((row.table, action) for row, verdict in verdicts.items() for action in verdict))


def columns(verdicts: Mapping[Row, Verdict]) -> dict[tuple[str, str], set[str]]:
    """Return the columns that are written, by table and fate."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row, verdict in verdicts.items():
        for action, written in verdict.items():
            found[row.table, action] |= written
    return dict(found)
