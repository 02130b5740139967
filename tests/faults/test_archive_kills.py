"""SIGKILL in each step of an archive and of its restore: what came back is what went, byte for byte."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import sqlalchemy as sa

from aegis.audit.transfer import Transfer
from aegis.db.journal import Journal
from aegis.operations import archives, claims, manifests
from aegis.operations.stores import FolderStore
from aegis.operations.system import use
from aegis.retention import outcomes
from aegis.retention.restoring import Restore
from aegis.settings import Settings
from api import archives as doors
from api import audit, privacy
from tests.forks import forking
from tests.worlds import ACTOR, EACH_DATABASE, World, content, on

#: Only a failing test waits so long.
PATIENCE: Final = 60.0
_remove = FolderStore.remove


def die(*_: object, **__: object) -> NoReturn:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def die_in_the_file(_: FolderStore, path: Path, data: bytes) -> None:
    """Write half of a file."""
    path.write_bytes(data[: len(data) // 2])
    die()


def die_behind_a_file(store: FolderStore, folder: str, name: str) -> None:
    """Remove one of the files that are left over."""
    _remove(store, folder, name)
    die()


#: What a process does in the place of a step, in the order in which a run comes to them.
RUN: Final[Mapping[str, tuple[Any, str, Callable[..., Any]]]] = {
    "half of a file is written": (FolderStore, "_write", die_in_the_file),
    "the file is written, the batch is not committed": (Journal, "append", die),
    "the batch is committed, its claim does not know": (claims, "renew", die),
    "the first file that is left over is removed": (FolderStore, "remove", die_behind_a_file),
    "the manifest is written, the archive is open": (manifests, "digest_of", die),
    "the archive is complete, the run has not ended": (outcomes, "ended", die),
}
RESTORE: Final[Mapping[str, tuple[Any, str, Callable[..., Any]]]] = {
    "the rows are there, and not committed": (Restore, "record", die),
    "the rows are back, and the log does not know": (Transfer, "to_log", die),
}


def work(settings: Settings, step: str, run: str) -> None:
    """Work on a run, or restore its archive, and die in a step of it."""
    owner, name, instead = {**RUN, **RESTORE}[step]
    setattr(owner, name, instead)
    use(settings)
    if step in RESTORE:
        doors.restore_archive(run, actor=ACTOR, dry_run=False)
    while privacy.advance_run(run)["more"]:
        pass


def killed_in(world: World, step: str, run: str) -> None:
    """Let another process die in a step, and its lease be over."""
    child = forking().Process(target=work, args=(world.settings, step, run))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL, step
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET lease_until = NULL"))


@on(*EACH_DATABASE)
def test_killed_in_each_step(world: World) -> None:
    """Another process goes on after each death; every row is in the archive once, and comes back once."""
    world.safety_events()
    world.events(range(60), 60)
    before = content(world.app, "safety_events")
    world.policy(archive={"keep_days": 14})
    world.batches_of(10)
    run = world.start()
    assert privacy.advance_run(run, seconds=0)["rows"] == 10
    for step in RUN:
        killed_in(world, step, run)
    assert world.finish(run)["outcome"] == "done"
    manifest, parts = archives.opened(world.system, archives.find(world.system, run))
    lines = [line for part in manifest["parts"] for line in parts.read(part["digest"])[1]]
    assert len(lines) == len(set(lines)) == manifest["rows"] == 60
    kept = {manifests.NAME, *(f"{part['digest']}.part" for part in manifest["parts"])}
    assert {file.name for file in (world.settings.home / "archives" / run).iterdir()} == kept
    privacy.disable_retention_policy("p", ACTOR)
    audit.relay_journals()
    killed, noted = RESTORE
    killed_in(world, killed, run)
    assert world.count("safety_events") == 0
    killed_in(world, noted, run)
    world.came_back("safety_events", 60)
    assert content(world.app, "safety_events") == before
