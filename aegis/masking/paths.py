"""Paths into a JSON document, as a policy writes them: `$.contact.email`, `$."e mail"`."""

import itertools
import re
from collections.abc import Iterable
from typing import Any, Final

from aegis.errors import InvalidPolicy

_KEY: Final = r'\.(?:([^\W\d][\w-]*)|"([^"\\\x00-\x1f]+)")'
_PATH: Final = re.compile(rf"\$(?:{_KEY})+")
_MOST_KEYS: Final = 20


def read_path(text: Any, strategy: str) -> tuple[str, ...]:
    """Return the keys that a path leads through.

    Raises:
        InvalidPolicy: it is none, or one that leads into an array.

    """
    if not isinstance(text, str) or not _PATH.fullmatch(text):
        message = (
            f'{strategy}: a path is $ and the keys of objects, such as $.contact.email or $."e mail"; '
            "to change what stands in an array, name the array and write it as a whole"
        )
        raise InvalidPolicy(message)
    keys = tuple(plain or quoted for plain, quoted in re.findall(_KEY, text))
    if len(keys) > _MOST_KEYS or any(re.fullmatch(r"-?\d+", key) for key in keys):
        # PostgreSQL would take a number for the place in an array.
        message = f"{strategy}: a path has at most {_MOST_KEYS} keys, none of which is a number"
        raise InvalidPolicy(message)
    return keys


def refuse_overlapping(paths: Iterable[tuple[str, ...]], strategy: str) -> None:
    """Refuse paths of which one leads into what stands at another.

    Raises:
        InvalidPolicy: there are such.

    """
    for first, second in itertools.permutations(paths, 2):
        if first == second[: len(first)]:
            message = f"{strategy}: {written(first)} and {written(second)} lead to the same; keep the first"
            raise InvalidPolicy(message)


def written(path: Iterable[str]) -> str:
    """Return a path in its one canonical form."""
    return "".join(["$", *(f".{key}" if re.fullmatch(_KEY, f".{key}") else f'."{key}"' for key in path)])
