"""Telling the children that the worker was told to end: a run stops at its next batch and is given back.

Without it the child would be killed in mid-run at the end of the grace. Nothing is lost by that either, but
the next worker would have to wait until the lease has ended.

Celery would do all of its end where the signal interrupts the main thread, in the middle of anything: with
half of a task written to a child, which waits for the rest, it would wait for that child. Here the signal is
noted, and the end begins when the main thread asks for it, between two things.

And ending at all: where Redis goes at the same time, Celery would try to reach it again for ever.
"""

import faulthandler
import logging
import mmap
import os
import sys
import threading
import time
from typing import Any, Final

from celery import platforms, signals
from celery.apps.worker import Worker, on_cold_shutdown  # type: ignore[attr-defined]
from celery.worker import state

from aegis.operations import slices
from worker.shutdown import GRACE_SECONDS

#: Seconds from the signal until the process ends, whoever still waits for what.
END_SECONDS: Final = GRACE_SECONDS + 15.0

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
        self._signal = threading.Event()
        threading.Thread(target=self._end, name="end", daemon=True).start()
        super().__init__(*args, **options)

    def install_platform_tweaks(self, worker: Any) -> None:
        """Have the signals noted that Celery would act upon at once."""
        super().install_platform_tweaks(worker)
        platforms.signals["SIGTERM"] = platforms.signals["SIGQUIT"] = self._note

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:  # noqa: FBT001, FBT002
        """End, after the grace where a signal asks for it."""
        if self._signal.is_set():
            self.exitcode = exitcode
            on_cold_shutdown(self)
            self.terminate()
        else:
            super().stop(in_sighandler=in_sighandler, exitcode=exitcode)

    def _note(self, *_: Any) -> None:
        """Tell the children, and the loops of the main thread, which call `stop`."""
        if not self._signal.is_set():
            _tell()
            state.should_stop = os.EX_OK  # type: ignore[assignment]
            self._signal.set()

    def _end(self) -> None:
        """End whatever the main thread waits for: Redis, or a task that does not end."""
        self._signal.wait()
        time.sleep(END_SECONDS)
        log.warning(
            "The worker ends without waiting longer: Redis does not answer, or a task does not end. "
            "What it had not acknowledged comes again. Where it waited:"
        )
        # Names of files and functions, and numbers of lines.
        faulthandler.dump_traceback(sys.__stderr__ or 2)
        os._exit(1)


def _tell(**_: Any) -> None:
    _TOLD[0] = 1
