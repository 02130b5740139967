"""Names that somebody wrote and that are not there: what was probably meant."""

import difflib
from collections.abc import Iterable
from typing import Final

_SHOWN: Final = 20


def meant(unknown: str, known: Iterable[str]) -> str:
    """Return how a sentence about an unknown name goes on: the name that is nearest, or those there are."""
    names = sorted(known)
    close = difflib.get_close_matches(unknown, names, 1, 0.6)
    if close:
        return f"did you mean {close[0]}?"
    more = ", …" if len(names) > _SHOWN else ""
    return f"known: {', '.join(names[:_SHOWN])}{more}" if names else "there is none"
