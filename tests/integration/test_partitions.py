"""Partitions that are wholly past are dropped whole, and never with a row that has a reason to stay."""

import datetime as dt
from typing import Any

import pytest

from tests.worlds import DAY, World, on

POSTGRESQL = ("postgresql-one", "sqlite+postgresql")
NOW = dt.datetime.now(dt.UTC)
#: Days before now at which the partitions of the usual table begin and end.
SPANS = {"t_old": (120, 90), "t_older": (90, 60), "t_edge": (60, 20), "t_new": (20, -30)}


def day(age: float) -> str:
    """Return a bound so many days ago, at midnight UTC."""
    return f"{NOW - age * DAY:%Y-%m-%d 00:00:00+00}"


def partitioned(
    world: World, *, clock: str = "TIMESTAMPTZ", default: bool = False, more: str = ", hold INT DEFAULT 0"
) -> None:
    """Create a table with a month to each partition, two of them wholly past, and ten rows in each."""
    columns = f"id INT, created_at {clock}, kind TEXT DEFAULT 'low', tenant TEXT DEFAULT 'acme'{more}"
    world.create("t", f"{columns}, PRIMARY KEY (id, created_at)", "PARTITION BY RANGE (created_at)")
    for name, (begin, end) in SPANS.items():
        span = f"FROM ('{day(begin)}') TO ('{day(end)}')"
        world.execute(f"CREATE TABLE {name} PARTITION OF t FOR VALUES {span}")
    if default:
        world.execute("CREATE TABLE t_default PARTITION OF t DEFAULT")
    ages = {"t_old": 100, "t_older": 70, "t_edge": 40, "t_new": 5}
    for place, age in enumerate(ages.values()):
        fill(world, range(10 * place, 10 * place + 10), age)


def fill(world: World, ids: range, age: float) -> None:
    """Insert rows of one age."""
    world.insert("t", [{"id": number, "created_at": NOW - age * DAY} for number in ids])


def tables(world: World) -> set[str]:
    """Return the partitions that are attached, and whole tables that are not."""
    return set(
        world.all(
            "SELECT c.relname FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid "
            "WHERE c.relname LIKE 't\\_%' AND c.relkind IN ('r', 'p') AND i.inhparent IS NOT NULL"
        )
    )


def left(world: World) -> list[Any]:
    """Return the ids that the application sees."""
    return world.all("SELECT id FROM t ORDER BY 1")


ALL = {*SPANS}
YOUNG = {"t_edge", "t_new"}


@on(*POSTGRESQL)
@pytest.mark.parametrize("default", [False, True], ids=["concurrently", "beside a default"])
@pytest.mark.parametrize("clock", ["TIMESTAMPTZ", "TIMESTAMP", "DATE"])
def test_what_is_wholly_past_is_dropped(world: World, clock: str, *, default: bool) -> None:
    """Partitions before the cutoff go whole, the one that it divides in batches; the account is exact."""
    partitioned(world, clock=clock, default=default)
    world.policy("p", "t")
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, 30)
    assert report["partitions"] == {"dropped": 2, "rows": 20}
    assert left(world) == list(range(30, 40))
    assert tables(world) == YOUNG | ({"t_default"} if default else set())
