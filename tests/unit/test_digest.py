"""The digest that an approval binds to: what is in it, and that it never changes its meaning."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.retention import definition as definitions
from aegis.retention.definition import Definition
from aegis.retention.target import read_target

GOLDEN = Path(__file__).parents[1] / "golden"
TABLE = """CREATE TABLE safety_events (
    id INTEGER PRIMARY KEY, tenant VARCHAR(100), kind VARCHAR(20), note TEXT, created_at TIMESTAMP)"""
POLICY = Definition(
    name="safety_90",
    table="safety_events",
    tenant_column="tenant",
    filter_sql="kind IN ('low', 'none') AND note IS NULL",
    purpose="abuse review",
    legal_basis="art. 6 (1) f",
)


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    """A database with the table."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as opened:
        opened.exec_driver_sql(TABLE)
        opened.exec_driver_sql(
            "CREATE TABLE reviews (id INTEGER PRIMARY KEY, e INT REFERENCES safety_events (id))"
        )
        yield opened
    engine.dispose()


def document(connection: sa.Connection, version: int = definitions.DIGEST_VERSION, **changes: Any) -> str:
    """Return the document of the policy with changes."""
    policy = replace(POLICY, **changes)
    target = read_target(connection, policy.table, policy)
    return definitions.document(policy, target, identity="db-1", connection=connection, version=version)


@pytest.mark.parametrize("version", range(1, definitions.DIGEST_VERSION + 1))
def test_no_version_ever_changes(connection: sa.Connection, version: int) -> None:
    """An approval that was given to a golden document is valid for ever."""
    golden = json.loads((GOLDEN / f"policy.v{version}.json").read_text())
    text = document(connection, version)
    assert json.loads(text) == golden["document"]
    assert definitions.digest(text) == golden["digest"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"retention_days": 91},
        {"tenant_column": None},
        {"filter_sql": None},
        {"filter_sql": "kind = 'low'"},
        {"zone": "Europe/Berlin"},
        {"purpose": "other"},
        {"legal_basis": None},
        {"datasource": "other"},
        {"period": "P2Y"},
        {"masks": {"note": "null"}},
        {"marker_column": "note"},
        {"delete_after_days": 30},
        {"tenant_days": {"acme": 30}},
        {"guards": {"max_rows": 10}},
        {"archive": {"keep_days": 14}},
        {"cascades": ("reviews",)},
        {"after": ("reviews_90",)},
    ],
    ids=str,
)
def test_what_is_approved(connection: sa.Connection, change: dict[str, Any]) -> None:
    """Each part of a policy in turn gives another digest."""
    assert definitions.digest(document(connection, **change)) != definitions.digest(document(connection))


@pytest.mark.parametrize(
    "change",
    [
        {"cron": "0 3 * * *"},
        {"cron_zone": "Europe/Berlin"},
        {"windows": ("22:00-06:00",)},
        {"budget": {"rows": 10}},
        {"parallel": 4},
        {"categories": ("user.contact",)},
        {"review_by": dt.date(2030, 1, 1)},
    ],
    ids=str,
)
def test_when_it_runs_is_not(connection: sa.Connection, change: dict[str, Any]) -> None:
    """Another hour needs no new approval."""
    assert document(connection, **change) == document(connection)


def test_the_spelling_of_a_condition_is_not(connection: sa.Connection) -> None:
    """Blanks, the case of keywords and redundant parentheses make no difference."""
    spelled = "( kind   in ('low','none') )  and  (note is null)"
    assert document(connection, filter_sql=spelled) == document(connection)


def test_differences_are_named() -> None:
    """Only the parts that differ, by name."""
    assert definitions.changes({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "d": 4}) == ["b", "c", "d"]
