"""The fixed entries of beat."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import Celery

from aegis.settings import Settings
from schedules.scheduler import PolicyScheduler
from tests.workerkit import wait_until
from worker.app import build_app


@contextmanager
def clock_ahead(by: dt.timedelta) -> Iterator[None]:
    """Let Celery's own clock be ahead while the block runs."""
    real = Celery.now
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Celery, "now", lambda app: real(app) + by)
        yield


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    """What was sent by a clock that was an hour ahead is due again a second later, not an hour later."""
    app = build_app(Settings(), imports=(), routes={})
    with clock_ahead(dt.timedelta(hours=1)):
        scheduler = PolicyScheduler(app=app, lazy=True)
        scheduler.setup_schedule()
        sent = next(scheduler.schedule["relay"])
        assert not sent.is_due()[0]
    wait_until(lambda: sent.is_due()[0], "the relay is due", 5)
