"""What a column can hold, judged by its type: whether a person's own words could stand in it."""

from typing import Any, Final

import sqlalchemy as sa

#: No room for a name, an address or a text. An enumeration's words are the schema's own.
_BOUND: Final[tuple[type[Any], ...]] = (
    sa.Enum,
    sa.Integer,
    sa.Numeric,
    sa.Float,
    sa.Boolean,
    sa.Date,
    sa.Time,
    sa.DateTime,
    sa.Interval,
    sa.Uuid,
)
#: The same, of types that one database alone has.
_BOUND_NAMES: Final = frozenset(
    {"INTERVAL", "MONEY", "OID", "SET", "YEAR", "BIT", "INT4RANGE", "INT8RANGE", "NUMRANGE"}
    | {"DATERANGE", "TSRANGE", "TSTZRANGE"}
)


def is_free(kind: sa.types.TypeEngine[Any]) -> bool:
    """Say whether a column of this type may hold what somebody wrote, or an address of a network.

    Text, JSON, bytes, network addresses and lists of them do; so does every type that is not known
    to hold something else.
    """
    if isinstance(kind, sa.ARRAY):
        return is_free(kind.item_type)
    if kind.__visit_name__ == "DOMAIN":
        return is_free(kind.data_type)  # type: ignore[attr-defined]
    return not isinstance(kind, _BOUND) and kind.__visit_name__ not in _BOUND_NAMES
