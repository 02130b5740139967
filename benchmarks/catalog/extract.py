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
#: Django asks its driver for the types of columns.
_DRIVER: Final = "psycopg2-binary==2.9.11"
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
    return _told("byro", ["byro==2023.1.0", _DRIVER], "django_models.py", "byro.settings")


def _roundcube() -> Tables:
    file = _debian("roundcube-core", "usr/share/roundcube/SQL/postgres.initial.sql")
    return ddl.tables(file.read_text(encoding="utf-8"), "postgres")


def _ghost() -> Tables:
    # Its description needs nothing else: no dependency is installed.
    folder = _folder("ghost")
    _run("npm", "pack", "--silent", "ghost@5.130.6", folder=folder)
    _run("tar", "--extract", "--file", next(folder.glob("*.tgz")), folder=folder)
    lines, description = folder / "tables.json", folder / "package/core/server/data/schema/schema.js"
    _run("node", _HERE / "recipes" / "ghost_tables.js", description, lines, folder=folder)
    return _tables(json.loads(lines.read_text(encoding="utf-8")))


def _gnuhealth() -> Tables:
    modules = (
        "gyneco",
        "inpatient",
        "insurance",
        "lab",
        "lifestyle",
        "pediatrics",
        "socioeconomics",
        "surgery",
    )
    pins = [f"gnuhealth-{module}==5.0.4" for module in modules]
    return _told("gnuhealth", ["gnuhealth==5.0.6", "trytond==7.0.59", *pins], "tryton_models.py")


def _indico() -> Tables:
    return _told("indico", ["indico==3.2.9"], "indico_models.py")


def _kolibri() -> Tables:
    return _told(
        "kolibri",
        ["kolibri==0.19.5", _DRIVER],
        "django_models.py",
        "kolibri.deployment.default.settings.base",
    )


def _mediawiki() -> Tables:
    file = _debian("mediawiki", "usr/share/mediawiki/maintenance/tables-generated.sql")
    return ddl.tables(file.read_text(encoding="utf-8"), "mysql")


def _pretalx() -> Tables:
    return _told("pretalx", ["pretalx==2025.2.2", _DRIVER], "django_models.py", "pretalx.settings")


def _rt() -> Tables:
    file = _debian("request-tracker5", "usr/share/request-tracker5/etc/schema.Pg")
    return ddl.tables(file.read_text(encoding="utf-8"), "postgres")


def _usershub() -> Tables:
    folder = _pypi("usershub", ["--no-deps", "pypnusershub==3.3.1"])
    file = next(folder.rglob("pypnusershub/migrations/data/utilisateurs.sql"))
    return ddl.tables(file.read_text(encoding="utf-8"), "postgres")


def _wger() -> Tables:
    return _told("wger", ["wger==2.1", _DRIVER], "django_models.py", "wger.settings_global")


RECIPES: Final[dict[str, Callable[[], Tables]]] = {
    "byro": _byro,
    "ghost": _ghost,
    "gnuhealth": _gnuhealth,
    "indico": _indico,
    "kolibri": _kolibri,
    "mediawiki": _mediawiki,
    "pretalx": _pretalx,
    "roundcube": _roundcube,
    "rt": _rt,
    "usershub": _usershub,
    "wger": _wger,
}


def main(names: Sequence[str]) -> None:
    """Write the schema files of the named applications, or of all."""
    for name in names or RECIPES:
        print(write_schema(Schema(application=name, tables=RECIPES[name]())))


if __name__ == "__main__":
    main(sys.argv[1:])
