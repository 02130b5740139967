"""Names: how a data map writes them, and what was probably meant by one that is not there."""

import difflib
import re
from collections.abc import Iterable
from typing import Final

_SHOWN: Final = 20
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def meant(unknown: str, known: Iterable[str]) -> str:
    """Return how a sentence about an unknown name goes on: the name that is nearest, or those there are."""
    names = sorted(known)
    close = difflib.get_close_matches(unknown, names, 1, 0.6)
    if close:
        return f"did you mean {close[0]}?"
    more = ", …" if len(names) > _SHOWN else ""
    return f"known: {', '.join(names[:_SHOWN])}{more}" if names else "there is none"


def spelled(name: str) -> str:
    """Return a name as YAML reads it back."""
    if _PLAIN.fullmatch(name) and name.lower() not in _WORDS:
        return name
    return "'" + name.replace("'", "''") + "'"
