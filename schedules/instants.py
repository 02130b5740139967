"""What is due by the clock, and the runs that it becomes: the same for beat and for a CronJob."""

import datetime as dt

from api import privacy
from schedules.planning import Due, Missed, Schedule, plan


def planned(catch_up: dt.timedelta) -> list[tuple[Due | Missed, str]]:
    """Return what is due or was missed now, each with the id of its policy; missed ones first."""
    known = {policy.policy: policy for policy in privacy.scheduled_policies()}
    schedules = [
        Schedule(policy=policy.policy, cron=policy.cron, zone=policy.zone, since=policy.since)
        for policy in known.values()
    ]
    found = plan(dt.datetime.now(dt.UTC), schedules, {}, catch_up)
    items: list[Due | Missed] = [*found.missed, *found.due]
    return [(item, known[item.policy].policy_id) for item in items]


def carry_out(item: Due | Missed, policy_id: str) -> str | None:
    """Create the run of a due instant and return its id; none when somebody did already.

    A missed instant becomes an event.
    """
    if isinstance(item, Missed):
        privacy.note_missed_runs(policy_id, item.first, item.last, item.count)
        return None
    return privacy.create_scheduled_run(policy_id, item.scheduled_for)
