"""A small memory that forgets: nothing stays in it for longer than its time."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values by key, each for so many seconds after it was put there."""

    def __init__(self, *, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._values: dict[Key, tuple[float, Value]] = {}

    def get(self, key: Key) -> Value | None:
        """Return a value whose time is not over."""
        until, value = self._values.get(key, (float("-inf"), None))
        if self._clock() < until:
            return value
        self._values.pop(key, None)
        return None

    def put(self, key: Key, value: Value) -> None:
        """Remember a value; when there are too many, all others are forgotten."""
        if len(self._values) >= self._most:
            self._values.clear()
        self._values[key] = (self._clock() + self._seconds, value)

    def drop(self, key: Key) -> None:
        """Forget a value."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()

    def all(self) -> list[Value]:
        """Return every value whose time is not over."""
        return [value for key in list(self._values) if (value := self.get(key)) is not None]
