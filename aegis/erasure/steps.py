"""The steps of an erasure: what happens to which of the person's rows, in the order in which it is done."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from aegis.datamap.closure import CUT
from aegis.datamap.edges import Edge
from aegis.datamap.model import Row, Rule
from aegis.datamap.periods import parse_period
from aegis.datamap.reached import Coverage, Reached
from aegis.erasure.decisions import decisions
from aegis.erasure.rows import Rows
from aegis.masking.strategies import strategy_of
from aegis.masking.strategy import Outcome

#: What refers goes before what it refers to, and the person's own row comes last.
_ORDER: Final[tuple[Row, ...]] = (
    "fail",
    "delete",
    "nullify",
    "reassign",
    "decorrelate",
    "anonymize",
    "retain",
)
#: Stands for the strategy of a column that code of the application writes.
HOOK: Final = "hook"
#: Table → the columns that code of the application writes in rows that stay.
Hooked = Mapping[str, frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One action on the rows of one table."""

    table: str
    action: Row
    rows: int
    #: The ways by which the rows are reached, as people write them; none: the person's own row.
    ways: tuple[str, ...]
    #: Columns that are written to → strategy, or nothing for a reference that is emptied.
    columns: Mapping[str, str]
    #: Column → what its strategy leaves: an anonymous value, or a pseudonymous one; none of a hook's.
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    #: Why rows are kept, and until when.
    reason: str | None = None
    until: str | None = None
    #: Rows that are another person's too, by what is done about it.
    shared: Mapping[str, int] = field(default_factory=dict)
    #: Rows that stay because they are shared, and refer to rows that go.
    stuck: int = 0
    #: How far from the person's own row.
    depth: int = 0


@dataclass(kw_only=True)
class _Count:
    rows: int = 0
    stuck: int = 0
    ways: set[int] = field(default_factory=set)
    shared: Counter[str] = field(default_factory=Counter)


def steps_of(coverage: Coverage, rows: Rows, hooked: Hooked = MappingProxyType({})) -> list[Step]:
    """Return the steps, in the order in which they are done."""
    tables = coverage.tables.values()
    found = [step for reached in tables for step in _of_table(coverage, reached, rows, hooked)]
    return sorted(found, key=lambda step: (_ORDER.index(step.action), -step.depth, step.table))


def _of_table(coverage: Coverage, reached: Reached, rows: Rows, hooked: Hooked) -> Iterable[Step]:
    counts: dict[Row, _Count] = defaultdict(_Count)
    for group, made in decisions(coverage, reached, rows):
        for decision in made:
            # Rows that are left alone are told where they would have been changed.
            count = counts[decision.action or _first(coverage, decision.ways)]
            count.ways |= decision.ways
            count.rows += group.rows if decision.action else 0
            count.stuck += group.rows if decision.stuck else 0
            if decision.shared:
                count.shared[decision.shared] += group.rows
    names = hooked.get(reached.table, frozenset())
    return [_step(coverage, reached, action, count, names) for action, count in counts.items()]


def _first(coverage: Coverage, ways: Iterable[int]) -> Row:
    return next(row for way in sorted(ways) if (row := coverage.edges[way].row))


def _step(coverage: Coverage, reached: Reached, action: Row, count: _Count, hooked: frozenset[str]) -> Step:
    edges = [coverage.edges[way] for way in sorted(count.ways)]
    entries = [edge.entry for edge in edges if edge.entry] or ([reached.entry] if reached.entry else [])
    masks = _masks(action, edges, entries)
    written = {name: _told(spec) for name, spec in sorted(masks.items())}
    if reached.hooked(action):
        written |= dict.fromkeys(sorted(hooked), HOOK)
    return Step(
        table=reached.table,
        action=action,
        rows=count.rows,
        ways=tuple(edge.label for edge in edges),
        columns=_references(action, edges) | written,
        outcomes={name: strategy_of(masks[name]).outcome for name in written if written[name] != HOOK},
        reason=next((text for rule in entries if (text := _reason(rule))), None),
        until=next((text for rule in entries if (text := _until(rule))), None),
        shared=dict(count.shared),
        stuck=count.stuck,
        depth=reached.depth,
    )


def _references(action: Row, edges: Iterable[Edge]) -> dict[str, str]:
    cut = action in CUT
    return {edge.source: "" for edge in edges} if cut else {}


def _masks(action: Row, edges: Iterable[Edge], entries: Iterable[Rule]) -> dict[str, Any]:
    if action in {"delete", "fail"}:
        return {}
    masks = {name: spec for rule in entries for name, spec in rule.masks.items()}
    return masks | {name: spec for edge in edges for name, spec in edge.masks.items()}


def _told(spec: object) -> str:
    """Return a strategy as people read it, without the value that it would write."""
    if isinstance(spec, Mapping):
        return ", ".join(map(str, spec))
    return "null" if spec is None else str(spec)


def _reason(rule: Rule) -> str | None:
    basis = rule.keep_at_least and rule.keep_at_least.basis
    return f"{rule.reason} ({basis})" if rule.reason and basis else rule.reason


def _until(rule: Rule) -> str | None:
    if rule.keep_at_least is not None:
        return f"{parse_period(rule.keep_at_least.period).words} from {rule.keep_at_least.column}"
    return None if rule.until is None else rule.until.isoformat()
