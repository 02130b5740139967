"""The beat scheduler: policies from the database, each with its own cron expression and zone.

The run's row is inserted first, UNIQUE(policy, instant): several beats make one run of it. Sending
the message comes after; when that fails, the reconciler sends the run later.
"""

import datetime as dt
import logging
import time
from typing import Any

from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from kombu.exceptions import OperationalError

from aegis.errors import AegisError
from aegis.operations.heartbeats import Heartbeat
from aegis.operations.table import ROUTES, RUN
from schedules import instants
from schedules.planning import Due, Missed

log = logging.getLogger(__name__)


class PolicyScheduler(Scheduler):
    """Plans policies at every tick, and sends the fixed entries as Celery's own scheduler does."""

    app: Any  # Aegis's own Celery application, with its settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take Celery's arguments; the first planning is due at once."""
        self._next_plan = 0.0
        #: When policies were last looked at, in seconds since 1970; beat's metrics show it.
        self.last_tick: float | None = None
        self._reported: set[str] = set()
        self._broker_away = False
        self._ended = False
        self._heart = Heartbeat(kwargs["app"].settings.home, "beat")
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Take over the fixed entries."""
        self.merge_inplace(self.app.conf.beat_schedule)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Plan, send what is due, and return the seconds until the next look."""
        if self._ended:
            raise SystemExit
        settings = self.app.settings
        self._heart.beat()
        if time.monotonic() >= self._next_plan:
            self._next_plan = time.monotonic() + settings.worker.tick_seconds
            self.plan_policies(dt.timedelta(seconds=settings.operations.catch_up_seconds))
            self.last_tick = time.time()
        wait = super().tick(*args, **kwargs)
        return min(float(wait), float(settings.worker.tick_seconds))

    def close(self) -> None:
        """Take the sign of life away, and note that beat was told to end.

        Celery raises SystemExit wherever the signal finds it, and a library that is cleaning up may raise an
        error of its own in its place: beat would go on for ever.
        """
        self._ended = True
        super().close()
        self._heart.end()

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a fixed entry; a broker that is away is told once, and again when it is back."""
        self._heart.beat()  # A broker that does not answer takes its time with each of them.
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except (SchedulingError, OperationalError) as error:
            if not self._broker_away:
                log.warning("The broker takes no messages (%s); beat goes on trying", type(error).__name__)
            self._broker_away = True
        else:
            if self._broker_away:
                log.info("The broker takes messages again")
            self._broker_away = False

    def _ensure_connected(self) -> Any:
        """Connect when a message is sent; Celery would wait here, for ever, until the broker is back."""
        return self.connection

    def plan_policies(self, catch_up: dt.timedelta) -> None:
        """Create and send the runs of all due instants; a fault of one policy stops no other."""
        try:
            items = instants.planned(catch_up)
        except AegisError as error:
            log.error("Policies cannot be planned now: %s", error)  # noqa: TRY400 - the text is complete
            return
        for item, policy_id in items:
            self._carry_out(item, policy_id)

    def _carry_out(self, item: Due | Missed, policy_id: str) -> None:
        try:
            run_id = instants.carry_out(item, policy_id)
        except AegisError as error:
            if str(error) not in self._reported:
                log.error("Policy %s cannot run as scheduled: %s", item.policy, error)  # noqa: TRY400
                self._reported.add(str(error))
            return
        if run_id:
            self._send(run_id, item.policy)

    def _send(self, run_id: str, policy: str) -> None:
        try:
            self.send_task(RUN, kwargs={"run_id": run_id}, queue=ROUTES[RUN])
        except OperationalError as error:
            log.warning(
                "The broker does not take run %s (%s); it is sent later", run_id, type(error).__name__
            )
            return
        log.info("Policy %s is due: run %s is sent", policy, run_id)

    @property
    def info(self) -> str:
        """What beat says at its start."""
        return "    . policies -> the control database"
