"""The shipped application and its own tasks, whose child process dies by SIGKILL at a step that a file names.

`TEST_DIE` names the file. The next task takes the number out of it and counts: each statement, each
commit, each file that is moved to its place, and the moment when the task has returned. Beside the
file it leaves `.died`.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa
from celery import signals
from sqlalchemy.engine import Engine

from aegis.operations.table import ROUTES
from aegis.settings import load_settings
from worker.app import build_app

app = build_app(load_settings(), routes=ROUTES)

_LEFT = [0]
_ORDER = Path(os.environ["TEST_DIE"])


def _die() -> NoReturn:
    _ORDER.with_suffix(".died").touch()
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit


def _step(*_: Any, **__: Any) -> None:
    _LEFT[0] -= 1
    if _LEFT[0] == 0:
        _die()


@signals.task_prerun.connect
def _take(**_: Any) -> None:
    with contextlib.suppress(FileNotFoundError):
        step = int(_ORDER.read_text("ascii"))
        _ORDER.unlink()
        _LEFT[0] = step


@signals.task_postrun.connect
def _returned(**_: Any) -> None:
    if _LEFT[0] > 0:
        _step()
        # What comes after the task is no step of it.
        _LEFT[0] = 0


@signals.worker_process_init.connect
def _watch(**_: Any) -> None:
    sa.event.listen(Engine, "before_cursor_execute", _step)
    sa.event.listen(Engine, "commit", _step)
    sys.addaudithook(lambda name, _: _step() if name in {"os.rename", "os.remove"} and _LEFT[0] > 0 else None)
