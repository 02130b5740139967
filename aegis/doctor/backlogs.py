"""Backlogs: policies that never catch up, and rows that are still in the files when they should not."""

from typing import Final

from aegis.doctor.findings import Found, Skipped, fault, ok
from aegis.doctor.patient import Patient
from aegis.operations import runs
from aegis.operations.states import PolicyState
from aegis.retention import policies, purges
from aegis.retention.forecast import forecast

#: Purges that are looked at.
_MOST: Final = 100


def check_backlogs(patient: Patient) -> Found:
    """Check that every approved policy lets go more than arrives."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be read while the control database is not ready"
        raise Skipped(message)
    known = 0
    for policy in policies.newest(patient.system):
        if policy.state != PolicyState.APPROVED:
            continue
        found = forecast(patient.system, policy)
        known += found.arriving_per_day is not None
        if found.never:
            cure = "give it longer windows, a larger budget, or an index on its timestamp column"
            yield fault("backlogs", f"policy {policy.name}: {found.sentence()}", cure)
    yield ok("backlogs", f"{known} with a forecast" if known else "no run was measured yet")


def check_runs(patient: Patient) -> Found:
    """Check that no run was left by a process that died."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be read while the control database is not ready"
        raise Skipped(message)
    left = runs.abandoned(patient.system)
    for run in left:
        text = f"run {run['id']} of policy {run['policy']} is {run['state']}, and nobody works on it"
        cure = (
            "start beat and a worker, which go on with it; or, where a call began it, "
            f"`aegis retention run --policy {run['policy']} --execute`"
        )
        yield fault("runs", text, cure)
    if not left:
        yield ok("runs", "every unfinished run is worked on, or waits as it should")


def check_purges(patient: Patient) -> Found:
    """Check that the rows of past runs are gone from the files too, in time."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be read while the control database is not ready"
        raise Skipped(message)
    late = [item for item in purges.recent(patient.system, _MOST) if item["state"] == "overdue"]
    for item in late:
        why = item["report"].get("why") or "nobody has looked yet"
        text = f"rows of policy {item['policy']} may still be readable in the files of {item['table_name']}"
        yield fault("purges", f"{text}: {why}", f"aegis retention purge {item['run']} --execute")
    if not late:
        yield ok("purges", "nothing is in the files for longer than it may")
