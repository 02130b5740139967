"""The table in which the rows of an archive stand on their way back."""

import sqlalchemy as sa

from aegis.db.rowlines import Shape, read_lines, shape_of
from aegis.db.staging import staged
from tests.worlds import EACH_DATABASE, World, on


def lines_of(world: World) -> tuple[sa.Table, Shape, list[bytes]]:
    """Create a table; return it, its shape and its rows as lines."""
    world.create("t", "id {text} PRIMARY KEY, body {text}")
    world.insert("t", [{"id": f"k{n}", "body": "x" * 90} for n in range(400)])
    table = sa.Table("t", sa.MetaData(), autoload_with=world.app)
    with world.app.begin() as connection:
        shape = shape_of(connection, table)
        return table, shape, b"".join(read_lines(connection, table, sa.true())).split(b"\n")[:-1]


@on(*EACH_DATABASE)
def test_a_part_takes_the_place_of_the_one_before(world: World) -> None:
    """Only the last part stands there, and nothing of the caller's transaction is committed by that."""
    table, shape, lines = lines_of(world)
    with world.app.connect() as connection, connection.begin() as transaction:
        connection.execute(sa.update(table).values(body="changed"))
        with staged(connection, table, shape) as stage:
            assert [stage.load(lines[:300], shape.encoding), stage.present()] == [300, 300]
            assert [stage.load(lines[300:], shape.encoding), stage.present()] == [100, 100]
            assert stage.put_back(["body"]) == 100
        transaction.rollback()
    assert world.count("t", "body = 'changed'") == 0


@on("postgresql-one")
def test_parts_before_leave_nothing_to_read_again(world: World) -> None:
    """However many parts there were, the table is as large as its last one: a restore is not quadratic."""
    table, shape, lines = lines_of(world)
    sizes = set()
    with world.app.begin() as connection, staged(connection, table, shape) as stage:
        for _ in range(20):
            stage.load(lines, shape.encoding)
            sizes.add(connection.scalar(sa.select(sa.func.pg_relation_size(stage.table.name))))
    assert len(sizes) == 1
