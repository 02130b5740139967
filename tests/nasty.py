"""A table of each database with the types in which something gets lost on the way to a file and back.

One line a column: its name, its type, and its value in each of the rows, in the database's own words.
"""

from collections.abc import Mapping
from typing import Final

Column = tuple[str, str, str, str, str, str]

COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "postgresql": (
        ("b", "BYTEA", r"'\x00ff5c0a'::bytea", "''", "NULL", r"'\x27'"),
        ("j", "JSON", """'{"a":  1.0, "a": 2}'""", "'null'", "NULL", "'[]'"),
        ("jb", "JSONB", "'[null, {}]'", """'"x"'""", "NULL", "'{}'"),
        ("a", "TEXT[]", r"ARRAY['a,b', NULL, '', 'NULL', E'q\"\\']", "'{}'", "NULL", "'{{a,b},{c,NULL}}'"),
        ("n", "NUMERIC", "'NaN'", "'Infinity'", "1e-300", "12345678901234567890.0123456789"),
        ("m", "NUMERIC(30, 10)", "12345678901234567890.0123456789", "NULL", "-0", "0.10"),
        ("f", "DOUBLE PRECISION", "'Infinity'", "'-0'", "0.1", "5e-324"),
        ("r", "REAL", "3.4028235e38", "1.1", "16777217", "'NaN'"),
        ("w", "TIMESTAMP", "'infinity'", "'0044-03-15 12:00 BC'", "'2020-01-01 00:00:00.123456'", "NULL"),
        ("z", "TIMESTAMPTZ", "'-infinity'", "'2020-03-29 02:30+01'", "'294276-12-31 23:59 UTC'", "NULL"),
        ("d", "DATE", "'-infinity'", "'infinity'", "NULL", "'0001-01-01 BC'"),
        ("i", "INTERVAL", "'-1 year +2 mons -3 days 04:05:06.789'", "'-1 us'", "NULL", "'178000000 years'"),
        ("u", "UUID", "gen_random_uuid()", "NULL", "NULL", "NULL"),
        ("ip", "INET", "'10.0.0.1/8'", "'::1'", "NULL", "'10.0.0.1'"),
        ("c", "CHAR(8)", "'x  '", "''", "NULL", "'\u00fcn\u00ef'"),
        ("c0", "BPCHAR", "'x  '", "''", "NULL", "' '"),
        ("v", "BOOLEAN", "true", "NULL", "false", "NULL"),
        ("rg", "INT4RANGE", "'[1,5)'", "'empty'", "NULL", "'(,)'"),
        ("money", "MONEY", "12.34", "-0.01", "NULL", "1234567.89"),
        ("bits", "BIT VARYING", "B'10101'", "B''", "NULL", "B'0'"),
        ("Mixed % Case", "TEXT", r"E'm\n\t\\\u00fc'", "''", "NULL", r"E'ends \\'"),
        ("t", "TEXT", r"E'\\N'", r"E'\u20ac\r\n'", "'null'", r"E'\\.'"),
        ("s", "TSVECTOR", "'a:1 b c'", "''", "NULL", "NULL"),
        ("p", "POINT", "'(1.1,2.2)'", "NULL", "NULL", "'(Infinity,-0)'"),
        ("e", "mood", "'so so'", "'happy'", "NULL", "NULL"),
        ("pair", "pair", "'(1,)'", "'(,)'", "NULL", """'(2,"a,b")'"""),
    ),
    "mariadb": (
        ("b", "BLOB", "x'00ff5c0a'", "''", "NULL", "x'27'"),
        ("j", "JSON", """'{"a":  1.0, "a": 2}'""", "'null'", "NULL", "'[]'"),
        ("n", "DECIMAL(30, 10)", "12345678901234567890.0123456789", "-0.0000000001", "NULL", "0.10"),
        ("f", "DOUBLE", "1.7976931348623157e308", "-0.0", "5e-324", "0.1"),
        ("r", "FLOAT", "16777217", "1.1", "3.4028234e38", "-0.0"),
        ("w", "DATETIME(6)", "'2020-01-01 00:00:00.123456'", "'0000-00-00 00:00:00'", "NULL", "'2020-00-10'"),
        ("d", "DATE", "'2020-02-29'", "'0000-00-00'", "NULL", "'9999-12-31'"),
        ("i", "TIME(6)", "'-838:59:59'", "'-00:00:00.000001'", "NULL", "'12:34:56.789012'"),
        ("u", "UUID", "UUID()", "NULL", "NULL", "NULL"),
        ("ip", "INET6", "'::1'", "'10.0.0.1'", "NULL", "NULL"),
        ("c", "CHAR(8)", "'x'", "''", "NULL", "'\u00fcn\u00ef'"),
        ("v", "BIT(5)", "b'10101'", "b'0'", "NULL", "b'1'"),
        ("y", "YEAR", "1901", "0", "NULL", "2155"),
        ("e", "ENUM('a', 'b')", "'b'", "NULL", "NULL", "'a'"),
        ("st", "SET('x', 'y')", "'x,y'", "''", "NULL", "'y'"),
        ("l", "VARCHAR(20) CHARACTER SET latin1", "'\u00e4'", "''", "NULL", "'\u20ac'"),
        ("big", "BIGINT UNSIGNED", "18446744073709551615", "0", "NULL", "1"),
        ("Mixed % Case", "VARCHAR(100)", r"'m\n\t\\\u00fc'", "''", "NULL", r"'ends \\'"),
        ("t", "LONGTEXT", r"'\\N'", "'\U0001f600'", "'null'", r"'a\0b\r'"),
        ("g", "POINT", "POINT(1.1, 2.2)", "NULL", "NULL", "POINT(-0.0, 1e300)"),
        ("vb", "VARBINARY(10)", "x'00'", "''", "NULL", "x'ff'"),
    ),
    "sqlite": (
        ("b", "BLOB", "x'00ff5c0a'", "'text in a blob'", "NULL", "x''"),
        ("n", "NUMERIC", "9223372036854775807", "1.5", "'word'", "1.0"),
        ("r", "REAL", "0.1", "1e308 * 10", "-0.0", "5e-324"),
        ("i", "INTEGER", "'x'", "1.25", "NULL", "-9223372036854775808"),
        ("t", "TEXT", "'m' || char(10) || char(9) || '\u00fc'", "''", "NULL", "'\U0001f600'"),
        ("anything", "", "'10'", "10", "10.0", "x'3130'"),
        ("Mixed % Case", "VARCHAR(100)", "x'3130'", "char(0) || 'after nul'", "NULL", r"'ends \'"),
    ),
}
#: Types that the table needs.
BEFORE: Final[Mapping[str, tuple[str, ...]]] = {
    "postgresql": (
        "CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy')",
        "CREATE TYPE pair AS (one INT, other TEXT)",
    ),
    "mariadb": (),
    "sqlite": (),
}
#: The key, the clock and a column that makes itself.
AROUND: Final[Mapping[str, str]] = {
    "postgresql": (
        "id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created_at TIMESTAMPTZ, "
        "twice INT GENERATED ALWAYS AS (length(t) * 2) STORED"
    ),
    "mariadb": (
        "id BIGINT AUTO_INCREMENT PRIMARY KEY, created_at TIMESTAMP(6) NULL, "
        "twice INT GENERATED ALWAYS AS (y * 2) STORED"
    ),
    "sqlite": (
        "id INTEGER PRIMARY KEY, created_at TIMESTAMP, twice INT GENERATED ALWAYS AS (id * 2) VIRTUAL"
    ),
}


def seen(dialect: str, column: str) -> str:
    """Return the SQL that shows every bit of a column, in another way than the one that is tested."""
    if dialect == "postgresql":
        return f"coalesce(encode(convert_to({column}::text, 'UTF8'), 'hex'), 'NULL')"
    if dialect == "mariadb":
        shown = f"coalesce(hex({column}), 'NULL')"
        return f"concat({shown}, '/', {column} * 1e0)" if column in {"`f`", "`r`"} else shown
    return f"typeof({column}) || hex({column}) || quote({column})"
