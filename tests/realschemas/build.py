"""Makes the tables of a real application: its packages are installed on demand, and its own code runs.

Nothing of it is part of this project. What was made is kept as DDL under `.schemas`, by the hash of the
pinned packages and of the recipe, so that the applications are installed once for each checkout.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from aegis.embedded.postgres import _program
from tests.worlds import engine

_HERE: Final = Path(__file__).parent
_CACHE: Final = _HERE.parents[1] / ".schemas"
#: An index that does not answer must not hold up the tests for long.
_OPTIONS: Final = ("--quiet", "--disable-pip-version-check", "--no-deps", "--retries=1", "--timeout=20")
_SECONDS: Final = 900
_READY: Final = ".installed"
#: (`postgresql` or `mariadb`, `empty`) → URL of a new database.
NewDatabase = Callable[[str, str], str]


def create(name: str, database: sa.Engine, new_database: NewDatabase) -> None:
    """Create the tables of an application in a database; skip the test where it cannot be installed."""
    kind = database.dialect.name
    version = _digest(_pins(name), _recipe(name), Path(__file__))
    files = {other: _CACHE / f"{name}-{version}.{other}.sql" for other in ("postgresql", "mariadb")}
    with _alone(name):
        if not files[kind].exists():
            _write(files[kind], _made(name, kind, new_database))
        if all(file.exists() for file in files.values()):
            shutil.rmtree(_folder(name), ignore_errors=True)
    _load(database, files[kind].read_text(encoding="utf-8"))


def _digest(*files: Path) -> str:
    text = b"".join(file.read_bytes() for file in files) + sys.version.encode()
    return hashlib.sha256(text).hexdigest()[:12]


def _pins(name: str) -> Path:
    return _HERE / "pins" / f"{name}.txt"


def _recipe(name: str) -> Path:
    return _HERE / "recipes" / f"{name}.py"


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one process install an application, and the others wait for it."""
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(file)


def _made(name: str, kind: str, new_database: NewDatabase) -> str:
    if missing := _install(name):
        pytest.skip(f"{name} cannot be installed here: {missing}")
    url = new_database(kind, "empty")
    # Safe path: the recipe has the name of its application.
    done = _run(_folder(name) / "bin" / "python", "-P", "-W", "ignore", _recipe(name), url)
    assert done.returncode == 0, f"{name} could not make its tables on {kind}:\n{done.stderr[-3000:]}"
    return _from_postgres(url) if kind == "postgresql" else _from_mariadb(url)


def _folder(name: str) -> Path:
    return _CACHE / f"{name}-{_digest(_pins(name))}"


@cache
def _install(name: str) -> str | None:
    """Give the application an environment of its own; return why it has none, and do not try again."""
    folder = _folder(name)
    if (folder / _READY).exists():
        return None
    _run(sys.executable, "-m", "venv", "--clear", folder).check_returncode()
    done = _run(folder / "bin" / "python", "-m", "pip", "install", *_OPTIONS, "-r", _pins(name))
    if done.returncode == 0:
        (folder / _READY).touch()
        return None
    return next((line for line in reversed(done.stderr.splitlines()) if "ERROR" in line), "no reason given")


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)


def _from_postgres(url: str) -> str:
    options = ("--schema-only", "--no-owner", "--no-privileges")
    done = _run(_program("pg_dump"), *options, url)
    assert done.returncode == 0, done.stderr
    # Lines for psql alone.
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))


def _from_mariadb(url: str) -> str:
    source = engine(url)
    inspector = sa.inspect(source)
    with source.connect() as connection:
        tables = [
            connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1]
            for table in sorted(inspector.get_table_names())
        ]
    return ";\n\n".join(tables)


def _load(database: sa.Engine, text: str) -> None:
    raw = database.raw_connection()
    try:
        cursor = raw.cursor()
        if database.dialect.name == "postgresql":
            cursor.execute(text)
            cursor.execute("RESET ALL")
        else:
            cursor.execute("SET foreign_key_checks = 0")
            for statement in text.split(";\n\n"):
                cursor.execute(statement)
            cursor.execute("SET foreign_key_checks = 1")
        raw.commit()
    finally:
        raw.close()
