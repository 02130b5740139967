"""Signs of life: one file for each worker and each beat of a host, touched while its main loop turns.

A probe reads them. They need neither the broker nor a database, so that an outage of those restarts
nothing; and a process that hangs touches nothing.
"""

import logging
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Kind = Literal["worker", "beat"]

#: Seconds between two touches.
BEAT_SECONDS: Final = 5.0
#: Seconds after which a process counts as hanging. A broker that swallows packets keeps a connection
#: waiting for a minute, several times over; that is no hang.
SILENT_SECONDS: Final = 300.0

_FOLDER: Final = "health"
_UNFIT: Final = re.compile(r"[^A-Za-z0-9.@_-]")

log = logging.getLogger(__name__)


class Heartbeat:
    """The file of one process."""

    def __init__(self, home: Path, kind: Kind, name: str | None = None) -> None:
        """Take Aegis's home, and the node name of a worker; a beat has that of its host."""
        self.path = home / _FOLDER / f"{kind}-{_UNFIT.sub('_', name or socket.gethostname())}"

    def beat(self) -> None:
        """Say that the process is alive; a file that cannot be written stops nothing."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            self._create()
        except OSError as error:
            _complain(error)

    def end(self) -> None:
        """Take the file away: the process ends as it should."""
        self.path.unlink(missing_ok=True)

    def _create(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.touch(mode=0o600)
        except OSError as error:
            _complain(error)


@dataclass(frozen=True, kw_only=True)
class Sign:
    """When a process was last heard of."""

    #: The worker's node name, or beat's host.
    name: str
    seconds: float

    @property
    def alive(self) -> bool:
        """Whether that is recent."""
        return self.seconds <= SILENT_SECONDS


def heard(home: Path, kind: Kind, name: str | None = None) -> list[Sign]:
    """Return the signs of the workers or the beat of this host, or of one worker.

    Args:
        home: Aegis's home.
        kind: of which processes.
        name: this worker's only.

    """
    if name is not None or kind == "beat":
        paths = [Heartbeat(home, kind, name).path]
    else:
        # Others may share the home; each host tells of its own.
        here = _UNFIT.sub("_", socket.gethostname())
        paths = sorted((home / _FOLDER).glob(f"{kind}-*@{here}"))
    now = time.time()
    return [
        Sign(name=path.name.removeprefix(f"{kind}-"), seconds=max(0.0, now - path.stat().st_mtime))
        for path in paths
        if path.exists()
    ]


def _complain(error: OSError) -> None:
    log.warning("The sign of life cannot be written: %s", type(error).__name__)
