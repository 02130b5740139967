"""Conditions: the allow-list, literals that fit their columns, and one meaning in three-valued logic."""

import dataclasses
import datetime as dt
import decimal
import operator
import random
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.sql import visitors

from aegis.datamap.conditions import parse_condition
from aegis.datamap.literals import is_flag
from aegis.errors import InvalidCondition, UnknownName, UsageError
from tests.repeats import examples

DDL = """CREATE TABLE events (
    id INTEGER PRIMARY KEY, n INTEGER, m BIGINT, price NUMERIC(10, 2), note TEXT, code VARCHAR(3),
    done BOOLEAN, held BOOLEAN, day DATE, at DATETIME, body BLOB, extra JSON, "User" TEXT, "or" INTEGER,
    "Twin" INTEGER, "we ird" INTEGER)"""
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class World:
    """A real SQLite table and what it holds."""

    connection: sa.Connection
    table: sa.Table
    rows: list[Row]

    def selected(self, text: str) -> set[int]:
        """The ids of the rows that a condition selects."""
        condition = parse_condition(text, self.table)
        return set(self.connection.scalars(sa.select(self.table.c.id).where(condition.expression)))


def _rows() -> list[Row]:
    chance = random.Random(7)  # noqa: S311
    texts = ["", "a", "A", "ab", "aXb", "a%b", "a_b", "a*b", "a[b", "a\\b", "ä", "it's", "x!y"]
    days = [dt.date(2024, 1, day) for day in (1, 2, 3)]
    moments = [dt.datetime(2024, 1, 1, 0, 0, 0, micro) for micro in (0, 1, 500_000)]  # noqa: DTZ001
    choices: dict[str, list[Any]] = {
        "n": [-2, -1, 0, 1, 2, 2**40],
        "m": [-1, 0, 1],
        "price": [-1.5, 0, 0.25, 2],
        "note": texts,
        "code": ["a", "b", "ab"],
        "done": [0, 1],
        "held": [0, 1],
        "day": [day.isoformat() for day in days],
        "at": [moment.isoformat(sep=" ", timespec="microseconds") for moment in moments],
    }
    return [
        {"id": number, **{name: chance.choice([None, *values]) for name, values in choices.items()}}
        for number in range(1, 121)
    ]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The table `events`, reflected, with 120 rows of every kind of value and NULLs."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(DDL)
        table = sa.Table("events", sa.MetaData(), autoload_with=connection)
        rows = _rows()
        names = list(rows[0])
        marks = ", ".join(f":{name}" for name in names)
        connection.execute(sa.text(f"INSERT INTO events ({', '.join(names)}) VALUES ({marks})"), rows)  # noqa: S608
        yield World(connection, table, rows)
    engine.dispose()


@pytest.fixture(scope="module")
def typed() -> sa.Table:
    """A table of the types that SQLite does not reflect."""
    return sa.Table(
        "people",
        sa.MetaData(),
        sa.Column("seen", sa.DateTime(timezone=True)),
        sa.Column("made", sa.DateTime()),
        sa.Column("key", sa.Uuid()),
        sa.Column("mood", sa.Enum("calm", "cross", name="mood")),
        sa.Column("tags", sa.ARRAY(sa.String())),
        sa.Column("took", sa.Interval()),
        sa.Column("size", sa.Float()),
        sa.Column("rank", sa.SmallInteger()),
        sa.Column("seen2", sa.DateTime(timezone=True)),
        sa.Column("Same", sa.Integer()),
        sa.Column("same", sa.Integer()),
        sa.Column("SAME2", sa.Integer()),
        sa.Column("same2", sa.Integer()),
    )


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("n = 1", '"n" = 1'),
        ("  N=1 ", '"n" = 1'),
        ('"n"=001', '"n" = 1'),
        ("EVENTS.n = 1", '"n" = 1'),
        ("(((n = (1))))", '"n" = 1'),
        ("1 < n", '"n" > 1'),
        ("-1 >= n", '"n" <= -1'),
        ("n != - 1", '"n" <> -1'),
        ("n = -0", '"n" = 0'),
        ("price = .50", '"price" = 0.5'),
        ("price = 2.00", '"price" = 2'),
        ("price > n", '"price" > "n"'),
        ("note = 'it''s'", "\"note\" = 'it''s'"),
        ("note = '--; /* $1 :x ? %s'", "\"note\" = '--; /* $1 :x ? %s'"),
        ("done", '"done"'),
        ("not done", 'NOT "done"'),
        ("not (not done)", '"done"'),
        ("done = true", '"done" = TRUE'),
        ("done IS NOT false", '"done" IS NOT FALSE'),
        ("n is null", '"n" IS NULL'),
        ("not n is null", '"n" IS NOT NULL'),
        ("n IS\tNOT\nNULL", '"n" IS NOT NULL'),
        ("body is null", '"body" IS NULL'),
        ("extra is not null", '"extra" IS NOT NULL'),
        ("(n = 1) is not true", '("n" = 1) IS NOT TRUE'),
        ("n = 1 is true", '("n" = 1) IS TRUE'),
        ("n in (3,1, 2,1)", '"n" IN (1, 2, 3)'),
        ("not n in (1)", '"n" NOT IN (1)'),
        ("n between -1 and 2", '"n" BETWEEN -1 AND 2'),
        ("n not between 1 and 2", '"n" NOT BETWEEN 1 AND 2'),
        ("note like 'a\\_b%'", "\"note\" LIKE 'a!_b%' ESCAPE '!'"),
        ("note not like 'a#%!' escape '#'", "\"note\" NOT LIKE 'a!%!!' ESCAPE '!'"),
        ("note like 'a\\b'", "\"note\" LIKE 'ab' ESCAPE '!'"),
        ("n=1 and m=2 and done", '("n" = 1 AND "m" = 2 AND "done")'),
        ("n=1 and (m=2 and done)", '("n" = 1 AND "m" = 2 AND "done")'),
        ("n=1 or m=2 and done", '("n" = 1 OR ("m" = 2 AND "done"))'),
        ("not (n=1 or m=2)", 'NOT ("n" = 1 OR "m" = 2)'),
        ("not (not (n=1 or m=2)) or done", '("n" = 1 OR "m" = 2 OR "done")'),
        ("(not (not done)) is true", '"done" IS TRUE'),
        ("not n=1 or m=2", '(NOT "n" = 1 OR "m" = 2)'),
        ("day < '2024-01-31'", "\"day\" < '2024-01-31'"),
        ("at >= '2024-01-31T10:00'", "\"at\" >= '2024-01-31 10:00:00'"),
        ("\"user\" = 'x'", "\"User\" = 'x'"),
        ('"or" = 1', '"or" = 1'),
        ('"we ird" = 1', '"we ird" = 1'),
        ("twin = 1", '"Twin" = 1'),
    ],
)
def test_what_is_allowed_has_one_canonical_text(world: World, text: str, canonical: str) -> None:
    """Blanks, keyword case, quoting, order of sides and superfluous parentheses make no difference."""
    condition = parse_condition(text, world.table)
    assert condition.canonical == canonical
    assert parse_condition(canonical, world.table).canonical == canonical
    assert condition.columns == set(re.findall(r'"([^"]+)"', re.sub(r"'(?:[^']|'')*'", "", canonical)))


REFUSED: dict[str, list[Any]] = {
    "it has a second statement": ["n = 1; DROP TABLE events", "n = 1;", ";"],
    "it has a comment": ["n = 1 -- x", "n = 1 /* x */", "n = /**/ 1", "--"],
    "it calls the function": [
        "now() > at",
        "coalesce(n, 0) = 0",
        "length(note) > 3",
        "n = abs(1)",
        "cast(n as text) = '1'",
        '"pg_sleep"(1)',
        "count (n) = 1",
        "exists (select 1)",
        "n = any (m)",
        "n in unnest(m)",
        "xor(done, held)",
        "any(done)",
    ],
    "is a function; a column of that name": ["current_date > day", "user = 'x'", "at < CURRENT_TIMESTAMP"],
    "it has a placeholder": [
        "n = :x",
        "n = ?",
        "n = $1",
        "n = %s",
        "n = @x",
        "n::text = '1'",
        "note = $$x$$",
    ],
    "a string stands behind": [
        "note ilike 'x'",
        "note similar to 'x'",
        "note regexp 'x'",
        "note = E'x'",
        "note = N'x'",
        "note = b'1'",
        "day = date '2020-01-01'",
        "at < timestamp '2020-01-01'",
        "note = interval '1'",
    ],
    "has a star": ["*", "events.* = 1", "n * 2 = 4", "count(*) = 1"],
    "a concatenation": ["note || 'x' = 'ax'"],
    "a JSON extract": ["extra -> 'k' = '1'", "extra->>'k' = '1'", "n->1 = 1"],
    "the sign": [
        "n == 1",
        "n + 1 = 2",
        "n / 2 = 1",
        "n # 1 = 1",
        "n <=> 1",
        "n =< 1",
        "`n` = 1",
        "n = 1\\",
        "n != !1",
    ],
    "it has SUB": ["n - 1 = 2", "n = 1 - 1"],
    "it has SUBQUERY|IN with QUERY": ["n in (select 1)", "n = (select 1)"],
    "it has TUPLE|cannot be read": ["(n, m) = (1, 2)", "(n, m) in (1, 2)"],
    "it has CASE|cannot be read": ["case when done then held end"],
    "neither a column nor a keyword": ["n isnull", "done is unknown"],
    "SYMMETRIC": ["n between symmetric 2 and 1"],
    "it has NULLSAFE": ["n is distinct from 1", "n is not distinct from 1"],
    "it has COLLATE": ["note collate nocase = 'x'"],
    "cannot be read": [
        "note like 'a' escape 1",
        "n = 1 garbage",
        "n = 1 garbage more",
        "n =",
        "and",
        "n = 1 and",
        "((n = 1)",
        "n = 1)",
        "= 1",
        "select n",
    ],
    "NOT twice": ["not not done", "n = 1 and not  NOT done"],
    "a comma too many": ["n in (1,)"],
    "IN needs a list": ["n in ()"],
    "it has IN with FIELD": ["n in m", "n in 1"],
    "the sign|a number that is not": ["n = 1e5", "n = 0x1F", "n = 1_000", "n = 1.", "n = \u0663"],
    "a string without its end": ["note = 'x", "note = '"],
    "a name without its end": ['"n = 1', '"" = 1'],
    "it is empty": ["", "   \n", None, 5],
    "no text": ["note = '\x00'", "note = '\ud800'", "n = 1" + " " * 4_000],
    "more than 1000 words": ["n in (" + "1," * 600 + "1)"],
    "nested more than": ["(" * 40 + "n = 1" + ")" * 40],
    "a comparison needs a column": [
        "1 = 1",
        "'a' = 'a'",
        "n = 1 = true",
        "n < 1 < m",
        "(n = 1) = true",
        "n in (m)",
        "done = (n = 1)",
        "n = -m",
        "n = - - 1",
        "not n = not m",
        "n between m and 2",
    ],
    "a value stands where": ["1", "'x'", "null", "true", "done and true", "done or 1", "n = 1 or null"],
    "n is INTEGER, not a boolean": ["n", "done and n", "not n"],
    "IS TRUE needs a boolean": ["n is true", "note is not true"],
    "IS is followed by NULL, TRUE or FALSE": ["n is 1", "n is m", "note is 'a'", "done is (true)"],
    "it has JSON": ["n is json"],
    "compared with NULL": ["n = null", "n <> null", "n in (1, null)", "n between null and 2", "null = n"],
    "compare it with a whole number": [
        "n = '1'",
        "n = true",
        "n = 1.5",
        "n = 1.0",
        "n = 99999999999999999999",
        "n in (1, 'x')",
    ],
    "compare it with a number": ["price = '1'", "price = true", "price = " + "9" * 39],
    "compare it with a string": ["note = 1", "note < true", "note in ('a', 1)"],
    "compare it with TRUE or FALSE": ["done = 1", "done = 'true'", "done in (0, 1)"],
    "compare it with a date": [
        "day = '2024-13-01'",
        "day = '20240101'",
        "day = 'today'",
        "day = 20240101",
        "day < '2024-01-01 10:00'",
    ],
    "compare it with a time without a zone": [
        "at < '2024-01-01T00:00:00Z'",
        "at < '2024-01-01 00:00+02:00'",
        "at < 'now'",
        "at < 'infinity'",
        "at < 0",
        "at = '2024-02-30'",
        "at = '2024-01-01 10'",
        "at = '\uff12024-01-01'",
    ],
    "are of different kinds": ["n = note", "day = at", "done = n"],
    "compared with =, <> and IN": ["done > false", "done between false and true"],
    "LIKE needs a text column and a string": [
        "n like '1'",
        "note like code",
        "note like 1",
        "at like '2024%'",
    ],
    "ends with its escape": ["note like 'a\\'", "note like 'a!' escape '!'"],
    "takes one character": ["note like 'a' escape ''", "note like 'a' escape 'ab'"],
    "cannot compare": ["body = 'x'", "extra = '{}'", "extra = extra"],
}


@pytest.mark.parametrize(
    ("reason", "text"), [(reason, text) for reason, texts in REFUSED.items() for text in texts]
)
def test_what_is_not_allowed_is_refused_with_its_reason(world: World, reason: str, text: Any) -> None:
    """What is outside the allow-list, or what a database would puzzle over, is refused."""
    with pytest.raises(InvalidCondition, match=reason) as caught:
        parse_condition(text, world.table)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    "text", ["nothing = 1", "done and nothing", "other.n = 1", "main.events.n = 1", '"n " = 1']
)
def test_an_unknown_name_is_refused_with_the_names_there_are(world: World, text: str) -> None:
    """A misspelt column names the columns of the table, a foreign table the one there is."""
    with pytest.raises(UsageError, match=r"it has: id, n, m, price|'events' only|COLUMN with DB"):
        parse_condition(text, world.table)


def test_a_name_that_fits_several_columns_is_refused(typed: sa.Table) -> None:
    """An exact name wins; another case must fit one column only."""
    assert parse_condition("same = 1", typed).columns == {"same"}
    assert parse_condition('"Same" = 1', typed).columns == {"Same"}
    with pytest.raises(UnknownName, match="several columns 'Same2'"):
        parse_condition('"Same2" = 1', typed)


@pytest.mark.parametrize(
    ("text", "canonical", "value"),
    [
        (
            "seen < '2024-01-01T02:00:00+02:00'",
            "\"seen\" < '2024-01-01 00:00:00+00:00'",
            dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        ),
        ("seen < '2024-01-01Z'", None, None),
        ("made < '2024-01-01'", "\"made\" < '2024-01-01 00:00:00'", dt.datetime(2024, 1, 1)),  # noqa: DTZ001
        (
            "key = '{0000000000000000000000000000000A}'",
            "\"key\" = '00000000-0000-0000-0000-00000000000a'",
            uuid.UUID(int=10),
        ),
        ("mood <> 'calm'", "\"mood\" <> 'calm'", "calm"),
        ("size <= 0.10", '"size" <= 0.1', decimal.Decimal("0.1")),
        ("rank = 70000", '"rank" = 70000', 70_000),
        ("seen = seen2", '"seen" = "seen2"', None),
        ("tags is null", '"tags" IS NULL', None),
    ],
)
def test_a_literal_is_bound_as_its_columns_type(
    typed: sa.Table, text: str, canonical: str | None, value: object
) -> None:
    """Times, UUIDs, enums and decimals reach the database as values of their kind."""
    if canonical is None:
        with pytest.raises(InvalidCondition, match="offset"):
            parse_condition(text, typed)
        return
    condition = parse_condition(text, typed)
    assert condition.canonical == canonical
    bound = [
        item.value for item in visitors.iterate(condition.expression) if isinstance(item, sa.BindParameter)
    ]
    assert bound == ([] if value is None else [value])


@pytest.mark.parametrize(
    "text",
    [
        "seen < '2024-01-01 00:00:00'",
        "seen < '0001-01-01T00:00:00+10:00'",
        "made < '2024-01-01T00:00:00+00:00'",
        "seen = made",
        "key = 'x'",
        "key > '00000000-0000-0000-0000-00000000000a'",
        "mood = 'angry'",
        "mood < 'calm'",
        "mood like 'c%'",
        "mood = mood",
        "tags = '{}'",
        "took < '1 day'",
        "key = made",
    ],
)
def test_a_literal_that_does_not_fit_its_column_is_refused(typed: sa.Table, text: str) -> None:
    """What the database would refuse, or read by its session, is refused here."""
    with pytest.raises(InvalidCondition):
        parse_condition(text, typed)


def test_a_one_byte_integer_is_a_flag_on_mariadb() -> None:
    """MariaDB keeps booleans in TINYINT, so TRUE and FALSE compare with it as 1 and 0."""
    kind = type("TINYINT", (sa.Integer,), {"__visit_name__": "TINYINT"})()
    table = sa.Table("t", sa.MetaData(), sa.Column("on", kind), sa.Column("n", sa.Integer()))
    assert is_flag(table.c.on)
    assert not is_flag(table.c.n)
    assert parse_condition('"on" = TRUE AND "on" IS NOT FALSE AND "on" = 1', table).columns == {"on"}


@pytest.mark.parametrize("name", ["CITEXT", "SET"])
def test_a_type_that_each_database_compares_in_its_own_way(name: str) -> None:
    """Only whether it is there can be asked, although it is a text."""
    kind = type(name, (sa.Text,), {"__visit_name__": name})()
    table = sa.Table("t", sa.MetaData(), sa.Column("c", kind))
    assert parse_condition("c IS NOT NULL", table).columns == {"c"}
    with pytest.raises(
        InvalidCondition, match=f"c is {name}, which a condition cannot compare; only IS NULL"
    ):
        parse_condition("c = 'a'", table)


@pytest.mark.parametrize(
    ("stored", "selected"),
    [
        ("2024-01-01 10:00:00", True),
        ("2024-01-01T10:00:00", True),
        ("2024-01-01 10:00:00.0", True),
        ("2024-01-01T10:00:00.000000Z", True),
        ("2024-01-01 10:00:00+00:00", True),
        ("2024-01-01 10:00:00.000001", False),
        ("2024-01-01T10:00:00.001Z", False),
        ("2024-01-01", True),
        ("2024-01-02", False),
        ("2024-01-01 09:59:59.999999", True),
        ("2024-01-01T10:00:00+02:00", None),
        ("2024-01-01 10:00:00.x", None),
        ("soon", None),
        ("", None),
        (5, None),
        (None, None),
    ],
)
def test_times_in_sqlite_compare_as_times_and_not_as_text(stored: object, selected: bool | None) -> None:  # noqa: FBT001
    """Every known form compares by its value; what is no known time is neither selected nor excluded."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (at DATETIME)")
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", (stored,))
        table = sa.Table("t", sa.MetaData(), autoload_with=connection)
        for text, expected in (
            ("at <= '2024-01-01 10:00'", selected is True),
            ("not at <= '2024-01-01 10:00'", selected is False),
        ):
            query = (
                sa.select(sa.func.count()).select_from(table).where(parse_condition(text, table).expression)
            )
            assert connection.scalar(query) == int(expected)
    engine.dispose()


@dataclasses.dataclass(frozen=True)
class Node:
    """A generated condition: how it is written, and what it means."""

    write: Callable[[random.Random], str]
    value: Callable[[Row], bool | None]
    #: 0 OR, 1 AND, 2 NOT, 3 everything that binds tighter.
    level: int = 3


SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
VALUES: dict[str, list[Any]] = {
    "n": [-2, -1, 0, 1, 2, 2**40],
    "price": [decimal.Decimal("-1.5"), decimal.Decimal(0), decimal.Decimal("0.25"), decimal.Decimal(2)],
    "note": ["", "a", "A", "a%b", "it's", "ä", "a\\b"],
    "day": [dt.date(2024, 1, day) for day in (1, 2, 3)],
    "at": [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 1)],  # noqa: DTZ001
}


def literal(value: object, chance: random.Random) -> str:
    """A value as it may be written."""
    if isinstance(value, int | decimal.Decimal):
        return chance.choice(["{}", "({})"]).format(value)
    return "'" + str(value).replace("'", "''") + "'"


def word(text: str, chance: random.Random) -> str:
    """A keyword or a plain name in some case, among some blanks."""
    text = chance.choice([text, text.upper(), text.lower(), text.title()])
    return chance.choice(["", " ", "\n"]) + " " + text + " " + chance.choice(["", "\t"])


def name(column: str, chance: random.Random) -> str:
    """A column as it may be written."""
    return chance.choice(
        [column, column.upper(), f'"{column}"', f"events.{column}", f'"events" . {column}', f"({column})"]
    )


def stored(row: Row, column: str) -> Any:
    """A row's value as Python compares it."""
    value = row[column]
    if value is None or column not in {"day", "at"}:
        return value
    return dt.date.fromisoformat(value) if column == "day" else dt.datetime.fromisoformat(value)


def unless_null(row: Row, column: str, test: Callable[[Any], bool]) -> bool | None:
    """UNKNOWN for a NULL, else the test."""
    value = stored(row, column)
    return None if value is None else test(value)


COLUMNS = st.sampled_from(sorted(VALUES))


@st.composite
def comparisons(draw: st.DrawFn) -> Node:
    """A column against a literal, either way round."""
    column, sign = draw(COLUMNS), draw(st.sampled_from(sorted(SIGNS)))
    wanted, flip = draw(st.sampled_from(VALUES[column])), draw(st.booleans())

    def write(chance: random.Random) -> str:
        sides = [name(column, chance), sign, literal(wanted, chance)]
        sides = [sides[2], MIRRORED.get(sign, sign), sides[0]] if flip else sides
        # PostgreSQL would read !=- as one operator.
        return ("" if sign != "!=" and chance.random() < 0.5 else " ").join(sides)

    return Node(write, lambda row: unless_null(row, column, lambda value: SIGNS[sign](value, wanted)))


@st.composite
def memberships(draw: st.DrawFn) -> Node:
    """IN and BETWEEN, with and without NOT."""
    column, negate = draw(COLUMNS), draw(st.booleans())
    wanted = draw(st.lists(st.sampled_from(VALUES[column]), min_size=2, max_size=4))
    inside, no = draw(st.booleans()), "not" if negate else ""

    def write(chance: random.Random) -> str:
        shown = [literal(value, chance) for value in wanted]
        start = name(column, chance) + word(no, chance)
        if inside:
            return start + word("in", chance) + "(" + ", ".join(shown) + ")"
        return start + word("between", chance) + shown[0] + word("and", chance) + shown[1]

    def test(value: Any) -> bool:
        return (value in wanted if inside else wanted[0] <= value <= wanted[1]) is not negate

    return Node(write, lambda row: unless_null(row, column, test))


@st.composite
def patterns(draw: st.DrawFn) -> Node:
    """LIKE over characters that patterns of other databases would take as theirs."""
    pieces = draw(st.lists(st.sampled_from([*"ab%_AX*?[]^!'ä", "\\\\", "\\%", "\\_", "\\a"]), max_size=5))
    negate, custom = draw(st.booleans()), draw(st.booleans())
    shapes = {"%": ".*", "_": "."}
    shape = re.compile("".join(shapes.get(piece) or re.escape(piece[-1]) for piece in pieces), re.DOTALL)

    def write(chance: random.Random) -> str:
        text = "".join(pieces).replace("'", "''")
        if custom:
            text = "".join(piece.replace("\\", "#", 1) for piece in pieces).replace("'", "''")
        tail = word("escape", chance) + "'#'" if custom else ""
        return (
            name("note", chance)
            + word("not" if negate else "", chance)
            + word("like", chance)
            + f"'{text}'"
            + tail
        )

    return Node(
        write, lambda row: unless_null(row, "note", lambda value: bool(shape.fullmatch(value)) is not negate)
    )


@st.composite
def others(draw: st.DrawFn) -> Node:
    """Bare booleans, IS on columns, and columns against each other."""
    column, negate = draw(st.sampled_from(["done", "held"])), draw(st.booleans())
    any_column, wanted = draw(COLUMNS), draw(st.booleans())
    no = "not" if negate else ""
    sign = draw(st.sampled_from(sorted(SIGNS)))

    def pair(row: Row) -> bool | None:
        return None if row["n"] is None or row["m"] is None else SIGNS[sign](row["n"], row["m"])

    def flag(row: Row) -> bool | None:
        return None if row[column] is None else bool(row[column])

    return draw(
        st.sampled_from(
            [
                Node(lambda chance: name(column, chance), flag),
                Node(lambda chance: f"{name('n', chance)} {sign} {name('m', chance)}", pair),
                Node(
                    lambda chance: (
                        name(any_column, chance)
                        + word("is", chance)
                        + word(no, chance)
                        + word("null", chance)
                    ),
                    lambda row: (row[any_column] is None) is not negate,
                ),
                Node(
                    lambda chance: (
                        name(column, chance)
                        + word("is", chance)
                        + word(no, chance)
                        + word(str(wanted), chance)
                    ),
                    lambda row: (flag(row) is wanted) is not negate,
                ),
                Node(
                    lambda chance: f"{name(column, chance)} = {wanted}",
                    lambda row: None if row[column] is None else bool(row[column]) is wanted,
                ),
            ]
        )
    )


def wrapped(node: Node, level: int, chance: random.Random) -> str:
    """A part of a condition, in parentheses where it needs them and now and then where not."""
    text = node.write(chance)
    return f"({text})" if node.level < level or chance.random() < 0.2 else text


def both(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001
    """SQL's AND."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def inverse(value: bool | None) -> bool | None:  # noqa: FBT001
    """SQL's NOT."""
    return None if value is None else not value


def joined(left: Node, right: Node, *, conjunction: bool) -> Node:
    """Two conditions with AND or OR between them."""
    level = 1 if conjunction else 0

    def value(row: Row) -> bool | None:
        first, second = left.value(row), right.value(row)
        return both(first, second) if conjunction else inverse(both(inverse(first), inverse(second)))

    def write(chance: random.Random) -> str:
        middle = word("and" if conjunction else "or", chance)
        return wrapped(left, level, chance) + middle + wrapped(right, level, chance)

    return Node(write, value, level)


def negated(node: Node) -> Node:
    """NOT; a NOT directly inside stands in parentheses."""
    return Node(
        lambda chance: word("not", chance) + wrapped(node, 3, chance), lambda row: inverse(node.value(row)), 2
    )


def judged(node: Node, wanted: bool | None, negate: bool) -> Node:  # noqa: FBT001
    """IS [NOT] TRUE, FALSE or NULL of a whole condition."""
    tail = ["is", *(["not"] if negate else []), "null" if wanted is None else str(wanted)]
    return Node(
        lambda chance: f"({node.write(chance)})" + "".join(word(part, chance) for part in tail),
        lambda row: (node.value(row) is wanted) is not negate,
    )


CONDITIONS = st.recursive(
    comparisons() | memberships() | patterns() | others(),
    lambda inner: st.one_of(
        st.builds(
            lambda left, right, kind: joined(left, right, conjunction=kind), inner, inner, st.booleans()
        ),
        st.builds(negated, inner),
        st.builds(judged, inner, st.sampled_from([True, False, None]), st.booleans()),
    ),
    max_leaves=8,
)


@given(node=CONDITIONS, seeds=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)))
@settings(max_examples=examples(600), deadline=None)
def test_a_condition_selects_what_three_valued_logic_says(
    world: World, node: Node, seeds: tuple[int, int]
) -> None:
    """The rebuilt expression selects the rows for which the condition is TRUE, however spelled."""
    texts = [node.write(random.Random(seed)) for seed in seeds]  # noqa: S311
    expected = {row["id"] for row in world.rows if node.value(row) is True}
    assert world.selected(texts[0]) == expected
    canonical = parse_condition(texts[0], world.table).canonical
    assert parse_condition(texts[1], world.table).canonical == canonical
    assert parse_condition(canonical, world.table).canonical == canonical
    assert world.selected(canonical) == expected


PLAIN = (
    "n m note done day at price nothing events . , ( ) = <> <= > - 1 2.5 'a' '2024-01-01' "
    "AND OR NOT IN BETWEEN LIKE ESCAPE IS NULL TRUE FALSE"
)
STRANGE = (
    "+ * ; :: ? :x $1 || -> SELECT FROM CASE WHEN END CAST AS DROP UNION isnull notnull symmetric "
    "unknown distinct any all exists interval date now() json -- /* E'x' \"n\" `n` 1e5"
)
SOUP = st.lists(st.sampled_from(f"{PLAIN} {STRANGE}".split()), max_size=12) | st.lists(
    st.sampled_from(PLAIN.split()), max_size=7
)


@given(text=st.text(max_size=40) | SOUP.map(" ".join))
@settings(max_examples=examples(1500), deadline=None)
def test_any_text_is_refused_or_rebuilt_from_the_table(world: World, text: str) -> None:
    """No text raises anything but a usage error, and no word of an accepted one reaches the SQL."""
    try:
        condition = parse_condition(text, world.table)
    except UsageError:
        return
    for item in visitors.iterate(condition.expression):
        assert not isinstance(item, sa.TextClause | sa.Select)
        assert not isinstance(item, sa.ColumnClause) or item.table is world.table
    compiled = str(condition.expression.compile(world.connection.engine))
    words = set(re.findall(r'"[^"]*"|\w+', re.sub(r"'[^']*'", "", compiled)))
    columns = {spelling for column in world.table.c for spelling in (column.name, f'"{column.name}"')}
    grammar = {"events", "AND", "OR", "NOT", "IN", "BETWEEN", "IS", "NULL", "GLOB"}
    moments = {"CASE", "WHEN", "THEN", "END", "rtrim", "replace", "substr"}
    assert {word for word in words if not word.isdigit()} <= columns | grammar | moments
    world.selected(text)


def test_not_inside_is_true_keeps_its_parentheses_on_postgresql(world: World) -> None:
    """IS binds more tightly than NOT, so a NULL must not turn into TRUE where booleans are native."""
    dialect = sa.create_engine("postgresql+psycopg://").dialect
    expression = parse_condition("(not note like 'x') is true", world.table).expression
    assert re.fullmatch(r"\(NOT \(.*\)\) IS true", str(expression.compile(dialect=dialect)))
