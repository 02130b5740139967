"""What beat sends at fixed intervals, besides the policies' own instants."""

import datetime as dt
import time
from typing import Any, Final

from celery.schedules import schedule

from aegis.operations.table import CATALOG_SCAN, RECONCILE, RELAY, ROUTES, SEAL

#: Seconds between two relays.
RELAY_SECONDS: Final = 1.0
#: Seconds between two seals of the audit log.
SEAL_SECONDS: Final = 1.0
#: Seconds between two looks at the schemas: MariaDB describes its tables one by one.
CATALOG_SECONDS: Final = 900.0
#: A message that waited longer is dropped for a newer one. Beat writes the instant and the worker reads
#: it, each by the clock of its own host, so it must be more than two hosts are ever apart: were it one
#: relay's second, a worker whose clock is ahead would drop every relay. While no worker is there, one
#: beat's messages of so many seconds wait: 30 relays, 30 seals and a few reconcilers, each a moment's work.
STALE_SECONDS: Final = 30.0


def entries(resend_seconds: float) -> dict[str, dict[str, Any]]:
    """Return Celery's `beat_schedule`.

    Args:
        resend_seconds: how long a run's message may be missing; looked at three times as often.

    """
    return {
        "relay": _every(RELAY, RELAY_SECONDS),
        "seal": _every(SEAL, SEAL_SECONDS),
        "reconcile": _every(RECONCILE, resend_seconds / 3),
        "catalog": _every(CATALOG_SCAN, CATALOG_SECONDS),
    }


def _every(task: str, seconds: float) -> dict[str, Any]:
    options = {"queue": ROUTES[task], "expires": max(seconds, STALE_SECONDS)}
    return {"task": task, "schedule": schedule(seconds, nowfun=_steady), "options": options}


def _steady() -> dt.datetime:
    """Tell how much later one call is than another, by a clock that nobody sets.

    By the host's time, Celery would send nothing for an hour when that is set back by an hour.
    """
    return dt.datetime.fromtimestamp(time.monotonic(), dt.UTC)
