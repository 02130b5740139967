"""Masked rows stay on their page where they can (PostgreSQL); no turn is lost, and none done twice."""

from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.operations.batches import Shard
from api import privacy
from tests.worlds import World, on

ROWS: Final = 1_200
MASKS: Final[dict[str, Any]] = {"action": "anonymize", "masks": {"body": "null"}}


def full_pages(world: World) -> None:
    """Create a table whose pages have no room for another row."""
    world.create(
        "t", "id INT PRIMARY KEY, body TEXT, created_at {instant}", "WITH (autovacuum_enabled = false)"
    )
    world.execute("CREATE INDEX by_time ON t (created_at)")
    old = "now() - interval '60 days' + n * interval '1 second'"
    rows = f"SELECT n, repeat('x', 300), {old} FROM generate_series(1, :rows) AS g (n)"  # noqa: S608
    world.execute(f"INSERT INTO t {rows}", rows=ROWS)
    world._born["t"] += ROWS  # noqa: SLF001 - inserted in its own way


def blocks(world: World) -> int:
    """Return how many blocks the table has."""
    with world.app.connect() as connection:
        return int(connection.scalar(sa.text("SELECT pg_relation_size('t') / 8192")) or 0)


def masked(world: World, **words: Any) -> int:
    """Mask every row in batches of some pages; return by how many blocks the table grew."""
    world.policy("p", "t", **{**MASKS, **words})
    world.batches_of(400)
    before = blocks(world)
    assert world.enforce()["rows"] == ROWS
    world.masked["t"] += ROWS
    assert world.count("t", "body IS NULL") == ROWS
    return blocks(world) - before


@on("postgresql-one")
def test_new_versions_stay_on_their_page(world: World) -> None:
    """The table hardly grows, though no page had room for a new version of any row."""
    full_pages(world)
    at_once = ROWS * 40 // 8192
    assert masked(world) < at_once


@on("postgresql-one")
def test_an_index_over_the_mask(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every index is written to anyhow: each portion is one batch."""
    full_pages(world)
    world.execute("CREATE INDEX by_body ON t (body)")
    numbers = counted(monkeypatch)
    masked(world)
    assert len(numbers) <= ROWS // 400 + 1


@on("postgresql-one")
def test_several_batches_a_portion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth, a quarter, the rest: three events with rows for each portion."""
    full_pages(world)
    numbers = counted(monkeypatch)
    masked(world)
    assert [rows > 0 for rows in numbers[:6]] == [True] * 6
    assert numbers[0] < numbers[1] < numbers[2]
    assert sum(numbers[:3]) == 400


@on("postgresql-one", "sqlite+postgresql")
def test_somebody_else_goes_on_between_two_turns(world: World) -> None:
    """The mark says which turn comes; every row is masked once, and accounted for once."""
    full_pages(world)
    world.policy("p", "t", **MASKS)
    world.batches_of(400)
    run = world.start()
    first = privacy.advance_run(run, seconds=0)["rows"]
    assert 0 < first < 100
    shard = Shard(world.system, datasource=world.datasource, run=run, epoch=1)
    assert shard.peek() == {"turn": 1}
    world.another()
    assert world.finish(run)["rows"] <= ROWS - first
    world.masked["t"] += ROWS
    assert world.count("t", "body IS NULL") == ROWS


@on("postgresql-one")
def test_archived(world: World) -> None:
    """Each turn writes its rows to a file: the same as it masks."""
    full_pages(world)
    masked(world, archive={"keep_days": 1})


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the rows of each batch from here on."""
    numbers: list[int] = []
    batch = Shard.batch

    def noted(shard: Shard, *arguments: Any, **words: Any) -> Any:
        change = batch(shard, *arguments, **words)
        numbers.append(change.rows)
        return change

    monkeypatch.setattr(Shard, "batch", noted)
    return numbers
