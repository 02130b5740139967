"""The lines that services already use, in a fresh folder, with nothing configured and nothing running."""

import os
import subprocess
import sys
from pathlib import Path

from tests import account, worlds

ROOT = Path(__file__).parents[2]

LINES = """
import datetime as dt, pathlib, sqlite3

pathlib.Path(".aegis").mkdir(mode=0o700)
app = sqlite3.connect(".aegis/aegis.db")
app.execute("CREATE TABLE safety_events (id INTEGER PRIMARY KEY, tenant TEXT, created_at TEXT)")
now = dt.datetime.now(dt.timezone.utc)
for number in range(400):
    at = now - dt.timedelta(days=number % 180, hours=1)
    app.execute("INSERT INTO safety_events VALUES (?, 'a', ?)", (number, at.strftime("%Y-%m-%d %H:%M:%S.%f")))
app.commit()

def there():
    return app.execute("SELECT count(*) FROM safety_events").fetchone()[0]

due = sum(number % 180 >= 90 for number in range(400))

from api.privacy import (register_retention_policy, approve_retention_policy, enforce_retention_policies,
                         tenant_isolation_check)
from api.audit import record_audit, get_audit_events
from aegis.db.tables import DataRetentionPolicy

policy = register_retention_policy("safety_90", table="safety_events", retention_days=90, action="delete")
assert isinstance(policy, DataRetentionPolicy) and policy.state == "pending"

(summary,) = enforce_retention_policies(dry_run=True)
assert summary["rows"] == due and summary["applied"] is False
assert {"policy", "table", "action", "cutoff", "rows", "applied"} <= set(summary)
assert there() == 400

(summary,) = enforce_retention_policies(dry_run=False)
assert summary["applied"] is False and summary["status"] == "unapproved" and summary["rows"] == due
assert there() == 400

approve_retention_policy("safety_90", actor="legal@example.com")
(summary,) = enforce_retention_policies(dry_run=False)
assert summary["applied"] is True and summary["rows"] == due, summary
assert there() == 400 - due

for tenants, expected in ((("a", None), ValueError), (("a", "b"), PermissionError)):
    try:
        tenant_isolation_check(*tenants)
    except expected:
        pass
    else:
        raise AssertionError(tenants)
assert tenant_isolation_check("a", "a") is None

event = record_audit("custom:note", "ops@example.com", "policy", "safety_90", {"why": "x"})
events = get_audit_events(limit=100)
assert events[0]["id"] == event and events[0]["action"] == "custom:note"
assert events[0]["details"] == {"why": "x"} and events[0]["actor"] == "ops@example.com"
assert [e["time"] for e in events] == sorted((e["time"] for e in events), reverse=True)
assert [e["action"] for e in events].count("tenant:deny") == 2
assert sum(e["details"]["rows"] for e in events if e["action"] == "retention:batch") == due

from aegis.operations.system import current
current().close()
app.close()
print(f"all as promised: {due} rows went")
"""


def test_the_promised_lines(tmp_path: Path) -> None:
    """They do what they say on SQLite with the table in the control database, without any server."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LINES],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    said, _, told = done.stdout.strip().partition(": ")
    assert (done.returncode, said) == (0, "all as promised"), done.stderr
    database = worlds.engine(f"sqlite:///{tmp_path / '.aegis' / 'aegis.db'}")
    gone = {"safety_events": int(told.split()[0])}
    account.check(control=database, sources={"default": database}, home=tmp_path / ".aegis", gone=gone)
    database.dispose()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".aegis"]
