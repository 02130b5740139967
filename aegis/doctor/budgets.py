"""Privacy budgets: which of them are spent, or soon will be."""

from typing import Final

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.doctor.findings import Found, Skipped, note, ok
from aegis.doctor.patient import Patient
from aegis.federated import accounts

#: The share of a limit from which on it is told.
_TOLD: Final = 0.8


def check_budgets(patient: Patient) -> Found:
    """Tell which budgets have little left; nothing is wrong with that, but releases will be refused."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be read while the control database is not ready"
        raise Skipped(message)
    with reading(patient.system.databases.control, CONTROL) as connection:
        found = accounts.listed(connection, dialects.now(connection))
    told = 0
    for account in found:
        for period in account.periods:
            if period.share is None or period.share <= _TOLD:
                continue
            told += 1
            text = f"{period.share:.0%} of budget {account.name} is spent in its {period.name}"
            until = f" until {period.ends_at:%Y-%m-%d %H:%M} UTC" if period.ends_at else ""
            cure = f"`aegis federated budget set {account.name}` can raise it, and is recorded"
            yield note("budgets", f"{text}: what needs more than is left will be refused{until}", cure)
    if found and not told:
        yield ok("budgets", f"none of {len(found)} is spent by more than {_TOLD:.0%}")
