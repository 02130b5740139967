"""Wrong input: each with an error that says what is wrong, and nothing changed."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.db.engines import writing
from aegis.db.tables import Hold
from aegis.errors import (
    AegisError,
    InvalidCondition,
    InvalidPolicy,
    NotPrepared,
    OperationFailed,
    Refused,
    SettingsError,
    UnknownName,
    Unreachable,
    UnsafeTable,
    UsageError,
)
from aegis.operations.system import use
from aegis.settings import Settings, SourceSettings
from api import privacy
from api.audit import get_audit_events, record_audit
from tests import worlds
from tests.worlds import CANARY, DAY, EACH_DATABASE, World, on

#: What is wrong → (arguments beside name and table, error, words of its message).
WRONG: dict[str, tuple[dict[str, Any], type[AegisError], str]] = {
    "unknown table": ({"table": "no_such"}, UnknownName, "safety_events"),
    "table of no text": ({"table": 7}, UsageError, "table must be text"),
    "empty table": ({"table": " "}, UsageError, "table must be text"),
    "table that is SQL": ({"table": "safety_events; DROP TABLE safety_events"}, UnknownName, "no table"),
    "unknown clock": ({"timestamp_column": "no_such"}, UnknownName, "created_at"),
    "clock that is SQL": ({"timestamp_column": "created_at < now() --"}, UnknownName, "created_at"),
    "clock that is none": ({"timestamp_column": "kind"}, AegisError, ""),
    "unknown tenant column": ({"tenant_column": "no_such"}, UnknownName, "tenant_column"),
    "view": ({"table": "a_view"}, UnsafeTable, "view"),
    "no primary key": ({"table": "keyless"}, UnsafeTable, "primary key"),
    "own table": ({"table": "audit_logs"}, UnsafeTable, "Aegis"),
    "journal": ({"table": "aegis_journal"}, UnsafeTable, "Aegis"),
    "journal by schema": ({"table": "aegis.aegis_journal"}, UnsafeTable, "Aegis"),
    "policies": ({"table": "data_retention_policies"}, UnsafeTable, "Aegis"),
    "version": ({"table": "aegis_version"}, UnsafeTable, "Aegis"),
    "system table": ({"table": "information_schema.tables"}, UnsafeTable, "system"),
    "days 0": ({"retention_days": 0}, InvalidPolicy, "1 to 36500"),
    "days negative": ({"retention_days": -90}, InvalidPolicy, "1 to 36500"),
    "days text": ({"retention_days": "90"}, InvalidPolicy, "1 to 36500"),
    "days true": ({"retention_days": True}, InvalidPolicy, "1 to 36500"),
    "days a float": ({"retention_days": 1.5}, InvalidPolicy, "1 to 36500"),
    "days none": ({"retention_days": None}, InvalidPolicy, "1 to 36500"),
    "days too many": ({"retention_days": 36_501}, InvalidPolicy, "1 to 36500"),
    "action": ({"action": "shred"}, InvalidPolicy, "delete"),
    "action of no text": ({"action": None}, UsageError, "action must be text"),
    "several actions": ({"action": ["delete"]}, UsageError, "action must be text"),
    "subquery": ({"filter_sql": "id IN (SELECT id FROM safety_events)"}, InvalidCondition, "refused"),
    "exists": ({"filter_sql": "EXISTS (SELECT 1)"}, InvalidCondition, "refused"),
    "second statement": ({"filter_sql": "1=1; DROP TABLE safety_events"}, InvalidCondition, "refused"),
    "function": ({"filter_sql": "lower(kind) = 'low'"}, InvalidCondition, "refused"),
    "sleeping": ({"filter_sql": "pg_sleep(10) IS NULL"}, InvalidCondition, "refused"),
    "comment": ({"filter_sql": "kind = 'low' -- AND id = 1"}, InvalidCondition, "refused"),
    "unknown column in the condition": ({"filter_sql": "nope = 1"}, UnknownName, "nope"),
    "empty condition": ({"filter_sql": ""}, UsageError, "filter_sql must be text"),
    "blank condition": ({"filter_sql": "()"}, InvalidCondition, "refused"),
    "zone": ({"zone": "Mars/Olympus"}, InvalidPolicy, "Mars/Olympus"),
    "unit of no number": ({"timestamp_unit": "s"}, InvalidPolicy, "timestamp_unit"),
    "data source": ({"datasource": "elsewhere"}, UnknownName, "elsewhere"),
    "cron": ({"cron": "every day"}, InvalidPolicy, "cron"),
    "cron zone": ({"cron_zone": "Mars/Olympus"}, InvalidPolicy, "Mars/Olympus"),
    "clock of no text": ({"timestamp_column": None}, UsageError, "timestamp_column must be text"),
    "tenant column of no text": ({"tenant_column": 5}, UsageError, "tenant_column must be text"),
    "purpose of no text": ({"purpose": 5}, UsageError, "purpose must be text"),
    "categories that are one text": ({"categories": "abc"}, UsageError, "categories must be a list"),
    "masks that are a list": ({"masks": ["note"]}, UsageError, "masks must be a mapping"),
    "no actor": ({"actor": None}, UsageError, "actor must be text"),
    "actor of no text": ({"actor": 5}, UsageError, "actor must be text"),
    "a day that is none": ({"review_by": "soon"}, UsageError, "review_by must be a date"),
    "name empty": ({"name": ""}, UsageError, "name"),
    "name with blanks": ({"name": "a b"}, InvalidPolicy, "name"),
    "name of no text": ({"name": None}, UsageError, "name"),
}


@pytest.fixture
def prepared(world: World) -> World:
    """A world with a table that is in order, and some that are not."""
    world.safety_events()
    world.events(range(3), 60)
    world.execute("CREATE VIEW a_view AS SELECT * FROM safety_events")
    world.create("keyless", "id INT, created_at {instant}")
    return world


@on(*EACH_DATABASE)
def test_a_policy_that_cannot_be_meant(prepared: World) -> None:
    """Every wrong argument has its own error; no policy, no row and no table changes."""
    before = prepared.everything()
    for what, (words, error, said) in WRONG.items():
        arguments = {"name": "p", "table": "safety_events", **words}
        with pytest.raises(error) as caught:
            privacy.register_retention_policy(**arguments)
        assert said in str(caught.value), what
        assert CANARY not in str(caught.value)
    assert prepared.everything() == before
    assert privacy.list_retention_policies() == []


@on(*EACH_DATABASE)
def test_a_number_that_counts_nothing(prepared: World) -> None:
    """An integer clock without its unit, and one too small for it, are refused."""
    prepared.create("t", "id INT PRIMARY KEY, at BIGINT, little SMALLINT")
    before = prepared.everything()
    with pytest.raises(InvalidPolicy, match="timestamp_unit"):
        privacy.register_retention_policy("p", "t", "at")
    with pytest.raises(InvalidPolicy, match="timestamp_unit"):
        privacy.register_retention_policy("p", "t", "at", timestamp_unit="minutes")
    if prepared.dialect != "sqlite":
        with pytest.raises(InvalidPolicy, match="too small"):
            privacy.register_retention_policy("p", "t", "little", timestamp_unit="s")
    assert prepared.everything() == before


@on("postgresql-one")
def test_a_value_that_a_door_let_through(prepared: World) -> None:
    """What SQLAlchemy cannot bind is an error of Aegis's own, and does not quote the value."""
    with (
        pytest.raises(OperationFailed, match="not of its column's type") as caught,
        writing(prepared.system.databases.control, "control database") as connection,
    ):
        connection.execute(sa.update(Hold).values(placed_at=CANARY))
    assert CANARY not in str(caught.value)


@on("mariadb-one")
def test_a_table_without_transactions(prepared: World) -> None:
    """MyISAM cannot roll back, so its rows cannot be accounted for."""
    prepared.execute("CREATE TABLE t (id INT PRIMARY KEY, created_at DATETIME) ENGINE = MyISAM")
    with pytest.raises(UnsafeTable, match="InnoDB"):
        privacy.register_retention_policy("p", "t")


CALLS: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "tenant without a tenant column": (
        lambda: privacy.enforce_retention_policies(dry_run=False, tenant_id="acme"),
        InvalidPolicy,
        "tenant_column",
    ),
    "the same, counting": (
        lambda: privacy.enforce_retention_policies(tenant_id="acme"),
        InvalidPolicy,
        "tenant_column",
    ),
    "unknown policy": (
        lambda: privacy.enforce_retention_policies(dry_run=False, policies=["nope"]),
        UnknownName,
        "nope",
    ),
    "dry_run of another type": (
        lambda: privacy.enforce_retention_policies(dry_run="no"),  # type: ignore[arg-type]
        UsageError,
        "dry_run",
    ),
    "dry_run 0": (
        lambda: privacy.enforce_retention_policies(dry_run=0),  # type: ignore[arg-type]
        UsageError,
        "dry_run",
    ),
    "approve nothing": (lambda: privacy.approve_retention_policy("nope", "me"), UnknownName, "nope"),
    "approve by nobody": (lambda: privacy.approve_retention_policy("p", actor=""), UsageError, "actor"),
    "approve by None": (lambda: privacy.approve_retention_policy("p", None), UsageError, "actor"),  # type: ignore[arg-type]
    "approve None": (lambda: privacy.approve_retention_policy(None, "me"), UsageError, "name"),  # type: ignore[arg-type]
    "enforce for nobody": (
        lambda: privacy.enforce_retention_policies(dry_run=False, actor=None),  # type: ignore[arg-type]
        UsageError,
        "actor",
    ),
    "policies that are one text": (
        lambda: privacy.enforce_retention_policies(dry_run=False, policies="p"),
        UsageError,
        "policies must be a list",
    ),
    "disable nothing": (lambda: privacy.disable_retention_policy("nope", "me"), UnknownName, "nope"),
    "unknown run": (lambda: privacy.advance_run("nope"), UnknownName, "nope"),
    "events: limit": (lambda: get_audit_events(0), UsageError, "limit"),
    "events: limit of another type": (lambda: get_audit_events("all"), UsageError, "limit"),  # type: ignore[arg-type]
    "record: no action": (lambda: record_audit("", "me", "policy", "p"), UsageError, "action"),
    "record: no actor": (lambda: record_audit("x", None, "policy", "p"), UsageError, "actor"),  # type: ignore[arg-type]
    "record: too much": (
        lambda: record_audit("x", "me", "policy", "p", {"a": "b" * 40_000}),
        UsageError,
        "32768",
    ),
    "record: a long action": (lambda: record_audit("x" * 190, "me", "policy", "p"), UsageError, "action"),
    "record: a long name": (lambda: record_audit("x", "me", "policy", "p" * 191), UsageError, "target_id"),
    "record: no target": (lambda: record_audit("x", "me", "user", None), UsageError, "target_id"),  # type: ignore[arg-type]
    "record: a list": (
        lambda: record_audit("x", "me", "policy", "p", ["x"]),  # type: ignore[arg-type]
        UsageError,
        "details",
    ),
    "record: a text": (
        lambda: record_audit("x", "me", "policy", "p", "x"),  # type: ignore[arg-type]
        UsageError,
        "details",
    ),
    "record: not plain data": (
        lambda: record_audit("x", "me", "policy", "p", {"a": object()}),
        UsageError,
        "plain data",
    ),
}


@on("sqlite-one", "postgresql-one")
def test_a_call_that_cannot_be_meant(prepared: World) -> None:
    """Each has a ValueError of its own; nothing changes, not even the log."""
    prepared.policy()
    before = prepared.everything()
    events = get_audit_events(1000)
    for what, (call, error, said) in CALLS.items():
        with pytest.raises(error) as caught:
            call()
        assert isinstance(caught.value, ValueError), what
        assert said in str(caught.value), what
    assert prepared.everything() == before
    assert get_audit_events(1000) == events


@on("sqlite+postgresql", "sqlite+mariadb", worlds.SQLITE_TWO)
def test_an_unreachable_source(prepared: World) -> None:
    """The message names the source and not its password; reports say interrupted; nothing changes."""
    prepared.policy()
    before, settings = prepared.everything(), prepared.settings
    url = {
        "sqlite": f"sqlite:///{settings.home}/no-such.db",
        "postgresql": "postgresql://aegis:hidden@127.0.0.1:1/nowhere",
        "mariadb": "mariadb://aegis:hidden@127.0.0.1:1/nowhere",
    }[prepared.dialect]
    prepared.configure(datasources={"app": SourceSettings(url=url)})
    with pytest.raises(Unreachable) as caught:
        privacy.register_retention_policy("q", "safety_events")
    assert "hidden" not in str(caught.value)
    if prepared.dialect != "sqlite":
        assert "data source app at 127.0.0.1:1 does not answer" in str(caught.value)
    for dry_run in (True, False):
        (report,) = privacy.enforce_retention_policies(dry_run=dry_run)
        assert (report["status"], report["applied"], report["rows"]) == ("interrupted", False, None)
        assert "hidden" not in report["reason"]
    assert not (settings.home / "no-such.db").exists()
    prepared.configure(datasources=settings.datasources)
    assert prepared.everything() == before


@on("sqlite+postgresql", "sqlite+mariadb")
def test_a_wrong_password(prepared: World, tmp_path: Path) -> None:
    """It is told apart from a server that is away; the password may stand in a file, read each time."""
    prepared.policy()
    settings = prepared.settings
    url = sa.make_url(settings.datasources["app"].url)
    secret = tmp_path / "password"
    secret.write_text("guess\n")
    bare = url.set(password=None).render_as_string(hide_password=False)
    prepared.configure(datasources={"app": SourceSettings(url=bare, password_file=secret)})
    (report,) = privacy.enforce_retention_policies()
    assert report["status"] == "interrupted"
    assert "password" in report["reason"]
    assert "guess" not in report["reason"]
    secret.write_text(f"{url.password}\n")
    assert privacy.enforce_retention_policies()[0]["rows"] == 3
    prepared.configure(datasources=settings.datasources)


@on("sqlite+postgresql", "sqlite+mariadb", worlds.SQLITE_TWO)
def test_a_source_without_a_journal(prepared: World) -> None:
    """A missing migration is refused, with the command that makes it; nothing is created."""
    prepared.policy()
    prepared.execute(f"DROP TABLE {prepared.journal}")
    prepared.unbalanced = "its journal was dropped"
    with pytest.raises(NotPrepared, match="aegis migrate"):
        privacy.register_retention_policy("q", "safety_events")
    report = prepared.enforce()
    assert (report["applied"], report["status"]) == (False, "failed")
    assert "aegis migrate" in report["reason"]
    assert prepared.count("safety_events") == 3


def test_a_control_database_that_is_away(tmp_path: Path, home_template: Path) -> None:
    """The first call says which database does not answer."""
    settings = Settings(home=home_template, database_url="postgresql://aegis:hidden@127.0.0.1:1/nowhere")
    with pytest.raises(Unreachable, match="control database") as caught:
        use(settings)
    assert "hidden" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_several_sources_must_be_named(builder: worlds.Builder, tmp_path: Path) -> None:
    """With two sources and none named the call is refused, and names both."""
    world = builder.build(worlds.SQLITE_TWO, tmp_path)
    app = world.settings.datasources["app"]
    world.configure(datasources={"app": app, "billing": app})
    with pytest.raises(UnknownName, match="app, billing"):
        privacy.register_retention_policy("p", "safety_events")
    world.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "oracle://x/y", "sqlite://", "sqlite:///:memory:"], ids=range(5)
)
def test_a_url_that_cannot_be_meant(url: str, tmp_path: Path) -> None:
    """An unknown or empty database URL is a wrong setting."""
    with pytest.raises((SettingsError, Refused)):
        use(Settings(home=tmp_path / "home", database_url=url))


@on("sqlite-one")
def test_an_error_never_quotes_a_row(prepared: World) -> None:
    """A row of a wrong form is counted in the message, never shown."""
    prepared.create("t", "id INT PRIMARY KEY, created_at TEXT")
    old = (dt.datetime.now(dt.UTC) - 60 * DAY).isoformat()
    prepared.insert("t", [{"id": 1, "created_at": old}, {"id": 2, "created_at": f"{CANARY}@example.com"}])
    with pytest.raises(InvalidPolicy) as caught:
        privacy.register_retention_policy("p", "t")
    assert CANARY not in str(caught.value)
