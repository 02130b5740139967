"""Some at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_portions(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most so many."""
    source = iter(items)
    while some := list(islice(source, size)):
        yield some
