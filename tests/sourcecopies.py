"""Copies of an application's database, to restore it from, as an operator would."""

import shutil
from pathlib import Path

import pytest

from tests.worlds import World


def database_of(world: World) -> str:
    """Return the name of the application's database, or of its file."""
    return Path(str(world.app.url.database)).name


def copy_source(world: World, request: pytest.FixtureRequest, old: str, new: str, folder: Path) -> None:
    """Make `new` a copy of `old`, as a restore does: a file, or a database on the server."""
    world.leave()
    if world.dialect == "sqlite":
        shutil.copyfile(folder / old, folder / new)
        return
    server = request.getfixturevalue({"postgresql": "postgres_server"}.get(world.dialect, "mariadb_server"))
    server.drop_database(new)
    server.create_database(new, old)
    if new.endswith("_older"):
        request.addfinalizer(lambda: server.drop_database(new))
