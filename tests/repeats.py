"""How often the long tests repeat: a fifth in `make test`, in full in `make test-long`."""

import os
from typing import Final

LONG: Final = bool(os.environ.get("LONG_TESTS"))


def examples(full: int) -> int:
    """Return how many examples a property test tries."""
    return full if LONG else max(25, full // 5)
