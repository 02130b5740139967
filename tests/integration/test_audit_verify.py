"""Verification of a log that nobody changed: no alarm, in no state that comes about by itself."""

import pytest

from tests import sealedlog, worlds
from tests.sealedlog import Log
from tests.worlds import World, on

EACH = on(*worlds.EACH_DATABASE)


@pytest.fixture
def log(world: World) -> Log:
    """A sealed log."""
    return sealedlog.build(world)


@EACH
def test_an_intact_log(log: Log) -> None:
    """Nothing is found; every entry of it was looked at."""
    report = log.verify()
    assert report.findings == ()
    assert report.intact
    assert (report.size, report.checked) == (log.size, log.size)
    assert (report.intents, report.unwitnessed) == ((), 0)
