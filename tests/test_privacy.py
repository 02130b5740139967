"""What services rely on: retention dry runs, tenant isolation, federated protection, the audit log."""

import pytest

from aegis.errors import Denied, UsageError
from api.audit import get_audit_events, record_audit
from api.privacy import (
    enforce_retention_policies,
    federated_aggregation_protect,
    register_retention_policy,
    tenant_isolation_check,
)
from tests.worlds import World, on


@on("sqlite-one")
def test_retention_dry_run(world: World) -> None:
    """A dry run reports each policy with its rows and its cutoff, and deletes nothing."""
    world.safety_events()
    world.events(range(12), 91)
    world.events(range(100, 103), 89)
    register_retention_policy("safety_90", table="safety_events", retention_days=90, action="delete")
    before = world.everything()
    (summary,) = enforce_retention_policies(dry_run=True)
    assert summary["policy"] == "safety_90"
    assert summary["rows"] == 12
    assert summary["applied"] is False
    assert summary["cutoff"].endswith("Z")
    assert world.everything() == before


@on("sqlite-one")
@pytest.mark.parametrize(
    ("requesting", "resource", "error"),
    [
        ("a", None, ValueError),
        (None, "a", ValueError),
        ("", "", ValueError),
        (None, None, ValueError),
        ("  ", "a", ValueError),
        ("a", "b", PermissionError),
        ("a", "A", PermissionError),
        (1, "1", PermissionError),
        (1, True, PermissionError),
    ],
)
def test_tenant_isolation(world: World, requesting: object, resource: object, error: type[Exception]) -> None:
    """A missing tenant is a ValueError, a different one a PermissionError; each denial is recorded."""
    with pytest.raises(error) as caught:
        tenant_isolation_check(requesting, resource)
    assert isinstance(caught.value, UsageError | Denied)
    (event,) = get_audit_events(action="tenant:deny")
    assert event["outcome"] == "denied"
    assert world.unbalanced is None


@on("sqlite-one")
def test_the_same_tenant_passes(world: World) -> None:
    """Nothing is raised and nothing recorded."""
    tenant_isolation_check("a", "a")
    tenant_isolation_check(7, 7)
    assert get_audit_events(action="tenant:deny") == []
    assert world.unbalanced is None


@on("sqlite-one", "postgresql-one", "mariadb-one")
def test_audit_log(world: World) -> None:
    """An event is kept with its details sealed, and the door gives them back, newest first."""
    first = record_audit("custom:note", "ops@example.com", "policy", "safety_90", {"why": "x", "share": 0.5})
    second = record_audit("note", "ops@example.com", "user", "u-77", {"ip": "203.0.113.9"})
    newest, older = get_audit_events(limit=2)
    assert (newest["id"], older["id"]) == (second, first)
    assert (newest["action"], older["action"]) == ("custom:note", "custom:note")
    assert older["details"] == {"why": "x", "share": "0.5"}
    assert (older["actor"], older["target_id"]) == ("ops@example.com", "safety_90")
    assert newest["target_id"].startswith("s1_")
    with world.control.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM audit_logs").all())
    assert not [text for text in ("ops@example.com", "u-77", "203.0.113.9") if text in stored]


@on("sqlite-one", "postgresql-one")
def test_audit_in_the_callers_transaction(world: World) -> None:
    """With a connection the event lives and dies with the caller's transaction."""
    record_audit("before", "me", "policy", "p")
    with world.system.databases.control.connect() as connection:
        for commit in (False, True):
            transaction = connection.begin()
            record_audit("mine", "me", "policy", "p", connection=connection)
            transaction.commit() if commit else transaction.rollback()
    told = [event["action"] for event in get_audit_events() if event["action"].startswith("custom:")]
    assert told == ["custom:mine", "custom:before"]


@on("sqlite-one")
def test_federated_protection(world: World) -> None:
    """Too few are refused; without epsilon the value leaves as it is; with it noise keeps its shape."""
    with pytest.raises(PermissionError):
        federated_aggregation_protect({"mean": 0.5}, participant_count=4)
    assert federated_aggregation_protect({"mean": 0.5}, participant_count=5) == {"mean": 0.5}
    noisy = federated_aggregation_protect({"mean": 0.5, "n": 10}, 12, min_participants=5, dp_epsilon=0.5)
    assert noisy.keys() == {"mean", "n"}
    assert isinstance(noisy["mean"], float)
    assert isinstance(noisy["n"], int)
    assert noisy["mean"] != 0.5
    outcomes = [event["outcome"] for event in get_audit_events(action="federated:release")]
    assert outcomes == ["success", "intent", "success", "denied"]
    assert world.unbalanced is None
