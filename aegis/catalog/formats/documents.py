"""JSON documents of other tools: read, and refused in one sentence where they are something else."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aegis.errors import InvalidFile


def parsed(text: str, file: str) -> Any:
    """Return what a text is as JSON.

    Raises:
        InvalidFile: it is none.

    """
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise InvalidFile([f"{file}:{line}: this is no JSON"]) from None


def items_of(data: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of a list, of one page of an API's answer, or the one that there is."""
    if isinstance(data, Mapping):
        data = data.get("data", [data])
    yield from data


def wrong(file: str, expected: str) -> InvalidFile:
    """Return the error for a file that is something else."""
    return InvalidFile([f"{file}:1: expected {expected}"])
