"""Legal holds on one row, by its primary key: it stays, whatever the key is made of, and nobody reads it."""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.errors import Unreachable, UsageError
from aegis.operations import holds
from aegis.operations.rowkeys import held_rows
from aegis.operations.scopes import Scope
from aegis.settings import SourceSettings
from api import privacy
from api.audit import relay_journals
from tests.worlds import ACTOR, CANARY, DAY, EACH_DATABASE, World, on

REVIEW: Final = dt.date(2099, 1, 1)
#: A text whose collation tells every letter and every blank, so that keys can differ by one.
_EXACT: Final = {
    "sqlite": "VARCHAR(100)",
    "postgresql": "VARCHAR(100)",
    "mariadb": "VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
}
#: A text whose collation takes `A` for `a`.
_FOLDED: Final = {
    "sqlite": "VARCHAR(100) COLLATE NOCASE",
    # The server of the tests has no ICU, and so no collation that folds letters.
    "postgresql": 'VARCHAR(100) COLLATE "POSIX"',
    "mariadb": "VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
}
_BYTES: Final = {"sqlite": "BLOB", "postgresql": "BYTEA", "mariadb": "BINARY(16)"}
_WORDS: Final = (
    CANARY,
    CANARY.upper(),
    f"{CANARY} ",
    f"{CANARY}é",
    f"{CANARY}%",
    f"{CANARY}_",
    "a'b",
    "x!",
    "",
)


def _uuid(n: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, str(n))


#: What a key is made of: its columns, and the n-th key.
KEYS: Final[Mapping[str, tuple[Mapping[str, str], Callable[[int], dict[str, Any]]]]] = {
    "text": ({"code": "{exact}"}, lambda n: {"code": _WORDS[n]}),
    "uuid": ({"id": "{uuid}"}, lambda n: {"id": _uuid(n)}),
    "bytes": ({"id": "{bytes}"}, lambda n: {"id": _uuid(n).bytes}),
    "five columns": (
        {"part": "INT", "code": "{exact}", "Line No": "BIGINT", "day": "DATE", "amount": "DECIMAL(12, 2)"},
        lambda n: {
            "part": n // 4,
            "code": _WORDS[n // 2 % 2],
            "Line No": n % 2 - 2**62,
            "day": dt.date(2020, 1, 31),
            "amount": "3.25",
        },
    ),
}
MANY: Final = 9


def place(key: Mapping[str, Any], **scope: Any) -> str:
    """Place a hold on one row."""
    scope = {"table": "t", **scope}
    return privacy.place_hold(matter="Doe v. Example", owner=ACTOR, review_by=REVIEW, key=key, **scope)


def fill(world: World, kind: str) -> Callable[[int], dict[str, Any]]:
    """Make a table whose keys are of this kind, nine rows past their time, and a policy."""
    columns, key = KEYS[kind]
    quote = world.app.dialect.identifier_preparer.quote_identifier
    texts = {"exact": _EXACT[world.dialect], "bytes": _BYTES[world.dialect], "uuid": "{uuid}"}
    types = ", ".join(f"{quote(name)} {kind.format_map(texts)}" for name, kind in columns.items())
    names = ", ".join(quote(name) for name in columns)
    world.create("t", f"{types}, created_at {{instant}}, PRIMARY KEY ({names})")
    now = dt.datetime.now(dt.UTC)
    values = ", ".join(f":k{place}" for place in range(len(columns)))
    for n in range(MANY):
        given = {f"k{place}": world.value(value) for place, value in enumerate(key(n).values())}
        aged = world.value(now - 60 * DAY)
        world.execute(f"INSERT INTO t ({names}, created_at) VALUES ({values}, :at)", **given, at=aged)  # noqa: S608
    world.born("t", MANY)
    world.policy("p", "t")
    world.batches_of(2)
    return key


@on(*EACH_DATABASE)
@pytest.mark.parametrize("kind", KEYS)
def test_the_row_of_a_key_stays(world: World, kind: str) -> None:
    """Of rows whose keys differ by as little as a blank or a letter's case exactly that one stays."""
    key = fill(world, kind)
    names = ", ".join(world.app.dialect.identifier_preparer.quote_identifier(name) for name in key(0))
    with world.app.connect() as connection:
        before = connection.execute(sa.text(f"SELECT {names} FROM t ORDER BY {names}")).all()  # noqa: S608
    ids = [place(key(n)) for n in (0, 4)]
    seen = privacy.preview_retention_policy("p")
    assert (seen.rows, seen.held) == (MANY - 2, 2)
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, MANY - 2)
    assert '"held": 2' in world.run_row(report["run"])["report"]
    with world.app.connect() as connection:
        left = connection.execute(sa.text(f"SELECT {names} FROM t ORDER BY {names}")).all()  # noqa: S608
    assert set(left) < set(before)
    holds.release(world.system, ids[0], actor=ACTOR)
    assert world.enforce()["rows"] == 1
    assert place(key(4)), "the other one is still there"


@on(*EACH_DATABASE)
def test_placed_in_mid_run(world: World) -> None:
    """The next batch leaves the row."""
    world.safety_events()
    world.events(range(20), 60)
    world.policy()
    world.batches_of(3)
    run = world.start()
    assert privacy.advance_run(run, seconds=0)["rows"] <= 3
    last = world.ids()[-1]
    place({"id": last}, table="safety_events")
    before = world.content("safety_events", f"id = {last}")
    assert world.finish(run)["outcome"] == "done"
    assert world.content("safety_events") == before


@on(*EACH_DATABASE)
def test_letters_count_whatever_the_collation(world: World) -> None:
    """Where the column takes `A` for `a` the hold does not: another spelling is refused, not half obeyed."""
    world.create("t", f"code {_FOLDED[world.dialect]} PRIMARY KEY, created_at {{instant}}")
    old = dt.datetime.now(dt.UTC) - 60 * DAY
    world.insert("t", [{"code": code, "created_at": old} for code in ("Doe@x", "roe@x", "zoe@x")])
    world.policy("p", "t")
    with pytest.raises(UsageError, match="no row of table t has that key"):
        place({"code": "doe@x"})
    place({"code": "Doe@x"})
    assert world.enforce()["rows"] == 2
    assert world.all("SELECT code FROM t") == ["Doe@x"]


@on(*EACH_DATABASE)
def test_the_value_stands_nowhere_in_clear(world: World) -> None:
    """Not in the journal, the control database, the list or the log; after the release not even sealed."""
    fill(world, "text")
    hold = place({"code": CANARY})
    world.enforce()
    relay_journals()
    assert CANARY not in repr(Scope(table="t", key={"code": CANARY}))
    (listed,) = privacy.list_holds()
    assert (listed["by_key"], CANARY in repr(listed)) == (True, False)
    for database, query in (
        (world.app, f"SELECT * FROM {world.journal}"),  # noqa: S608
        (world.control, "SELECT * FROM aegis_holds"),
        (world.control, "SELECT * FROM audit_logs"),
    ):
        with database.connect() as connection:
            rows = connection.execute(sa.text(query)).all()
        assert rows
        assert CANARY.encode() not in b"".join(_bytes(value) for row in rows for value in row)
    holds.release(world.system, hold, actor=ACTOR)
    with world.control.connect() as connection:
        assert not connection.scalar(sa.text("SELECT key_sealed FROM aegis_holds"))
    (over,) = privacy.list_holds(everything=True)
    assert over["by_key"]


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else str(value).encode()


@on("sqlite-one", "postgresql-one", "mariadb-one")
def test_a_key_that_does_not_fit_is_refused(world: World) -> None:
    """Other columns, a part of them, another type, no such row, no table: nothing is placed or told."""
    world.create("t", "part INT, code {text}, created_at {instant}, PRIMARY KEY (part, code)")
    world.create("u", "id {uuid} PRIMARY KEY")
    world.create("v", f"id {_BYTES[world.dialect]} PRIMARY KEY")
    world.create("w", "id BOOLEAN PRIMARY KEY")
    for key, words, said in (
        ({"code": CANARY}, {}, "the primary key of table t is (part, code)"),
        ({"part": 1, "code": CANARY, "more": 1}, {}, "the primary key of table t is (part, code)"),
        ({"part": CANARY, "code": "x"}, {}, "expected a whole number"),
        ({"part": 77, "code": CANARY}, {}, "no row of table t has that key"),
        ({"part": 1.5, "code": "x"}, {}, "type float"),
        ({"id": CANARY}, {"table": "u"}, "no row" if world.dialect == "sqlite" else "a UUID"),
        ({"id": CANARY}, {"table": "v"}, "hexadecimal digits"),
        (
            {"id": "true"},
            {"table": "w"},
            "a whole number" if world.dialect == "mariadb" else "no row of table w",
        ),
        ({"id": 1}, {"table": None}, "a key belongs to a table"),
        ({}, {}, "the primary key of table t is (part, code)"),
    ):
        with pytest.raises(UsageError) as refused:
            place(key, **words)
        assert said in str(refused.value)
        assert CANARY not in str(refused.value)
    assert privacy.list_holds() == []


@on(*EACH_DATABASE)
def test_a_key_that_fits_no_more_holds_every_row(world: World) -> None:
    """What cannot be told apart is held: the column got another name after the hold was placed."""
    world.create("t", "id INT PRIMARY KEY, created_at {instant}")
    old = dt.datetime.now(dt.UTC) - 60 * DAY
    world.insert("t", [{"id": n, "created_at": old} for n in range(5)])
    place({"id": 3})
    world.execute("ALTER TABLE t RENAME COLUMN id TO number")
    world.policy("p", "t")
    assert world.enforce()["rows"] == 0
    assert world.count("t") == 5


@on(*EACH_DATABASE)
def test_a_held_child_keeps_its_parent(world: World) -> None:
    """A hold on one row of a named cascade keeps the parent of that row, and no other."""
    world.create("users", "id INT PRIMARY KEY, created_at {instant}")
    world.create(
        "orders", "id INT PRIMARY KEY, owner INT, FOREIGN KEY (owner) REFERENCES users (id) ON DELETE CASCADE"
    )
    old = dt.datetime.now(dt.UTC) - 60 * DAY
    world.insert("users", [{"id": n, "created_at": old} for n in range(5)])
    world.insert("orders", [{"id": 10 * n + m, "owner": n} for n in range(5) for m in range(2)])
    world.policy("p", "users", cascades=["orders"])
    place({"id": 31}, table="orders")
    assert world.enforce()["rows"] == 4
    assert (world.ids("users"), world.ids("orders")) == ([3], [30, 31])


@on(*EACH_DATABASE)
def test_a_hold_on_a_row_can_be_narrowed(world: World) -> None:
    """A row is held while it is that tenant's and of that time: another tenant's, and an older one, go."""
    world.create("t", "id INT PRIMARY KEY, tenant VARCHAR(20), created_at {instant}")
    now = dt.datetime.now(dt.UTC)
    world.insert("t", [{"id": n, "tenant": "acme", "created_at": now - (60 + n) * DAY} for n in range(5)])
    world.policy("p", "t", tenant_column="tenant")
    place({"id": 0}, tenant="acme")
    place({"id": 1}, tenant="globex")
    place({"id": 2}, since=now - 90 * DAY)
    place({"id": 3}, until=now - 90 * DAY)
    assert world.enforce()["rows"] == 3
    assert world.ids("t") == [0, 2]


@on(*EACH_DATABASE)
def test_a_narrowed_hold_on_a_child_keeps_its_parent(world: World) -> None:
    """A child held since a moment keeps its parent if it is no older; SQLite cannot tell, and holds it."""
    world.create("users", "id INT PRIMARY KEY, created_at {instant}")
    world.create(
        "orders",
        "id INT PRIMARY KEY, owner INT, created_at {instant},"
        " FOREIGN KEY (owner) REFERENCES users (id) ON DELETE CASCADE",
    )
    now = dt.datetime.now(dt.UTC)
    old = now - 60 * DAY
    world.insert("users", [{"id": n, "created_at": old} for n in range(4)])
    world.insert("orders", [{"id": 10 + n, "owner": n, "created_at": old} for n in range(4)])
    world.policy("orders_10y", "orders", retention_days=3650)
    world.policy("p", "users", cascades=["orders"])
    place({"id": 11}, table="orders", since=now - 90 * DAY)
    place({"id": 12}, table="orders", since=now - 30 * DAY)
    place({"id": 13}, table="orders", until=now - 30 * DAY)
    stay = [1, 2, 3] if world.dialect == "sqlite" else [1, 3]
    assert world.enforce("p")["rows"] == 4 - len(stay)
    assert (world.ids("users"), world.ids("orders")) == (stay, [10 + n for n in stay])


def test_thousands_of_rows_are_held() -> None:
    """Whatever SQLite takes of one OR."""
    table = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Integer), sa.Column("b", sa.String))
    made = sa.create_engine("sqlite://")
    with made.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{"a": n, "b": str(n)} for n in range(1_200)])
        for names in (["b"], ["a", "b"]):
            keys = [{name: str(n) for name in names} for n in range(1_100)]
            held = sa.select(sa.func.count()).where(held_rows(table, keys)).select_from(table)
            assert connection.scalar(held) == 1_100
    made.dispose()


@on("sqlite+sqlite", "sqlite+postgresql")
def test_a_key_that_waits_for_its_source(world: World) -> None:
    """Given while the source did not answer, it is opened again and obeyed before another row is changed."""
    world.safety_events()
    world.events(range(5), 60)
    world.policy()
    reachable = world.settings.datasources["app"]
    world.configure(datasources={"app": SourceSettings(url="postgresql://aegis:x@127.0.0.1:1/nowhere")})
    with pytest.raises(Unreachable, match="NOT yet in force"):
        place({"id": 3}, table="safety_events")
    world.configure(datasources={"app": replace(reachable)})
    assert world.enforce()["rows"] == 4
    assert world.ids() == [3]
