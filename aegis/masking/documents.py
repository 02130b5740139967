"""Strategies for JSON documents: json_set, json_delete.

A path leads through the keys of objects. Where it leads to nothing, or to null, nothing is written. A text
that is no JSON becomes `{}`, and so does, on MariaDB and SQLite, an object that names a key twice on the way.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

import sqlalchemy as sa

from aegis.db import documents, edits
from aegis.errors import InvalidPolicy
from aegis.masking.constants import Default
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind
from aegis.masking.paths import read_path, refuse_overlapping, written
from aegis.masking.strategy import Outcome, Strategy

_DOCUMENTS: Final = frozenset({Kind.TEXT, Kind.DOCUMENT})


class JsonSet(Strategy):
    """What stands at a path is masked by a strategy for text, and the rest of the document stays.

    Numbers and truth values are masked as the text that JSON writes for them. An object or array becomes
    null.
    """

    name = "json_set"
    takes = _DOCUMENTS
    injective = False

    def __init__(self, argument: Any, make: Callable[[Any], Strategy]) -> None:
        if not isinstance(argument, Mapping) or not argument:
            message = f'{self.name} says what is done where: {{{self.name}: {{"$.email": surrogate}}}}'
            raise InvalidPolicy(message)
        self._inner = {read_path(path, self.name): make(spec) for path, spec in argument.items()}
        refuse_overlapping(self._inner, self.name)
        for path, strategy in self._inner.items():
            _refuse_inner(path, strategy)

    def for_subject(self, identifiers: Iterable[str]) -> Self:
        """Return the strategy whose strategies know a subject's own identifiers."""
        known = tuple(identifiers)
        made = copy.copy(self)
        made._inner = {path: strategy.for_subject(known) for path, strategy in self._inner.items()}  # noqa: SLF001 - a copy of its own
        return made

    @property
    def outcome(self) -> Outcome:  # type: ignore[override]
        """Anonymous if each strategy is."""
        kinds = {strategy.outcome for strategy in self._inner.values()}
        return "pseudonymous" if "pseudonymous" in kinds else "anonymous"

    @property
    def deterministic(self) -> bool:  # type: ignore[override]
        """Whether each strategy is."""
        return all(strategy.deterministic for strategy in self._inner.values())

    @property
    def idempotent(self) -> bool:  # type: ignore[override]
        """Whether each strategy is."""
        return all(strategy.idempotent for strategy in self._inner.values())

    @property
    def needs_key(self) -> bool:  # type: ignore[override]
        """Whether one strategy does."""
        return any(strategy.needs_key for strategy in self._inner.values())

    @property
    def linkable(self) -> str | None:  # type: ignore[override]
        """Every reason, if each strategy that needs a key has one."""
        reasons = [strategy.linkable for strategy in self._inner.values() if strategy.needs_key]
        return "; ".join(sorted({str(reason) for reason in reasons})) if reasons and all(reasons) else None

    @property
    def spec(self) -> Any:
        """The name with strategies by path."""
        return {self.name: {written(path): strategy.spec for path, strategy in sorted(self._inner.items())}}

    @property
    def label(self) -> str:
        """The name with strategies by path."""
        parts = (f"{written(path)}: {strategy.label}" for path, strategy in sorted(self._inner.items()))
        return f"{self.name} ({', '.join(parts)})"

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the document with masked values."""
        original = documents.read(column, self._inner)
        result = original
        for path, strategy in self._inner.items():
            text = _masked(original, path, strategy, key)
            result = edits.put(result, path, text, original=original)
        return edits.stored(result, column, original=original)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise a document in which every value is masked, or not there."""
        document = documents.read(column, self._inner)
        clean = [_clean(document, path, strategy) for path, strategy in self._inner.items()]
        return sa.and_(documents.as_read(column, document), *clean)


class JsonDelete(Strategy):
    """What stands at the paths is taken out of the document, and the rest stays."""

    name = "json_delete"
    outcome = "anonymous"
    takes = _DOCUMENTS
    deterministic = True
    idempotent = True
    injective = False

    def __init__(self, argument: Any) -> None:
        if not isinstance(argument, list | tuple) or not argument:
            message = f'{self.name} takes a list of paths: {{{self.name}: ["$.email"]}}'
            raise InvalidPolicy(message)
        self._paths = sorted({read_path(path, self.name) for path in argument})
        refuse_overlapping(self._paths, self.name)

    @property
    def spec(self) -> Any:
        """The name with the paths."""
        return {self.name: [written(path) for path in self._paths]}

    @property
    def label(self) -> str:
        """The name with the paths."""
        return f"{self.name} ({', '.join(written(path) for path in self._paths)})"

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the document without them."""
        del key
        original = documents.read(column, self._paths)
        result = original
        for path in self._paths:
            result = edits.without(result, path, original=original)
        return edits.stored(result, column, original=original)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise a document in which nothing stands there."""
        document = documents.read(column, self._paths)
        gone = [documents.kind_at(document, path) == "nothing" for path in self._paths]
        return sa.and_(documents.as_read(column, document), *gone)


def _refuse_inner(path: tuple[str, ...], strategy: Strategy) -> None:
    unfit = isinstance(strategy, Default | JsonSet | JsonDelete) or strategy.outcome == "unchanged"
    if unfit or Kind.TEXT not in strategy.takes:
        message = (
            f"json_set: {strategy.name} cannot mask what stands at {written(path)}; use surrogate or null"
        )
        raise InvalidPolicy(message)


def _value(document: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[str]:
    return sa.type_coerce(documents.value_at(document, path), sa.Text())


def _masked(
    document: sa.ColumnElement[Any], path: tuple[str, ...], strategy: Strategy, key: MaskKey | None
) -> sa.ColumnElement[Any]:
    """Return what is put at a path: null where no value stands, the value itself where it is masked."""
    value = _value(document, path)
    recognised = strategy.recognises(value)
    keep = [] if recognised is None else [(recognised, value)]
    return sa.case((value.is_(None), sa.null()), *keep, else_=strategy.expression(value, key))


def _clean(
    document: sa.ColumnElement[Any], path: tuple[str, ...], strategy: Strategy
) -> sa.ColumnElement[bool]:
    value, kind = _value(document, path), documents.kind_at(document, path)
    recognised = strategy.recognises(value)
    masked = sa.false() if recognised is None else sa.and_(kind == "value", recognised)
    return sa.or_(kind == "nothing", masked)
