"""`aegis retention run --scheduled`: what a CronJob runs in place of beat and a worker."""

import datetime as dt
import sqlite3
from contextlib import closing

from tests.integration.test_cli import prepared, shell
from tests.shells import ADD, APPROVE, EXECUTE, Shell

__all__ = ["prepared", "shell"]
SCHEDULED = (*EXECUTE, "--scheduled")
NOW = {"AEGIS_RETENTION__SOFT_LANDING_HOURS": "0"}


def due_now(shell: Shell) -> None:
    """Add and approve a policy that ran every minute since an hour ago, but for the last minutes."""
    assert shell(*ADD, "--cron", "* * * * *").code == 0
    assert shell(*APPROVE).code == 0
    earlier = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=3)
    with closing(sqlite3.connect(shell.folder / ".aegis" / "aegis.db")) as connection, connection:
        connection.execute(
            "UPDATE data_retention_policies SET planned_until = ?", [f"{earlier:%Y-%m-%d %H:%M:%S.%f}"]
        )


def test_runs_what_is_due_and_nothing_twice(shell: Shell) -> None:
    """The newest instant becomes one run, the missed ones an event; the next call finds nothing."""
    due_now(shell)
    dry = shell("retention", "run", "--scheduled")
    assert dry.code == 0
    assert "safety_90: due for" in dry.out
    assert "nothing was changed" in dry.out
    assert shell.rows() == 5
    done = shell(*SCHEDULED, "--json", **NOW)
    assert done.code == 0, done.err
    assert [(item["rows"], item["applied"]) for item in done.document["results"]] == [(3, True)]
    assert shell.rows() == 2
    runs = shell("retention", "status", "--json").document
    assert [(run["origin"], run["state"]) for run in runs] == [("schedule", "done")]
    again = shell(*SCHEDULED, "--json", **NOW).document["results"]
    assert all(item["rows"] == 0 for item in again)


def test_lands_softly(shell: Shell) -> None:
    """A new policy waits a day before its first portion; the exit code says that a later call goes on."""
    due_now(shell)
    said = shell(*SCHEDULED)
    assert said.code == 3
    assert "soft landing: policy safety_90 is new" in said.out
    assert shell.rows() == 5
    assert shell(*SCHEDULED, **NOW).code == 0
    assert shell.rows() == 2


def test_a_guard_is_lifted_for_the_run(shell: Shell) -> None:
    """The command in the message lets the run go on; --scheduled carries it out."""
    assert shell(*ADD, "--max-rows", "2", "--max-share", "0.9", "--usual-times", "3").code == 0
    shell(*APPROVE)
    stopped = shell(*EXECUTE)
    assert stopped.code == 4
    cure = stopped.out.rpartition("aegis policy approve ")[2].splitlines()[0].replace("NAME", "me")
    lifted = shell("policy", "approve", *cure.split())
    assert (lifted.code, "up to 3 rows, once" in lifted.out) == (0, True)
    assert shell(*SCHEDULED, **NOW).code == 0
    assert shell.rows() == 2


def test_only_everything(shell: Shell) -> None:
    """A policy or a tenant cannot be named with --scheduled."""
    assert shell(*SCHEDULED, "--policy", "safety_90").code == 2


def test_nothing_is_due(shell: Shell) -> None:
    """Says so, and is content."""
    shell(*ADD)
    said = shell(*SCHEDULED)
    assert (said.code, "Nothing is due" in said.out) == (0, True)
