"""Groups of a data map: how they are read, what the live table does not bear out, and who is in one."""

import datetime as dt

import pytest
import sqlalchemy as sa

from aegis.datamap.coverage import examine
from aegis.datamap.groups import belongs
from aegis.datamap.model import Group
from aegis.datamap.reading import parse_map
from aegis.db.catalog import read_catalog
from aegis.errors import InvalidFile

NOW = dt.datetime(2027, 3, 1, 12, 0, 0, 500_000, tzinfo=dt.UTC)
TABLE = (
    """CREATE TABLE users (id INT PRIMARY KEY, seen TIMESTAMP, born DATE, status VARCHAR(9), visits INT)"""
)


def read(groups: str) -> Group:
    """Return the one group."""
    text = f"subjects: {{user: {{table: users, key: id, groups: {groups}}}}}"
    (group,) = parse_map(text, "m.yaml").subjects["user"].groups.values()
    return group


def test_reading() -> None:
    """A period with its column, a condition, or both."""
    assert read("{old: {period: P3Y, from: seen, when: status = 'closed'}}") == Group(
        name="old", line=1, period="P3Y", column="seen", when="status = 'closed'"
    )
    assert read("{odd: {when: visits > 3}}") == Group(name="odd", when="visits > 3")


@pytest.mark.parametrize(
    ("group", "fault"),
    [
        ("{}", "group g: everybody would be in it; write period and from, or when"),
        ("{period: P3Y}", "group g: period needs period and from together"),
        ("{from: seen, when: visits > 3}", "group g: from needs period and from together"),
        ("{period: 3Y, from: seen}", "group g: period: period: expected an ISO 8601 period"),
        ("{when: lower(status) = 'x'}", "group g: when: condition refused"),
        ("{period: P3Y, form: seen}", "there is no key form; did you mean from?"),
    ],
)
def test_faults(group: str, fault: str) -> None:
    """Each with its line and its cure."""
    with pytest.raises(InvalidFile) as caught:
        read(f"{{g: {group}}}")
    assert any(fault in problem for problem in caught.value.problems), caught.value.problems
    with pytest.raises(InvalidFile, match="groups asks the subject's table, and no table is named"):
        parse_map("subjects: {user: {same_as: a.b.c, groups: {g: {when: x = 1}}}}", "m.yaml")


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ("{period: P3Y, from: sen}", "group g: table users has no column sen; did you mean seen?"),
        (
            "{period: P3Y, from: visits}",
            "group g: from: users.visits is INTEGER, and the age of a row is told",
        ),
        ("{when: state = 'x'}", "group g: when: table 'users' has no column 'state'"),
        ("{period: TODO, from: seen}", "groups: g: period is TODO"),
        ("{period: P3Y, from: seen, when: status = 'closed'}", None),
    ],
)
def test_the_check(group: str, why: str | None) -> None:
    """Columns that are not there, or are no clock, are found by `aegis datamap check`."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql(TABLE)
        catalog = read_catalog(connection)
    text = f"subjects: {{user: {{table: users, key: id, groups: {{g: {group}}}}}}}\n"
    text += "tables: {users: {row: delete}}"
    found = [item.why for item in examine(parse_map(text, "m"), catalog).undecided]
    assert [why is not None and why in item for item in found] == [True] * (why is not None)
    engine.dispose()


def test_who_is_in_it() -> None:
    """Older than the period, one step either side; no time, and what is no time, is in no such group."""
    seen = {
        1: "2024-03-01 12:00:00.499999",
        2: "2024-03-01 12:00:00.500000",
        3: None,
        4: "0000-00-00 00:00:00",
        5: "long ago",
    }
    born = {1: "2024-02-29", 2: "2024-03-01", 3: None, 4: "0000-00-00", 5: "long ago"}
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql(TABLE)
        for key, moment in seen.items():
            values = (key, moment, born[key], "closed" if key != 3 else None)
            connection.exec_driver_sql("INSERT INTO users VALUES (?, ?, ?, ?, 0)", values)
        table = sa.Table("users", sa.MetaData(), autoload_with=connection)

        def members(group: str) -> list[int]:
            where = belongs(read(f"{{g: {group}}}"), table, NOW)
            return list(connection.scalars(sa.select(table.c.id).where(where).order_by(table.c.id)))

        assert members("{period: P3Y, from: seen}") == [1]
        assert members("{period: P3Y, from: born}") == [1]
        assert members("{when: status = 'closed'}") == [1, 2, 4, 5]
        assert members("{period: P2Y, from: seen, when: status <> 'closed'}") == []
        assert members("{period: P2Y, from: seen, when: status = 'closed'}") == [1, 2]
    engine.dispose()
