"""Make a schema file anew: `python -m benchmarks.catalog.extract NAME`, or no name for all.

The packages come from PyPI, npm or Debian by their ordinary clients into `.schemas/catalog`, and the
application's own code or SQL tells its tables. Only table, column, type, nullability and keys are kept.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.catalog import ddl
from benchmarks.catalog.schemas import Column, Schema, write_schema

_HERE: Final = Path(__file__).parent
_FETCHED: Final = _HERE.parents[1] / ".schemas" / "catalog"
Tables = dict[str, tuple[Column, ...]]


def _run(*command: str | Path, folder: Path) -> None:
    subprocess.run([str(it) for it in command], cwd=folder, check=True)


def _folder(name: str) -> Path:
    folder = _FETCHED / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _debian(package: str, member: str) -> Path:
    """Fetch a package, in the version that this Debian has, and return one of its files."""
    folder = _folder(package)
    _run("apt-get", "download", package, folder=folder)
    _run("dpkg-deb", "--extract", next(folder.glob("*.deb")), "content", folder=folder)
    return folder / "content" / member


def _npm(package: str) -> Path:
    """Fetch a package with what it needs and return its folder."""
    folder = _folder(package.replace("/", "-"))
    words = ("--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps")
    _run("npm", "install", *words, package, folder=folder)
    return folder / "node_modules" / package.rpartition("@")[0]


def _pypi(name: str, pins: Sequence[str]) -> Path:
    """Install packages into an environment of their own and return its folder."""
    folder = _folder(name)
    _run(sys.executable, "-m", "venv", folder, folder=folder)
    _run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *pins, folder=folder)
    return folder


def _tables(lines: Iterable[Sequence[Any]]) -> Tables:
    """Gather [table, column, type, nullable, primary key, target] into tables."""
    tables: dict[str, list[Column]] = {}
    for table, name, kind, nullable, key, target in lines:
        column = Column(name=name, type=kind, nullable=bool(nullable), primary_key=bool(key), target=target)
        tables.setdefault(table, []).append(column)
    return {name: tuple(columns) for name, columns in tables.items()}


def _told(name: str, pins: Sequence[str], recipe: str, *words: str) -> Tables:
    """Let a recipe tell the tables, run by the Python that has the application."""
    folder = _pypi(name, pins)
    lines = folder / "tables.json"
    # Safe path: nothing of this checkout may stand in for a module of the application.
    python = (folder / "bin" / "python", "-P", "-W", "ignore")
    _run(*python, _HERE / "recipes" / recipe, *words, lines, folder=folder)
    return _tables(json.loads(lines.read_text(encoding="utf-8")))


def _byro() -> Tables:
    pins = ("byro==2023.1.0", "psycopg2-binary==2.9.11")
    return _told("byro", pins, "django_models.py", "byro.settings")


def _roundcube() -> Tables:
    file = _debian("roundcube-core", "usr/share/roundcube/SQL/postgres.initial.sql")
    return ddl.tables(file.read_text(encoding="utf-8"), "postgres")


RECIPES: Final[dict[str, Callable[[], Tables]]] = {"byro": _byro, "roundcube": _roundcube}


def main(names: Sequence[str]) -> None:
    """Write the schema files of the named applications, or of all."""
    for name in names or RECIPES:
        print(write_schema(Schema(application=name, tables=RECIPES[name]())))


if __name__ == "__main__":
    main(sys.argv[1:])
