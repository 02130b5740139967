"""`aegis policy show --sql`: what an auditor runs by himself finds the rows of the preview, and no other."""

import datetime as dt
import json
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.db import dialects
from aegis.errors import UsageError
from aegis.operations import holds
from aegis.operations.holds import Scope
from aegis.retention.queries import Queries
from api import privacy
from cli import policy_queries
from tests.worlds import DAY, EACH_DATABASE, World, on

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
OLD = NOW - 60 * DAY
#: Quotes, per cent signs, a colon, a backslash and the end of a statement: each must come out as it went in.
TENANT = "o'hara %s 100%% :x \\ ; --"


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The databases' clock stands still."""
    monkeypatch.setattr(dialects, "now", lambda _connection: NOW)


def put(world: World, ids: range, at: dt.datetime | None, tenant: str = TENANT, kind: str = "low") -> None:
    """Insert events at one instant."""
    rows = [{"id": i, "tenant": tenant, "email": "x", "kind": kind, "created_at": at} for i in ids]
    world.insert("safety_events", rows)


def fill(world: World) -> None:
    """Rows either side of the cutoff, of two tenants, with and without a time."""
    world.safety_events()
    put(world, range(3), NOW - 30 * DAY - dt.timedelta(microseconds=1))
    put(world, range(10, 12), NOW - 30 * DAY)
    put(world, range(20, 24), OLD, tenant="beta")
    put(world, range(30, 31), None)
    put(world, range(40, 42), OLD, kind="h%igh'")


def found_by(world: World, shown: Queries) -> list[list[int]]:
    """Run the printed statements in a session of our own; return the ids of each query."""
    with world.app.connect() as connection:
        cursor: Any = connection.connection.cursor()
        for statement in shown.session:
            cursor.execute(statement)
        ids = []
        for query in shown.queries:
            cursor.execute(query.sql)
            ids.append(sorted(row[0] for row in cursor.fetchall()))
        return ids


def hold(world: World, scope: Scope) -> None:
    """Place a legal hold."""
    day = dt.date(2030, 1, 1)
    words: dict[str, Any] = {"matter": "m", "owner": "o", "review_by": day}
    holds.place(world.system, scope, datasource=world.datasource, **words)


@on(*EACH_DATABASE)
class TestTheRows:
    """The same rows as the preview's."""

    def test_of_everybody(self, world: World) -> None:
        """One step before the cutoff goes, the cutoff itself stays, and so do holds and the condition."""
        fill(world)
        world.policy(tenant_column="tenant", filter_sql="kind <> 'h%igh'''", approve=False)
        assert found_by(world, privacy.show_retention_queries("p")) == [[0, 1, 2, 20, 21, 22, 23]]
        assert privacy.preview_retention_policy("p").rows == 7
        hold(world, Scope(tenant=TENANT))
        assert found_by(world, privacy.show_retention_queries("p")) == [[20, 21, 22, 23]]
        assert privacy.preview_retention_policy("p").rows == 4

    def test_of_one_tenant(self, world: World) -> None:
        """A tenant's name is written out so that the database reads it back letter by letter."""
        fill(world)
        world.policy(tenant_column="tenant", approve=False)
        assert found_by(world, privacy.show_retention_queries("p", tenant_id=TENANT)) == [[0, 1, 2, 40, 41]]
        assert privacy.preview_retention_policy("p", tenant_id=TENANT).rows == 5

    def test_of_two_actions(self, world: World) -> None:
        """What is masked, and what is deleted later, is a query each."""
        fill(world)
        world.policy(action="anonymize", masks={"email": "null"}, delete_after_days=20, approve=False)
        shown = privacy.show_retention_queries("p")
        seen = privacy.preview_retention_policy("p")
        actions = [query.action for query in shown.queries]
        assert dict(zip(actions, map(len, found_by(world, shown)), strict=True)) == seen.actions

    def test_names_no_held_row(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        """A hold on one row is told, and its key is not: the row is among those that the query shows."""
        fill(world)
        world.policy(approve=False)
        hold(world, Scope(table="safety_events", key={"id": "23"}))
        shown = privacy.show_retention_queries("p")
        assert (shown.row_holds, "23" in shown.queries[0].sql.partition("WHERE")[2]) == (1, False)
        assert found_by(world, shown) == [[0, 1, 2, 20, 21, 22, 23, 40, 41]]
        policy_queries.show(shown, as_json=False)
        assert "1 legal hold on single rows left out" in capsys.readouterr().out


@on("sqlite-one")
def test_a_value_does_not_steer_the_terminal(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused as text, and spelled in JSON."""
    fill(world)
    world.policy(tenant_column="tenant", approve=False)
    shown = privacy.show_retention_queries("p", tenant_id="a\x1b[2J")
    with pytest.raises(UsageError, match="control characters"):
        policy_queries.show(shown, as_json=False)
    policy_queries.show(shown, as_json=True)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert json.loads(out)["queries"][0]["sql"] == shown.queries[0].sql


@on("postgresql-one")
def test_a_row_that_is_hidden_from_the_auditor_is_an_error(world: World) -> None:
    """The printed session switches row security off, so that he never sees a part and takes it for all."""
    fill(world)
    world.policy(tenant_column="tenant", approve=False)
    shown = privacy.show_retention_queries("p")
    assert found_by(world, shown) == [[0, 1, 2, 20, 21, 22, 23, 40, 41]]
    world.execute("ALTER TABLE safety_events ENABLE ROW LEVEL SECURITY")
    with world.app.connect() as connection:
        connection.execute(sa.text("CREATE ROLE auditor_queries"))
        connection.execute(sa.text("GRANT SELECT ON safety_events TO auditor_queries"))
        connection.execute(sa.text("SET LOCAL ROLE auditor_queries"))
        cursor: Any = connection.connection.cursor()
        for statement in shown.session:
            cursor.execute(statement)
        with pytest.raises(Exception, match="row-level security"):
            cursor.execute(shown.queries[0].sql)
        connection.rollback()
