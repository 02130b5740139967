"""Legal holds and stops: whether each is in force, and whether somebody still means it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.doctor.findings import Found, Skipped, fault, note, ok
from aegis.doctor.patient import Patient
from aegis.operations import holds
from aegis.operations.scopes import STOP


def check_holds(patient: Patient) -> Found:
    """Check every hold that is not over."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be read while the control database is not ready"
        raise Skipped(message)
    found = holds.kept(patient.system)
    with reading(patient.system.databases.control, CONTROL) as connection:
        today = dialects.now(connection).date()
    bad = 0
    for hold in found:
        for finding in _check_hold(hold, today):
            bad += 1
            yield finding
    if len(found) > bad:
        yield ok("holds", f"{len(found) - bad} in force")


def _check_hold(hold: Mapping[str, Any], today: dt.date) -> Found:
    """Check one hold; nothing is found when it is in force and its review is still to come."""
    what, where = f"{hold['kind']} {hold['id']}", f"data source {hold['datasource']}"
    if hold["state"] == holds.PLACED:
        cure = "make the data source reachable; a worker, or the next run on it, puts it in force"
        yield fault("holds", f"{what} is NOT in force in {where} yet", cure)
    elif hold["state"] == holds.RELEASING:
        cure = "make the data source reachable; a worker, or the next run on it, completes the release"
        yield fault("holds", f"{what} is released, but {where} has not heard of it", cure)
    elif hold["kind"] == STOP:
        yield note("holds", f"{where} is stopped: nothing is changed there", _cure(hold))
    elif hold["review_by"] < today:
        yield fault(
            "holds",
            f"{what} should have been reviewed by {hold['review_by']}; it stays in force",
            _cure(hold),
        )


def _cure(hold: Mapping[str, Any]) -> str:
    if hold["kind"] == STOP:
        return f"when that is over: aegis start --datasource {hold['datasource']} --actor YOU"
    return f"when it is over: aegis hold release {hold['id']} --actor YOU"
