"""How many branches of `aegis/` the tests take: `coverage json -o - | python -m tests.branches`.

coverage's own share counts lines and branches together.
"""

import json
import sys
from typing import Final

#: The share of the branches that has to be taken.
LEAST: Final = 0.95


def main() -> int:
    """Print the share; 1 below the least."""
    totals = json.load(sys.stdin)["totals"]
    taken, every = totals["covered_branches"], totals["num_branches"]
    print(f"branches of aegis/: {taken:,} of {every:,} taken, {taken / every:.1%}; at least {LEAST:.0%}")  # noqa: T201
    return 0 if taken >= LEAST * every else 1


if __name__ == "__main__":
    sys.exit(main())
