"""How rights are written, read from what MariaDB lists, and told from its errors."""

from types import SimpleNamespace
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from aegis.db.held import _covers, _literal, _read, _ungranted
from aegis.db.lacking import _told
from aegis.db.rights import Right, grant
from aegis.grants.needs import columns_in

POSTGRESQL, MARIADB = (
    sa.create_engine(url).dialect for url in ("postgresql+psycopg://h/d", "mariadb+pymysql://h/d")
)


@pytest.mark.parametrize(
    ("dialect", "right", "role", "written"),
    [
        (
            POSTGRESQL,
            Right(privilege="SELECT", schema="public", name="Users", columns=("id", "e mail")),
            "night",
            'GRANT SELECT ("id", "e mail") ON "public"."Users" TO "night"',
        ),
        (
            POSTGRESQL,
            Right(privilege="BYPASSRLS", kind="attribute"),
            'ni"ght',
            'ALTER ROLE "ni""ght" BYPASSRLS',
        ),
        (
            POSTGRESQL,
            Right(privilege="MEMBER", kind="membership", name="pg_read_all_stats"),
            "night",
            'GRANT "pg_read_all_stats" TO "night"',
        ),
        (
            POSTGRESQL,
            Right(privilege="EXECUTE", kind="function", name="aegis.f(text)"),
            "night",
            'GRANT EXECUTE ON FUNCTION aegis.f(text) TO "night"',
        ),
        (
            MARIADB,
            Right(privilege="REFERENCES", kind="database", name="my_app"),
            "night@10.0.0.%",
            r"GRANT REFERENCES ON `my\_app`.* TO `night`@`10.0.0.%`",
        ),
        (
            MARIADB,
            Right(privilege="DELETE", schema="my_app", name="t`x"),
            "night",
            "GRANT DELETE ON `my_app`.`t``x` TO `night`",
        ),
    ],
)
def test_a_right_is_written_for_its_database(
    dialect: sa.Dialect, right: Right, role: str, written: str
) -> None:
    """Names are quoted, and a database of MariaDB stands for itself alone."""
    assert grant(dialect, right, role) == written


def test_what_mariadb_lists_is_read() -> None:
    """Each privilege of a line, with its columns; what grants nothing is left out."""
    line = "GRANT SELECT (`a``b`, `c`), UPDATE (`c`), DELETE ON `my_app`.`t` TO `r`@`%`"
    common: dict[str, Any] = {"schema": "my_app", "name": "t"}
    assert list(_read(line)) == [
        Right(privilege="SELECT", columns=("a`b", "c"), **common),
        Right(privilege="UPDATE", columns=("c",), **common),
        Right(privilege="DELETE", **common),
    ]
    (sight,) = _read(r"GRANT REFERENCES ON `my\_app`.* TO `r`@`%`")
    assert _literal(sight) == Right(privilege="REFERENCES", kind="database", name="my_app")
    for nothing in ("GRANT USAGE ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*9'", "GRANT `ro` TO `r`@`%`"):
        assert list(_read(nothing)) == []


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("GRANT ALL PRIVILEGES ON *.* TO `r`@`%` WITH GRANT OPTION", None),
        ("GRANT SELECT ON `my_app`.* TO `r`@`%`", None),
        (r"GRANT SELECT ON `my\_%`.* TO `r`@`%`", None),
        (r"GRANT SELECT ON `my\_ap`.* TO `r`@`%`", ("a", "b")),
        ("GRANT SELECT ON `my_app`.`t` TO `r`@`%`", None),
        ("GRANT SELECT (`a`) ON `my_app`.`t` TO `r`@`%`", ("b",)),
        ("GRANT SELECT ON `my_app`.`other` TO `r`@`%`", ("a", "b")),
        ("GRANT UPDATE ON `my_app`.`t` TO `r`@`%`", ("a", "b")),
    ],
)
def test_a_wider_right_holds_for_what_is_in_it(line: str, lacks: tuple[str, ...] | None) -> None:
    """What was granted on everything or a database is there for its tables; of columns the rest lacks."""
    found = _ungranted(
        list(_read(line)), Right(privilege="SELECT", schema="my_app", name="t", columns=("a", "b"))
    )
    assert (found and found.columns) == lacks


def test_a_pattern_covers_what_it_means() -> None:
    """`_` and `%` stand for letters unless they are escaped; nothing else does."""
    assert _covers("my_app", "myXapp")
    assert not _covers(r"my\_app", "myXapp")
    assert _covers("%", "anything")
    assert not _covers("a[bc]*", "ab")


@pytest.mark.parametrize(
    ("text", "statement", "told"),
    [
        (
            "SELECT command denied to user 'r'@'10.0.0.1' for column 'email' in table 'users'",
            "SELECT",
            "SELECT (email) ON users",
        ),
        (
            "DELETE command denied to user 'r'@'10.0.0.1' for table `app`.`users`",
            "DELETE",
            "DELETE ON app.users",
        ),
        (
            "Access denied for user 'r'@'%' to database 'app'",
            "CREATE TEMPORARY TABLE x AS SELECT 1",
            "CREATE TEMPORARY TABLES ON app.*",
        ),
        (
            "Access denied; you need (at least one of) the PROCESS privilege(s) for this operation",
            "SHOW",
            "PROCESS ON *.*",
        ),
    ],
)
def test_what_mariadb_says_is_told_without_the_user(text: str, statement: str, told: str) -> None:
    """The right and the column, as the owner would grant it."""
    error: Any = SimpleNamespace(orig=pymysql.err.OperationalError(1142, text), statement=statement)
    assert _told(error) == [told]


def test_columns_of_an_expression_are_those_of_the_table() -> None:
    """Those of another table, and of an alias of the same, are no columns of it."""
    one, other = (
        sa.Table(name, sa.MetaData(), sa.Column("a", sa.Integer), sa.Column("b", sa.String)) for name in "xy"
    )
    expression = sa.case((one.c.a > other.c.b, sa.func.lower(one.c.b)), else_=sa.literal("z"))
    assert columns_in(one, expression, one.alias().c.a == 1) == ["a", "b"]
