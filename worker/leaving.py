"""Telling the children that the worker was told to end: a run stops at its next batch and is given back.

Without it the child would be killed in mid-run at the end of the grace. Nothing is lost by that either, but
the next worker would have to wait until the lease has ended.
"""

import mmap
from typing import Any

from celery import signals
from celery.apps.worker import Worker

from aegis.operations import slices

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
        return super().wait_for_soft_shutdown()


def _tell(**_: Any) -> None:
    _TOLD[0] = 1
