"""The processes: how long a worker may take for a task, and whether beat begins what is due."""

import datetime as dt

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.doctor.findings import Found, Skipped, fault, ok, span
from aegis.doctor.patient import Patient
from aegis.retention import scheduling
from aegis.retention.cron import next_instant
from aegis.settings import Settings


def check_worker(settings: Settings) -> Found:
    """Tell the limits of a task; settings in which Redis would deliver one that still runs are refused."""
    worker, counting = settings.worker, 2 * settings.retention.count_seconds
    longest = counting + settings.retention.slice_seconds
    text = (
        f"a task takes {longest:,.0f} s at most, is killed after {worker.hard_time_limit_seconds:,} s, and "
        f"delivered again after {worker.visibility_timeout_seconds:,} s"
    )
    yield ok("worker", text)


def check_beat(patient: Patient) -> Found:
    """Check that whatever was due by its schedule was begun, by beat or by a CronJob."""
    if patient.fresh:
        return
    if not patient.control_ready:
        message = "cannot be told while the control database is not ready"
        raise Skipped(message)
    with reading(patient.system.databases.control, CONTROL) as connection:
        now = dialects.now(connection)
    # A CronJob that runs `--scheduled` makes up what is at most so old; behind that nobody does.
    patience = dt.timedelta(seconds=patient.settings.operations.catch_up_seconds)
    instants = {
        policy.policy: next_instant(policy.cron, policy.zone, policy.since)
        for policy in scheduling.scheduled(patient.system)
    }
    late = {policy: instant for policy, instant in instants.items() if now - instant > patience}
    if late:
        policy = min(late, key=late.__getitem__)
        ago = span((now - late[policy]).total_seconds())
        more = f", and so were {len(late) - 1} more" if len(late) > 1 else ""
        text = f"policy {policy} was due {ago} ago and nobody has begun it{more}"
        yield fault(
            "beat", text, "start beat: aegis beat; or let a CronJob run aegis retention run --scheduled"
        )
    elif instants:
        policy = min(instants, key=instants.__getitem__)
        yield ok("beat", f"nothing is overdue; next is {policy} at {instants[policy]:%Y-%m-%d %H:%M} UTC")
