"""How a worker ends: SIGTERM lets short tasks finish, sends long ones back, and is done in seconds.

Celery calls this a soft shutdown and does it on SIGQUIT; orchestrators send SIGTERM. Celery maps
one to the other by an environment variable that billiard reads when it is imported, and the
`celery` command has imported billiard before it knows which application it runs.
"""

import importlib
import os
import sys

#: Seconds that running tasks get after SIGTERM before they go back to the queue.
GRACE_SECONDS = 2.5

_VARIABLE = "REMAP_SIGTERM"


def remap_sigterm() -> None:
    """Make SIGTERM a soft shutdown; to be called before `celery.apps.worker` is imported."""
    os.environ.setdefault(_VARIABLE, "SIGQUIT")
    common = sys.modules.get("billiard.common")
    if common is not None and os.environ[_VARIABLE] != common.REMAP_SIGTERM:
        importlib.reload(common)
