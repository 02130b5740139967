"""One cache of compiled statements for the engines of all tests.

An engine compiles each statement once, and a process of Aegis keeps its engines; a test has engines of its
own, so that thousands of tests would compile the same few hundred statements again.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.util import LRUCache


class _Shared:
    """Finds a statement by the kind of its dialect, where an engine asks for its own dialect."""

    def __init__(self, kept: LRUCache[Any, Any]) -> None:
        self._kept = kept

    def get(self, key: tuple[Any, ...]) -> Any:
        """Return a compiled statement, or None."""
        return self._kept.get(_by_kind(key))

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        self._kept[_by_kind(key)] = compiled


def _by_kind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *others = key
    return (type(dialect), *others)


def sharing(create: Callable[..., sa.Engine]) -> Callable[..., sa.Engine]:
    """Return `create_engine` with engines that share what they compile."""
    shared = _Shared(LRUCache(2000))

    def made(*args: Any, **words: Any) -> sa.Engine:
        engine = create(*args, **words)
        engine._compiled_cache = shared  # type: ignore[assignment]  # noqa: SLF001 - SQLAlchemy gives its engines no other way
        return engine

    return made
