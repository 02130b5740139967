"""What becomes of a message whose task ends its process.

Its message goes back, since the process may have been killed for another reason. The deaths are counted in
the broker; beyond `operations.max_attempts` the message is put aside, or it would be carried out for ever. So
is one that took longer than the time limit, which Celery would forget. Tasks that claim a row come to an end
there first: a second message finds the row claimed, and the reconciler sends the next one.

A message that takes the whole worker along is delivered again after the visibility timeout; nobody counts it.
"""

import json
import logging
from typing import Any

import redis
from celery.exceptions import Reject

from aegis.operations.deadletters import DeadLetters, Reason
from aegis.operations.table import BACK, UNREADY
from worker import metrics
from worker.redaction import QuietRequest

log = logging.getLogger(__name__)


class MortalRequest(QuietRequest):
    """A received message that is put aside when its task ends its process time after time."""

    #: Its task, and nobody's death, sends it back.
    _meant = False

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Note whether the task itself sends its message back."""
        error = exc_info.exception
        # Celery wraps an error that crossed from the child.
        self._meant = isinstance(getattr(error, "exc", error), Reject)
        return super().on_failure(exc_info, *args, **options)

    def on_timeout(self, soft: bool, timeout: float) -> Any:  # noqa: FBT001 - Celery's signature
        """Put a message aside that nobody else would send again."""
        if not soft and BACK.get(str(self.name), UNREADY):
            self._put_aside(Reason.TOO_LONG)
        return super().on_timeout(soft, timeout)

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Send the message back, unless its processes have died too often."""
        if requeue and not self._meant and self._is_deadly() and self._put_aside(Reason.DEADLY):
            self.acknowledge()
            return
        super().reject(requeue=requeue)

    def _is_deadly(self) -> bool:
        app: Any = self.app
        try:
            with self.message.channel.conn_or_acquire() as client:
                deaths = DeadLetters(client).died(self.id)
        except redis.RedisError:
            return False
        return deaths > int(app.settings.operations.max_attempts)

    def _put_aside(self, reason: Reason) -> bool:
        """Keep the message, as it lay in its queue, for a person; return whether that was possible."""
        channel, queue = self.message.channel, str(self.delivery_info["routing_key"])
        try:
            with channel.conn_or_acquire() as client:
                kept = client.hget(channel.unacked_key, self.message.delivery_tag)
                if kept is None:
                    return False
                entry = json.dumps(json.loads(kept)[0]).encode()
                DeadLetters(client).put(queue, reason, entry, task=self.name)
        except redis.RedisError:
            return False
        metrics.MESSAGES_REFUSED.labels(reason.value).inc()
        log.error("Put a message of %s aside: %s", self.name, reason.value)
        return True
