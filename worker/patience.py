"""What becomes of a message that cannot be carried out now: it goes back to its queue.

Most requests of services are only a message until a worker has accepted them. When the database is away, or
this installation is not ready, the message goes back, behind the others, after a pause. It is never given up:
what was asked for is not wrong, and somebody has to mend the installation. Every other error is an answer:
the message is done with, and the error is told.
"""

import logging
import random
import time
from typing import Any, Final, NoReturn

from celery.exceptions import Ignore, Reject, Retry

from aegis.operations.table import BACK, UNREADY
from worker.redaction import QuietTask, describe_error

#: The longest pause before a message goes back, in seconds; half of it at least.
PAUSE: Final = 5.0

log = logging.getLogger(__name__)


class PatientTask(QuietTask):
    """The base of every task: what cannot be carried out now, and nobody else asks for, goes back."""

    abstract = True
    Request = "worker.deaths:MortalRequest"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task.

        Raises:
            Reject: its message goes back to its queue.

        """
        try:
            return super().__call__(*args, **kwargs)
        except (Ignore, Reject, Retry):
            raise
        except Exception as error:
            if not isinstance(error, BACK.get(str(self.name), UNREADY)):
                raise
            self._send_back(error)

    def _send_back(self, error: Exception) -> NoReturn:
        why = describe_error(error)
        log.warning("%s cannot be carried out now, and goes back to its queue (%s)", self.name, why)
        # It keeps its slot meanwhile: whoever comes next would find the same.
        time.sleep(PAUSE * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        raise Reject(why, requeue=True) from None
