"""Policies that cannot be meant are refused before anybody looks at a database."""

import datetime as dt
from typing import Any

import pytest

from aegis.db.tables import DataRetentionPolicy
from aegis.errors import InvalidPolicy
from aegis.retention import cron
from aegis.retention.definition import Definition
from aegis.retention.forecast import Forecast
from aegis.retention.order import in_order

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"name": "erasure"}, "give the policy another name"),
        ({"cascades": ["orders", " "]}, "cascades is a list of tables"),
        ({"cascades": [7]}, "cascades is a list of tables"),
        (
            {"cascades": ["orders"], "action": "anonymize", "masks": {"name": "null"}},
            "cascades belongs to a policy that deletes",
        ),
        ({"after": ["p"]}, "the names of other policies"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: dict[str, Any], told: str) -> None:
    """The error names the policy's word."""
    with pytest.raises(InvalidPolicy, match=told):
        Definition(**{"name": "p", "table": "t", "retention_days": 30, **words}).check()


@pytest.mark.parametrize(
    "text", ["61 0 * * *", "0 0 * * mond", "0 0 * * 1#9", "a b c d e", "0 0 1-x * *", "0 0 30 2 *"]
)
def test_a_cron_that_cannot_be_read(text: str) -> None:
    """The error names the field, and shows all in their order; a day that never comes is no day."""
    with pytest.raises(InvalidPolicy, match="cannot be read; the fields are minute hour"):
        cron.check_cron(text, "UTC")


def test_policies_that_wait_for_each_other_are_refused() -> None:
    """The circle is told, from its first policy back to it."""
    policies = [
        DataRetentionPolicy(name=name, after=[other]) for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
    ]
    with pytest.raises(InvalidPolicy, match="wait for each other: a after b after c after a; take one"):
        in_order(policies)


@pytest.mark.parametrize(
    ("mark", "leaving", "days"),
    [
        ({"overdue": 900, "arriving_per_day": 100.0}, 400.0, 3.0),
        ({"overdue": 900, "arriving_per_day": None}, 300.0, 3.0),
        ({"overdue": 900, "arriving_per_day": 500.0}, 400.0, None),
        ({"overdue": 0, "arriving_per_day": 1.0}, 400.0, None),
        ({"overdue": 900, "arriving_per_day": 1.0}, None, None),
        ({}, 400.0, None),
    ],
)
def test_a_backlog_lasts_so_many_days(
    mark: dict[str, Any], leaving: float | None, days: float | None
) -> None:
    """What goes beyond what arrives takes the backlog away; None: there is none, or it never ends."""
    told = [{"tenant": "", **mark}] if mark else []
    found = Forecast(
        policy=DataRetentionPolicy(name="p"), marks=told, last_success=None, leaving_per_day=leaving
    )
    assert found.days_behind == days
