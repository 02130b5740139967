"""A policy file against real databases: what it would change, what it changes, and what it leaves."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.errors import InvalidFile, Refused, UnknownName
from api import privacy
from tests.worlds import ACTOR, EACH_DATABASE, World, on

LOW = {"table": "safety_events", "days": 30, "action": "delete", "filter": "kind = 'low'"}


def file_of(**policies: Mapping[str, Any]) -> str:
    """Return a file of these policies; JSON values are YAML."""
    lines = ["policies:"]
    for name, keys in policies.items():
        lines += [f"  {name}:", *(f"    {key}: {value!r}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def apply(text: str, *, check: bool = False) -> dict[str, dict[str, Any]]:
    """Apply a file; return the steps by policy."""
    steps = privacy.apply_retention_policies(text, check=check, actor=ACTOR)
    return {step["policy"]: step for step in steps}


def statuses(text: str) -> dict[str, str]:
    """Return what a file would change."""
    return {name: step["status"] for name, step in apply(text, check=True).items()}


def refusal(text: str) -> str:
    """Return the faults of a file."""
    with pytest.raises(InvalidFile) as caught:
        apply(text)
    return "\n".join(caught.value.problems)


def registered(world: World) -> list[Any]:
    """Return every version of every policy in the register."""
    with world.control.connect() as connection:
        query = "SELECT name, version, state, cron FROM data_retention_policies ORDER BY name, version"
        return [tuple(row) for row in connection.execute(sa.text(query))]


class TestApplying:
    """New, changed, unchanged, and only in the database."""

    def test_registers_and_then_has_nothing_to_do(self, world: World) -> None:
        """What is new is pending; the same file again, and after the approval, changes nothing."""
        world.safety_events()
        text = file_of(low=LOW)
        assert apply(text)["low"]["status"] == "new"
        (found,) = privacy.list_retention_policies()
        assert (found.name, found.state, found.version, found.retention_days) == ("low", "pending", 1, 30)
        assert statuses(text) == {"low": "unchanged"}
        privacy.approve_retention_policy("low", ACTOR)
        before = world.everything()
        assert apply(text)["low"]["status"] == "unchanged"
        assert world.everything() == before

    @on(*EACH_DATABASE)
    def test_check_changes_nothing(self, world: World) -> None:
        """However much the file differs, a check leaves every table as it was."""
        world.safety_events()
        world.policy("low", retention_days=10)
        before = world.everything()
        assert statuses(file_of(low=LOW, more=LOW)) == {"low": "changed", "more": "new"}
        assert world.everything() == before

    @on(*EACH_DATABASE)
    def test_a_change_is_a_new_version_and_the_approved_one_stops(self, world: World) -> None:
        """The step tells each key's old and new value; the new version waits for its approval."""
        world.safety_events()
        apply(file_of(low=LOW))
        privacy.approve_retention_policy("low", ACTOR)
        longer = LOW | {"days": 60, "filter": "kind  in ('low')", "purpose": "abuse review"}
        step = apply(file_of(low=longer))["low"]
        assert step["new_version"]
        assert [(it["key"], it["old"], it["new"]) for it in step["changes"] if it["key"] != "filter"] == [
            ("days", 30, 60),
            ("purpose", None, "abuse review"),
        ]
        assert [row[:3] for row in registered(world)] == [("low", 1, "superseded"), ("low", 2, "pending")]

    def test_a_schedule_changes_in_place(self, world: World) -> None:
        """What an approval does not cover changes at once, and the approval stays."""
        world.safety_events()
        apply(file_of(low=LOW))
        privacy.approve_retention_policy("low", ACTOR)
        later = file_of(low=LOW | {"cron": "0 4 * * *", "zone": "Europe/Berlin", "owner": ACTOR})
        step = apply(later)["low"]
        assert (step["status"], step["new_version"]) == ("changed", False)
        assert {item["key"] for item in step["changes"]} == {"cron", "zone", "owner"}
        assert registered(world) == [("low", 1, "approved", "0 4 * * *")]
        assert statuses(later) == {"low": "unchanged"}

    @on("sqlite-one")
    def test_a_policy_that_is_not_in_the_file_stays(self, world: World) -> None:
        """It is named, and nothing happens to it; a disabled one is not spoken of."""
        world.safety_events()
        world.policy("other")
        world.policy("old")
        privacy.disable_retention_policy("old", ACTOR)
        assert statuses("policies: {}\n") == {"other": "only in the database"}
        apply(file_of(low=LOW))
        assert [row[:3] for row in registered(world) if row[0] != "low"] == [
            ("old", 1, "disabled"),
            ("other", 1, "approved"),
        ]

    @on("sqlite-one")
    def test_a_disabled_policy_comes_back_as_a_new_version(self, world: World) -> None:
        """It is pending, as after `add`; the step says what happens to its state."""
        world.safety_events()
        apply(file_of(low=LOW))
        privacy.disable_retention_policy("low", ACTOR)
        (change,) = apply(file_of(low=LOW))["low"]["changes"]
        assert change == {"key": "state", "old": "disabled", "new": "pending"}
        assert [row[:3] for row in registered(world)] == [("low", 1, "disabled"), ("low", 2, "pending")]

    @on(*EACH_DATABASE)
    def test_a_table_that_changed_is_a_difference(self, world: World) -> None:
        """The words are the same and the live table is not: the policy has to be registered again."""
        world.safety_events()
        apply(file_of(low=LOW))
        privacy.approve_retention_policy("low", ACTOR)
        world.create(
            "reviews", "id BIGINT PRIMARY KEY, e BIGINT, FOREIGN KEY (e) REFERENCES safety_events (id)"
        )
        step = apply(file_of(low=LOW), check=True)["low"]
        assert (step["status"], step["new_version"]) == ("changed", True)
        assert step["changes"] == [{"key": "references", "old": "as registered", "new": "changed"}]


class TestRefusing:
    """Nothing is applied when anything is wrong."""

    @on(*EACH_DATABASE)
    def test_one_wrong_policy_stops_all(self, world: World) -> None:
        """Every fault is told with its line, also those that only the live table shows."""
        world.safety_events()
        wrong = {
            "table": LOW | {"table": "nowhere"},
            "clock": LOW | {"timestamp_column": "wall"},
            "condition": LOW | {"filter": "now() > 1"},
        }
        before = world.everything()
        problems = refusal(file_of(low=LOW, **wrong))
        assert world.everything() == before
        lines = [line.split(": ")[:2] for line in problems.splitlines()]
        assert [policy for _, policy in lines] == ["policy table", "policy clock", "policy condition"]
        assert lines[0][0] == "policies.yaml:8"
        assert "nowhere" in problems
        assert registered(world) == []

    @on("sqlite-one")
    def test_an_unsafe_table_is_a_fault_of_the_file(self, world: World) -> None:
        """A table of Aegis's own is refused as it is by `add`, with its line."""
        problems = refusal(file_of(low=LOW | {"table": "audit_logs"}))
        assert problems.startswith("policies.yaml:3: policy low: ")
        assert registered(world) == []

    @on(*EACH_DATABASE)
    def test_a_tenant_column_that_is_not_there(self, world: World) -> None:
        """It is refused with its line, and the columns that the table has."""
        world.safety_events()
        problems = refusal(file_of(low=LOW | {"tenant_column": "organisation"}))
        assert problems.startswith(
            "policies.yaml:3: policy low: table safety_events has no column 'organisation'"
        )
        assert "(given as tenant_column)" in problems
        assert "tenant, email" in problems
        assert registered(world) == []

    @on("sqlite-one")
    def test_an_unknown_data_source(self, world: World) -> None:
        """The fault stands at the line that names it."""
        world.safety_events()
        problems = refusal(file_of(low=LOW | {"datasource": "warehouse"}))
        assert problems.startswith("policies.yaml:7: policy low: there is no data source 'warehouse'")


class TestExporting:
    """The register as a file."""

    def test_the_exported_file_has_nothing_to_do(self, world: World) -> None:
        """Whatever a policy says, in whatever spelling: exported and applied it is unchanged."""
        world.safety_events()
        world.policy(
            "all_of_it",
            tenant_column="tenant",
            filter_sql="kind  IN ('low', 'it''s: #1') or email is null",
            cron="*/5 1-4 * * *",
            cron_zone="America/New_York",
            purpose="abuse: review",
            legal_basis="yes",
            categories=["contact data", "7"],
            owner=ACTOR,
            tenant_days={"acme": 10, "7": 400},
            guards={"max_rows": 1000, "max_share": 0.5},
            archive={"keep_days": 14},
            windows=["22:00-06:00"],
            budget={"rows": 5000, "seconds": 600},
            parallel=2,
            review_by=dt.date(2027, 1, 31),
        )
        world.policy("plain", approve=False)
        text = privacy.export_retention_policies()
        assert f"owner: {ACTOR}" in text
        assert statuses(text) == {"all_of_it": "unchanged", "plain": "unchanged"}

    @on("sqlite-one")
    def test_those_named_only(self, world: World) -> None:
        """One name, one policy; an unknown or a disabled one is refused."""
        world.safety_events()
        world.policy("a")
        world.policy("b")
        privacy.disable_retention_policy("b", ACTOR)
        assert statuses(privacy.export_retention_policies(["a"])) == {"a": "unchanged"}
        assert privacy.export_retention_policies() == privacy.export_retention_policies(["a"])
        with pytest.raises(Refused, match="policy b is disabled"):
            privacy.export_retention_policies(["b"])
        with pytest.raises(UnknownName):
            privacy.export_retention_policies(["c"])

    @on("sqlite-one")
    def test_applies_to_an_empty_register(self, world: World) -> None:
        """A register that was lost is made anew from the file, and is then the same."""
        world.safety_events()
        world.policy("low", filter_sql="kind = 'low'", cron="0 3 * * 1")
        text = privacy.export_retention_policies()
        with world.control.begin() as connection:
            connection.execute(sa.text("DELETE FROM data_retention_policies"))
        apply(text)
        assert privacy.export_retention_policies() == text
