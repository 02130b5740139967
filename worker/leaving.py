"""Telling the children that the worker was told to end: a run stops at its next batch and is given back.

Without it the child would be killed in mid-run at the end of the grace. Nothing is lost by that either, but
the next worker would have to wait until the lease has ended.

And ending at all: where Redis goes at the same time, Celery would try to reach it again for ever.
"""

import logging
import mmap
import os
import threading
from typing import Any, Final

from celery import signals
from celery.apps.worker import Worker

from aegis.operations import slices

#: Seconds from the end of the grace until the process ends, whoever still waits for what.
END_SECONDS: Final = 15.0

log = logging.getLogger(__name__)

#: One byte that the worker shares with the children that it forks.
_TOLD = mmap.mmap(-1, 1)


class LeavingWorker(Worker):
    """The worker, whose children learn at the beginning of its grace that it ends."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take Celery's arguments; no child is there yet."""
        slices.LEAVING.append(lambda: bool(_TOLD[0]))
        # Ctrl-C, after which Celery waits for tasks without a limit.
        signals.worker_shutting_down.connect(_tell)
        super().__init__(*args, **options)

    def wait_for_soft_shutdown(self) -> Any:
        """Tell the children, and let them finish; Celery's own signal comes only after that."""
        _tell()
        try:
            return super().wait_for_soft_shutdown()
        finally:
            # A thread of the pool's end tries Redis again for ever, and has a lock that the main one needs.
            end = threading.Timer(END_SECONDS, _end)
            end.daemon = True
            end.start()


def _tell(**_: Any) -> None:
    _TOLD[0] = 1


def _end() -> None:
    log.warning(
        "The worker ends without waiting longer: Redis does not answer, or a task does not end. "
        "What it had not acknowledged comes again"
    )
    os._exit(1)
