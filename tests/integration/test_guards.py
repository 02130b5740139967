"""Guards: a run that would take more than anybody expects stops before its first row."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from aegis.errors import Refused
from aegis.operations import approvers
from aegis.operations.signatures import ED25519, PublicKey
from api import audit, privacy
from tests.worlds import ACTOR, EACH_DATABASE, World, on
from worker import metrics


def prepare(world: World, **guards: Any) -> None:
    """Twenty rows past their time of thirty, and a policy with guards."""
    world.safety_events()
    world.events(range(20), 60)
    world.events(range(100, 110), 1)
    world.policy(guards=guards or None)


def stopped(world: World) -> dict[str, Any]:
    """Run the policy and return the run, which a guard has stopped before its first row."""
    report = world.enforce()
    assert (report["status"], report["applied"], report["rows"]) == ("blocked", False, 0)
    assert world.count("safety_events", "id < 100") >= 20
    row = world.run_row(report["run"])
    assert row["state"] == "blocked"
    return row | {"reason": report["reason"], "report": json.loads(row["report"])}


class TestStops:
    """Each guard, with its message; no row is changed."""

    @on(*EACH_DATABASE, "sqlite+postgresql")
    @pytest.mark.parametrize(
        ("guard", "most"), [({"max_rows": 19}, 19), ({"max_share": 0.5}, 15)], ids=["rows", "share"]
    )
    def test_more_than_the_limit(self, world: World, guard: dict[str, Any], most: int) -> None:
        """The reason, the run's report and its event say which guard, which limit, how many, and the cure."""
        prepare(world, **guard)
        row = stopped(world)
        ((name, limit),) = guard.items()
        assert f"guard {name} = {limit} of policy p" in row["reason"]
        assert f"20 rows would go, at most {most} may" in row["reason"]
        assert f"aegis policy approve p --run {row['id']} --actor" in row["reason"]
        found = {"guard": name, "limit": str(limit), "counted": 20}
        assert row["report"].items() >= found.items()
        assert audit.get_audit_events(1, action="retention:run")[0]["details"].items() >= found.items()

    @on("sqlite-one")
    @pytest.mark.parametrize("guard", [{"max_rows": 20}, {"max_share": "0.67"}], ids=["rows", "share"])
    def test_up_to_the_limit_runs(self, world: World, guard: dict[str, Any]) -> None:
        """Exactly as many as may go, go."""
        prepare(world, **guard)
        assert world.enforce()["rows"] == 20

    @on("sqlite-one", "mariadb-one")
    def test_more_than_the_usual(self, world: World) -> None:
        """Three runs that took rows say what is usual; more than that many times stops the fourth."""
        prepare(world, usual_times="3")
        assert world.enforce()["rows"] == 20
        for first in (200, 300):
            world.events(range(first, first + 4), 60)
            assert world.enforce()["rows"] == 4
        assert world.enforce()["rows"] == 0
        world.events(range(20), 60)
        assert "guard usual_times = 3" in stopped(world)["reason"]
        world.remove("safety_events", "id >= 12 AND id < 100")
        assert world.enforce()["rows"] == 12

    @on("sqlite-one")
    def test_the_share_of_the_settings(self, world: World) -> None:
        """A policy without a word of its own is under the limit of the settings; its own word counts more."""
        world.configure(retention=replace(world.settings.retention, max_share=0.5))
        prepare(world)
        assert "guard max_share = 0.5" in stopped(world)["reason"]
        world.policy(guards={"max_share": "1"})
        assert world.enforce()["rows"] == 20

    @on("sqlite-one")
    def test_a_tenants_share_is_of_the_tenants_rows(self, world: World) -> None:
        """A run for one tenant is measured on what that tenant has."""
        prepare(world)
        world.events(range(500, 510), 60, tenant="beta")
        world.policy(guards={"max_share": 0.7}, tenant_column="tenant")
        assert world.enforce(tenant_id="beta")["status"] == "blocked"
        assert world.enforce(tenant_id="acme")["rows"] == 20

    @on("sqlite-one")
    def test_the_worker_counts_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A slice that a guard stopped raises aegis_guard_stops_total once."""
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        prepare(world, max_rows=5)
        run = world.start()
        for _ in range(2):
            metrics.count_report(privacy.advance_run(run))
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(tmp_path))  # type: ignore[no-untyped-call]
        labels = {"policy": "p", "guard": "max_rows"}
        assert registry.get_sample_value("aegis_guard_stops_total", labels) == 1


class TestApproved:
    """A stopped run goes on when somebody approves it for what was counted."""

    @on(*EACH_DATABASE)
    def test_that_run_goes_on_once(self, world: World) -> None:
        """The rows that were counted go; the next run is stopped again."""
        prepare(world, max_rows=19)
        row = stopped(world)
        approved = privacy.approve_stopped_run("p", row["id"], ACTOR)
        assert approved["state"] == "accepted"
        assert privacy.due_runs() == [row["id"]]
        report = world.finish(row["id"])
        assert (report["outcome"], report["total"]) == ("done", 20)
        event = audit.get_audit_events(1, action="policy:approve")[0]["details"]
        assert (event["run"], event["counted"], event["claimed"]) == (row["id"], 20, 1)
        world.events(range(20), 60)
        stopped(world)

    @on("sqlite-one", "postgresql-one")
    def test_more_rows_than_were_counted_stop_it_again(self, world: World) -> None:
        """Rows with an old timestamp that came meanwhile are not covered by the approval."""
        prepare(world, max_rows=19)
        row = stopped(world)
        privacy.approve_stopped_run("p", row["id"], ACTOR)
        world.events([900], 60)
        report = world.finish(row["id"])
        assert (report["outcome"], report["rows"]) == ("blocked", 0)
        assert "21 rows would go" in report["reason"]
        assert privacy.approve_stopped_run("p", row["id"], ACTOR)["state"] == "accepted"
        assert world.finish(row["id"])["total"] == 21

    @on("sqlite-one")
    def test_rows_that_got_old_meanwhile_are_not_in_it(self, world: World) -> None:
        """It counts again at the instant at which it was stopped."""
        prepare(world, max_rows=19)
        row = stopped(world)
        privacy.approve_stopped_run("p", row["id"], ACTOR)
        world.finish(row["id"])
        assert world.run_row(row["id"])["moment"] == row["moment"]

    @on("sqlite-one")
    def test_with_keys_it_is_signed(self, world: World) -> None:
        """A claim is refused; the signature covers the run and the count."""
        prepare(world, max_rows=19)
        row = stopped(world)
        key = Ed25519PrivateKey.generate()
        public = PublicKey(scheme=ED25519, raw=key.public_key().public_bytes_raw())
        approvers.add(world.system, "anna", public, owner="anna", actor=ACTOR)
        privacy.approve_retention_policy("p", "anna", signature=key.sign(privacy.approval_message("p")))
        with pytest.raises(Refused, match=f"aegis-approve-v1:run:{row['id']}:"):
            privacy.approve_stopped_run("p", row["id"], ACTOR)
        signature = key.sign(privacy.approval_message("p", run=row["id"]))
        privacy.approve_stopped_run("p", row["id"], "anna", signature=signature)
        assert world.finish(row["id"])["total"] == 20

    @on("sqlite-one")
    def test_a_count_edited_by_sql_is_not_what_was_approved(self, world: World) -> None:
        """A larger number in the run's report makes the approval one for something else."""
        prepare(world, max_rows=19)
        row = stopped(world)
        privacy.approve_stopped_run("p", row["id"], ACTOR)
        with world.control.begin() as connection:
            report = json.dumps(row["report"] | {"counted": 1000})
            connection.execute(sa.text("UPDATE aegis_runs SET report = :r"), {"r": report})
        assert world.finish(row["id"])["outcome"] == "blocked"

    @on("sqlite-one")
    def test_only_what_a_guard_stopped(self, world: World) -> None:
        """Another run, or one of another policy, is refused."""
        prepare(world, max_rows=19)
        row = stopped(world)
        with pytest.raises(Refused, match="no run of policy q"):
            privacy.approve_stopped_run("q", row["id"], ACTOR)
        run = world.start()
        with pytest.raises(Refused, match="accepted"):
            privacy.approve_stopped_run("p", run, ACTOR)

    @on("sqlite-one")
    def test_resuming_without_an_approval_stops_it_again(self, world: World) -> None:
        """Who may resume a run does not thereby lift a guard."""
        prepare(world, max_rows=19)
        row = stopped(world)
        privacy.resume_run(row["id"], ACTOR)
        assert world.finish(row["id"])["outcome"] == "blocked"
        assert world.count("safety_events") == 30
