"""What a column's declared type leaves room for: the type guard, and which columns are looked into."""

import enum
import re
from typing import Any, Final

import sqlalchemy as sa


class Family(enum.StrEnum):
    """A kind of type, the same on every database."""

    #: Text that a person types into one line.
    TEXT = "text"
    #: Text without a bound: bodies, notes, descriptions; any text of a database that has one type only.
    LONG_TEXT = "long text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    MOMENT = "moment"
    TIME = "time"
    UUID = "uuid"
    NETWORK = "network address"
    MAC = "hardware address"
    JSON = "json"
    BYTES = "bytes"
    ENUM = "enumeration"
    SHAPE = "shape"
    #: A search vector, a range, bits: derived, or no room for a value of somebody's own.
    DERIVED = "derived"
    #: Nothing is known of it: it may hold anything.
    UNKNOWN = "unknown"


#: Short and long text, and what may be text.
TEXTS: Final = frozenset({Family.TEXT, Family.LONG_TEXT, Family.UNKNOWN})
#: What sampling reads: text in whatever form. Whole numbers, UUIDs and times say nothing about a person.
READ: Final = TEXTS | {Family.JSON}

_NAMES: Final = {
    Family.TEXT: "varchar varchar2 nvarchar nvarchar2 char nchar bpchar character citext string tinytext "
    "name",
    Family.LONG_TEXT: "text longtext mediumtext ntext clob nclob xml hstore long",
    Family.INTEGER: "int integer bigint smallint tinyint mediumint int2 int4 int8 serial bigserial "
    "smallserial serial4 serial8 oid year unsigned",
    Family.NUMBER: "numeric decimal dec number float float4 float8 real double money smallmoney fixed",
    Family.BOOLEAN: "bool boolean bit",
    Family.DATE: "date daterange",
    Family.MOMENT: "timestamp timestamptz datetime datetime2 datetimeoffset smalldatetime tstzrange tsrange",
    Family.TIME: "time timetz interval",
    Family.UUID: "uuid uniqueidentifier guid",
    Family.NETWORK: "inet cidr inet4 inet6",
    Family.MAC: "macaddr macaddr8",
    Family.JSON: "json jsonb jsonpath",
    Family.BYTES: "bytea blob longblob mediumblob tinyblob binary varbinary image raw bytes",
    Family.ENUM: "enum set",
    Family.SHAPE: "geometry geography point polygon multipolygon multipoint linestring multilinestring "
    "geometrycollection lseg path box circle line st_point",
    Family.DERIVED: "tsvector tsquery int4range int8range numrange int4multirange varbit vector halfvec "
    "ltree pg_lsn xid regclass rowversion",
}
_FAMILIES: Final = {name: family for family, names in _NAMES.items() for name in names.split()}
_SPELLED: Final = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*)[^(\[]*(?:\((\d+)(?:\s*,[^)]*)?\))?")
_BOOLEAN: Final = re.compile(r"\s*(tinyint|bit)\s*\(\s*1\s*\)", re.IGNORECASE)


def family_of(spelled: str) -> Family:
    """Return the family of a type as SQL spells it: `varchar(20)`, `timestamp with time zone`, `text[]`."""
    if _BOOLEAN.match(spelled):
        return Family.BOOLEAN
    found = _SPELLED.match(spelled)
    return _FAMILIES.get(found[1].lower(), Family.UNKNOWN) if found else Family.UNKNOWN


def length_of(spelled: str) -> int | None:
    """Return the room of a text type in characters; None where it has no bound, or is no text."""
    found = _SPELLED.match(spelled)
    if not found or found[2] is None or family_of(spelled) not in {Family.TEXT, Family.BYTES}:
        return None
    return int(found[2])


def is_list(spelled: str) -> bool:
    """Say whether a type is an array."""
    return spelled.rstrip().endswith("]") or spelled.lower().startswith("array")


def spelled(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    """Return a reflected type as SQL spells it; `enum` for an enumeration, `unknown` where nobody knows."""
    if isinstance(kind, sa.ARRAY):
        return f"{spelled(kind.item_type, dialect)}[]"
    if isinstance(kind, sa.Enum) or kind.__visit_name__ in {"ENUM", "SET"}:
        return "enum"
    if isinstance(kind, sa.types.NullType):
        return "unknown"
    try:
        text = kind.compile(dialect=dialect)
    except sa.exc.CompileError:
        return "unknown"
    # What orders and compares a text says nothing about what is in it.
    return re.split(r" (?:COLLATE|CHARACTER SET) ", text)[0].lower()
