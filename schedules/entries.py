"""What beat sends at fixed intervals, besides the policies' own instants."""

from typing import Any, Final

from aegis.operations.table import RECONCILE, RELAY, ROUTES, SEAL

#: Seconds between two relays; a message that waited longer is dropped for the next one.
RELAY_SECONDS: Final = 1.0
#: Seconds between two seals of the audit log.
SEAL_SECONDS: Final = 1.0


def entries(resend_seconds: float) -> dict[str, dict[str, Any]]:
    """Return Celery's `beat_schedule`.

    Args:
        resend_seconds: how long a run's message may be missing; looked at three times as often.

    """
    return {
        "relay": _every(RELAY, RELAY_SECONDS),
        "seal": _every(SEAL, SEAL_SECONDS),
        "reconcile": _every(RECONCILE, resend_seconds / 3),
    }


def _every(task: str, seconds: float) -> dict[str, Any]:
    # A message that nobody took until the next one comes is worth nothing: one waits at most.
    return {"task": task, "schedule": seconds, "options": {"queue": ROUTES[task], "expires": seconds}}
