"""SIGKILL while the key store is turned: before each statement, each commit, each touch of a key file."""

import contextlib
import datetime as dt
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aegis.audit.epochs import Epochs
from aegis.operations.system import System
from aegis.settings import AuditSettings, Settings

LONG = bool(os.environ.get("LONG_TESTS"))
ROOT = Path(__file__).parents[2]
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
#: Keys in the store: three portions.
KEYS = 12
#: In a short run not every step is the last one.
STRIDES = {"sqlite": 2, "postgresql": 5, "mariadb": 7}

#: Told a number and a day, it forks a child that turns the store and kills itself at that step.
DRIVER = """
import datetime as dt, os, signal, sys
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from aegis.audit.keyring import rewrapping
from aegis.audit.epochs import Epochs
from aegis.operations.system import System
from aegis.settings import load_settings

rewrapping.PORTION = 5
TOUCHES = {"open", "os.rename", "os.remove"}

def turn(left, day):
    def step(*_, **__):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    system = System(load_settings())
    epochs = Epochs(system.databases, system.key_files, system.keystore, system.recorder)
    sa.event.listen(Engine, "before_cursor_execute", step)
    sa.event.listen(Engine, "commit", step)
    sys.addaudithook(lambda name, args: step() if name in TOUCHES and "/keys/" in str(args[0]) else None)
    epochs.turn(dt.datetime(2026, 1, 5, tzinfo=dt.timezone.utc) + dt.timedelta(days=day))

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        turn(*map(int, line.split()))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@contextlib.contextmanager
def driver(home: Path, keys_url: str | None) -> Iterator[Callable[[int, int], int]]:
    """Return what turns the store in a process of its own: (step to die at, day) → its exit code."""
    place = {"AEGIS_KEYS_URL": keys_url} if keys_url else {}
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": os.defpath,
            "AEGIS_HOME": str(home),
            "AEGIS_AUDIT__KEYS_BACKUP_DAYS": "0",
            **place,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    told, answers = process.stdin, process.stdout
    assert told is not None
    assert answers is not None

    def turn(step: int, day: int) -> int:
        told.write(f"{step} {day}\n")
        return int(answers.readline())

    try:
        yield turn
    finally:
        told.close()
        assert process.wait(60) == 0
        answers.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_killed_at_every_step(
    kind: str, home_template: Path, new_database: Callable[[str, str], str], tmp_path: Path
) -> None:
    """After each kill every key opens; the next call completes the turn, and no old key file is left."""
    home = tmp_path / "home"
    shutil.copytree(home_template, home, copy_function=shutil.copy2)
    url = None if kind == "sqlite" else new_database(kind, "empty")
    settings = Settings(home=home, keys_url=url, audit=AuditSettings(epoch_days=7, keys_backup_days=0))
    system = System(settings)
    system.migrate()
    made = {str(owner): system.keystore.key("subject", str(owner)).material for owner in range(KEYS)}
    stride = 1 if LONG else STRIDES[kind]
    kills = 0
    with driver(home, url) as turn:
        for step in itertools.count(1, stride):
            code = turn(step, step)
            check(settings, made)
            if code == 0:
                break
            assert code == -9
            kills += 1
            mend(settings, START + step * DAY)
            owner = str(step % KEYS)
            system.keystore.destroy("subject", owner)
            made[owner] = system.keystore.key("subject", owner).material
    assert kills * stride >= 60, f"only {kills} steps were found to die at"
    newest = max(system.key_files.numbers("epoch"))
    began = [event["target_id"] for event in system.reader.newest(1000, action="epoch:begin")]
    gone = [event["target_id"] for event in system.reader.newest(1000, action="epoch:destroy")]
    assert set(began) == {str(number) for number in range(2, newest + 1)}
    assert set(gone) == {str(number) for number in range(1, newest)}
    # Each is told again where the kill came between an event and the note that it was told.
    assert (len(began) - len(set(began)), len(gone) - len(set(gone))) <= (3, 3)
    system.close()


def check(settings: Settings, made: dict[str, bytes]) -> None:
    """Assert that every key that was not destroyed opens, for a process that has just started."""
    system = System(settings)
    for owner, material in made.items():
        key = system.keystore.kept("subject", owner)
        assert key is not None, "a key is lost"
        assert key.material == material
        assert system.keystore.existing(key.reference(owner)) == key
    system.close()


def mend(settings: Settings, moment: dt.datetime) -> None:
    """Do what beat does next: one epoch is left, with one file."""
    system = System(replace(settings, audit=AuditSettings(epoch_days=0, keys_backup_days=0)))
    epochs = Epochs(system.databases, system.key_files, system.keystore, system.recorder)
    turned = epochs.tend(moment)
    assert turned.began is False
    states = [state for state in epochs.listed() if state.destroyed_at is None]
    assert [state.number for state in states] == [turned.epoch]
    # A file that was made for an epoch which did not begin is the next one's.
    assert set(system.key_files.numbers("epoch")) - {turned.epoch + 1} == {turned.epoch}
    system.close()
