"""Masking in turns: a portion's rows in several batches, so that most new versions stay on their page.

PostgreSQL writes a masked row as a new version. Where that finds room on its page, and no index holds
a masked column, no index is written to (HOT). A table that was filled once has full pages, and one
UPDATE of all of them writes to every index for every row; in batches it costs even more, because what
died in the batches before is looked for in each index page that fills up. So the first turn masks few
rows of each page. When they are committed their old versions make room, there, for those of the next.
"""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.indexes import indexes_over
from aegis.retention.target import Target

#: By the end of each turn so many eighths of a portion's rows are masked. A mask is often shorter than
#: what it masks: what one row leaves is room for two.
EIGHTHS: Final = (1, 3, 8)
_WHOLE: Final = EIGHTHS[-1]
LAST: Final = len(EIGHTHS) - 1


class Turns:
    """Tells which turn over its portion a batch is; one that does all of it is the last one."""

    def __init__(self, *, possible: bool) -> None:
        self._possible = possible
        #: Whether half of the portion before was due or more: among few rows nothing is won.
        self._dense = possible

    def turn(self, mark: Mapping[str, Any]) -> int:
        """Return the turn of the batch behind a mark."""
        if not self._dense:
            return LAST
        return int(mark.get("turn", 0))

    def following(self, mark: Mapping[str, Any], rows: int, size: int) -> int | None:
        """Return the turn that follows over the same portion; None when it is through.

        Args:
            mark: from which the batch was told its turn.
            rows: that it masked.
            size: rows of the portion.

        """
        turn = self.turn(mark)
        if "turn" not in mark:
            self._dense = self._possible and 2 * _WHOLE * rows >= EIGHTHS[turn] * size
        if turn == LAST:
            return None
        return turn + 1 if self._dense else LAST


def possible(connection: sa.Connection, target: Target) -> bool:
    """Whether new versions of the target's rows can stay on their page."""
    if connection.dialect.name != dialects.POSTGRESQL or target.masks is None or target.part != "bare":
        return False
    return not indexes_over(connection, target.layout.table, target.masks.columns)


def among(turn: int) -> sa.ColumnElement[bool]:
    """Return the rows of a portion whose turn has come: by their place, some of each page."""
    if turn == LAST:
        return sa.true()
    place: sa.ColumnElement[int] = sa.func.hashtid(sa.literal_column("ctid"), type_=sa.Integer)
    return place.bitwise_and(sa.literal(_WHOLE - 1, sa.Integer)) < sa.literal(EIGHTHS[turn], sa.Integer)
