"""The application of the tests, whose worker is told to end while it hands a task to a child."""

import os
from pathlib import Path
from typing import Any, Final

from billiard.connection import Connection

from tests.workerkit_app import app

#: Bytes of a length, and more.
SHORT: Final = 100

__all__ = ["app"]

_send_offset = Connection.send_offset


def _signalled(self: Any, *some: Any) -> Any:
    told = Path(os.environ["TEST_TOLD"])
    # First goes how long it is.
    if told.with_name("gate.begun").exists() and not told.exists() and len(some[0]) > SHORT:
        told.touch()
        os.kill(os.getpid(), int(os.environ["TEST_SIGNAL"]))
    return _send_offset(self, *some)


setattr(Connection, "send_offset", _signalled)  # noqa: B010 - not to be told again what type it has
