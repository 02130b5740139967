"""The masks of one table: which rows still lack one, and the one UPDATE that puts them on.

A value that is not there needs no mask: NULL stays NULL, whatever the strategy. So a row is due
while any of its masked columns holds a value that is not recognised as masked. With a marker column
the marker alone decides: it is set in the same UPDATE.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.readings import in_unicode
from aegis.errors import InvalidPolicy
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind, kind_of
from aegis.masking.strategies import strategy_of
from aegis.masking.strategy import Outcome, Strategy

#: What a marker column of text says.
MARKED: Final = "anonymized"
_MARKS: Final[Mapping[Kind, Callable[[], sa.ColumnElement[Any]]]] = {
    Kind.BOOLEAN: sa.true,
    # MariaDB keeps booleans as whole numbers.
    Kind.INTEGER: lambda: sa.literal(1, sa.Integer()),
    Kind.MOMENT: sa.func.now,
    Kind.TEXT: lambda: sa.literal(MARKED, sa.String()),
}


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Columns with their strategies, and the marker."""

    strategies: Mapping[str, Strategy]
    marker: str | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """How a policy writes them, in one canonical form."""
        return {name: strategy.spec for name, strategy in sorted(self.strategies.items())}

    @property
    def label(self) -> str:
        """How people read them."""
        return ", ".join(f"{name}={strategy.label}" for name, strategy in sorted(self.strategies.items()))

    @property
    def columns(self) -> list[str]:
        """Every column that is written to."""
        return sorted({*self.strategies, *([self.marker] if self.marker else [])})

    @property
    def outcome(self) -> Outcome:
        """Anonymous if each strategy is that writes anything."""
        kinds = {strategy.outcome for strategy in self.strategies.values()}
        return "pseudonymous" if "pseudonymous" in kinds else "anonymous"

    def for_subject(self, identifiers: Iterable[str]) -> "Masks":
        """Return the masks that know a subject's own identifiers, for strategies that look for them."""
        known = tuple(identifiers)
        strategies = {name: strategy.for_subject(known) for name, strategy in self.strategies.items()}
        return replace(self, strategies=strategies)

    def due(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """Return the rows that are not masked yet; never NULL, so that `NOT` gives the others."""
        if self.marker is not None:
            return table.c[self.marker].is_(None)
        bare = [_bare(table.c[name], strategy) for name, strategy in sorted(self.strategies.items())]
        return sa.or_(*bare)

    def values(self, table: sa.Table, key: MaskKey | None = None) -> dict[str, sa.ColumnElement[Any]]:
        """Return what the UPDATE writes; a value that is masked already is kept.

        Args:
            table: as it was reflected.
            key: for strategies that need one.

        Raises:
            InvalidPolicy: a strategy needs a key, and none was given.

        """
        written = {name: _put_on(table.c[name], strategy, key) for name, strategy in self.strategies.items()}
        if self.marker is not None:
            written[self.marker] = _MARKS[kind_of(table.c[self.marker])]()
        return written


def masks_of(specs: Mapping[str, Any], marker: str | None = None) -> Masks:
    """Return the masks that a policy writes so.

    Raises:
        InvalidPolicy: a strategy that there is not, or one that cannot be recognised without a marker.

    """
    strategies = {str(name): _named(str(name), spec) for name, spec in specs.items()}
    return Masks(strategies=strategies, marker=marker)


def can_mark(column: sa.Column[Any]) -> bool:
    """Say whether a column is of a type that can be a marker."""
    return kind_of(column) in _MARKS


def _named(column: str, spec: Any) -> Strategy:
    try:
        return strategy_of(spec)
    except InvalidPolicy as error:
        message = f"mask of column {column}: {error}"
        raise InvalidPolicy(message) from None


def _bare(column: sa.Column[Any], strategy: Strategy) -> sa.ColumnElement[bool]:
    """Return the rows in which a value is there and not masked."""
    recognised = strategy.recognises(column)
    if recognised is None:
        message = f"nobody can tell by looking whether {column.name} is masked; name a marker_column"
        raise InvalidPolicy(message)
    return sa.and_(column.is_not(None), sa.not_(recognised))


def _put_on(column: sa.Column[Any], strategy: Strategy, key: MaskKey | None) -> sa.ColumnElement[Any]:
    recognised = strategy.recognises(column)
    keep = column.is_(None) if recognised is None else sa.or_(column.is_(None), recognised)
    written = strategy.expression(column, key)
    return sa.case((keep, column), else_=in_unicode(written) if kind_of(column) is Kind.TEXT else written)
