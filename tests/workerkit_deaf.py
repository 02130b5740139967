"""A beat in which the exit that a signal asks for is lost, as in the clean-up of a database driver."""

import contextlib
import os
import signal
from typing import Any

from schedules.scheduler import PolicyScheduler


class DeafScheduler(PolicyScheduler):
    """Is told to end within its first look, and does not hear it."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Look, and be told."""
        wait = super().tick(*args, **kwargs)
        with contextlib.suppress(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
        return wait
