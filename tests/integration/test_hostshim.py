"""What the campaign does to a host reaches what it is meant for, and nothing beside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostshim import Shim

#: Rename the process as Celery does, then write a little to each file.
_WRITING = """
import sys
import setproctitle
setproctitle.setproctitle("a title of some length, so that it stands where the environment stood")
for place in sys.argv[1:]:
    try:
        with open(place, "wb", buffering=0) as file:
            print(file.write(b"0123456789"))
    except OSError as error:
        print(error.errno)
"""


def test_a_full_disk_is_one_disk(tmp_path: Path) -> None:
    """A process that has changed its title can still write elsewhere, and not on that disk."""
    pytest.importorskip("setproctitle", reason="without it Celery changes no title")
    shim = Shim.build(tmp_path)
    if shim is None:
        pytest.skip("Linux with a C compiler is needed")
    shim.fill_disk()
    environ = {**os.environ, **shim.environ("one")}
    places = [str(shim.disk / "file"), str(tmp_path / "file")]
    command = [sys.executable, "-c", _WRITING, *places]
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["28", "10"]
