"""The audit log: its newest events, its verification, and a change that it shows."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from aegis.audit.actions import Action
from api import audit
from cli.demo.stage import Stage

_SHOWN: Final = (
    Action.POLICY_APPROVE,
    Action.RETENTION_BATCH,
    Action.RETENTION_RUN,
    Action.ERASURE_RUN,
    Action.FEDERATED_RELEASE,
)
#: `aegis audit verify` has found something.
_FINDING: Final = 1
_SECONDS: Final = 120
#: Somebody who approved nothing.
_ANOTHER: Final = f"a1_{'0' * 32}"
_CHANGE: Final = """\
UPDATE audit_logs SET actor_ref = '{another}',
  entry = CAST(replace(entry, actor_ref, '{another}') AS BLOB)
WHERE id = '{event}'"""


def show_events(stage: Stage) -> None:
    """Show the newest events."""
    stage.say("The audit log: the newest event of some kinds; never a value of a row")
    for event in (event for action in _SHOWN for event in audit.get_audit_events(limit=1, action=action)):
        who = f"{event['action']:<18}{event['outcome']:<8}  {event['actor']:<28}"
        stage.tell(f"{event['time'][11:19]}  {who}{_shown(event['details'])}".rstrip())


def is_intact(stage: Stage) -> bool:
    """Verify the log with the command that an auditor uses."""
    stage.say("The log is verified: every leaf, every column, every signature")
    audit.seal_audit_log()
    code, said = _verify(stage.environment)
    _show(stage, code, said)
    return code == 0


def shows_a_change(stage: Stage) -> bool:
    """Change one row in a copy of the log; return whether the verification names it."""
    stage.say("Somebody with every right in the database changes who approved (here in a copy of it)")
    (event,) = audit.get_audit_events(limit=1, action=Action.POLICY_APPROVE)
    change = _CHANGE.format(another=_ANOTHER, event=event["id"])
    copy = _copied(stage.folder / "home", stage.folder / "changed")
    with closing(sqlite3.connect(copy / "aegis.db")) as database, database:
        changed = database.execute(change).rowcount
    for line in change.splitlines():
        stage.tell(line)
    code, said = _verify({**stage.environment, "AEGIS_HOME": str(copy)})
    _show(stage, code, said)
    return changed == 1 and code == _FINDING and event["id"] in said


def _shown(details: Mapping[str, Any]) -> str:
    if "rows" in details:
        return f"{details['table']}: {details['rows']:,} rows"
    return f"epsilon {details['epsilon']}" if "epsilon" in details else ""


def _verify(environment: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "aegis.home", "audit", "verify"],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _show(stage: Stage, code: int, said: str) -> None:
    stage.tell("$ aegis audit verify")
    for line in filter(None, said.splitlines()):
        stage.tell(line)
    stage.tell(f"exit code {code}")


def _copied(home: Path, copy: Path) -> Path:
    """Copy what the verification reads: the databases as they are, the keys, and what was published."""
    copy.mkdir(mode=0o700)
    for name in ("aegis.db", "keys.db"):
        with closing(sqlite3.connect(home / name)) as there, closing(sqlite3.connect(copy / name)) as here:
            there.backup(here)
    for name in ("keys", "audit"):
        shutil.copytree(home / name, copy / name)
    return copy
