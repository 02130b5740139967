"""Few rows past their time in a large table: the clock's index finds them, on every database."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from api import audit, privacy
from tests.worlds import DAY, EACH_DATABASE, World, on

ROWS, DUE = 2_000, 40
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

#: Column type, unit, and what is stored for an instant.
_CLOCKS: dict[str, tuple[str, str | None, Callable[[World, dt.datetime], Any]]] = {
    "instant": ("{instant}", None, lambda world, at: world.value(at)),
    "wall": ("{wall}", None, lambda world, at: world.value(at)),
    "date": ("DATE", None, lambda world, at: world.value(at.date())),
    "number": ("BIGINT", "us", lambda _, at: (at - _EPOCH) // _MICROSECOND),
}


def filled(world: World, clock: str) -> dict[str, Any]:
    """Create a table whose due rows are scattered among many; return the words of a policy on it."""
    column, unit, stored = _CLOCKS[clock]
    world.create("t", f"id {{text}} PRIMARY KEY, kind {{text}}, at {column}")
    world.execute("CREATE INDEX t_by_time ON t (at)")
    now = dt.datetime.now(dt.UTC)
    rows = []
    for n in range(ROWS):
        # Some in the same instant, the others a microsecond apart.
        old = n % (ROWS // DUE) == 7
        at = now - 60 * DAY + (n // 500) * _MICROSECOND if old else now - DAY - n * _MICROSECOND
        rows.append(
            {"id": f"k{n * 7919 % ROWS:05}", "kind": "old" if n % 2 else "young", "at": stored(world, at)}
        )
    world.insert("t", rows)
    if world.dialect == "postgresql":
        world.execute("ANALYZE t")
    if world.dialect == "mariadb":
        world.all("ANALYZE TABLE t")
    return {"timestamp_column": "at"} | ({"timestamp_unit": unit} if unit else {})


@pytest.mark.parametrize("clock", _CLOCKS)
@on(*EACH_DATABASE)
def test_they_are_found_by_the_index(world: World, clock: str) -> None:
    """All of them go in one sweep, over many slices, also those of one instant; no other row does."""
    words = filled(world, clock)
    world.policy("p", "t", **words)
    world.batches_of(7)
    assert "time slices" in privacy.preview_retention_policy("p").walker
    run = world.start()
    while privacy.advance_run(run, seconds=0)["more"]:
        pass
    assert world.run_row(run)["state"] == "done"
    assert (world.run_row(run)["rows"], world.count("t")) == (DUE, ROWS - DUE)
    audit.relay_journals()
    batches = [event["details"] for event in audit.get_audit_events(1000, action="retention:batch")]
    assert {batch["pass"] for batch in batches} == {0}
    assert max(batch["rows"] for batch in batches) <= 7


@on("sqlite-one", "mariadb-one")
def test_many_that_stay_for_another_reason_are_no_way(world: World) -> None:
    """Where the index would pass many rows that the condition keeps, it is not taken."""
    words = filled(world, "instant")
    world.policy("p", "t", retention_days=1, filter_sql="id IN ('k00007')", **words)
    assert "time slices" not in privacy.preview_retention_policy("p").walker
