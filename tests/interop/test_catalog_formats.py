"""The files for other catalogs, read by the catalogs' own models: fideslang, DataHub, OpenMetadata.

Their libraries are in an environment of their own, which the long tests make (`catalogs.txt`).
"""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from aegis.catalog.formats.labels import Label, Place
from aegis.catalog.formats.table import FORMATS
from aegis.catalog.lexicon import lines
from tests.repeats import LONG

PINS: Final = Path(__file__).with_name("catalogs.txt")
PROGRAM: Final = Path(__file__).with_name("catalog_models.py")
PLACE: Final = Place(datasource="app", dialect="postgresql", prefix="app.public")
#: Every category that the classifier knows, each in a column of its own, in turn of every type.
TYPES: Final = (
    "varchar(20)",
    "text",
    "integer",
    "uuid",
    "jsonb",
    "timestamp",
    "inet",
    "bytea",
    "numeric",
    "boolean",
)


def labels() -> list[Label]:
    """Return a label for every category that can be found."""
    categories = sorted({line[0] for line in lines()} | {"user.unique_id", "none"})
    return [
        Label(
            table=f"table_{number // 20}",
            column=f"column/{number}~x",
            category=category,
            status="accepted" if number % 2 else "proposed",
            type=TYPES[number % len(TYPES)],
        )
        for number, category in enumerate(categories)
    ]


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> Path:
    """A Python that has the libraries."""
    if not LONG:
        pytest.skip("LONG_TESTS=1 makes an environment that has the catalogs' libraries")
    folder = pytestconfig.cache.mkdir("catalogs")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = folder / "ready"
        if not ready.exists() or ready.read_text() != PINS.read_text():
            shutil.rmtree(folder / "environment", ignore_errors=True)
            run(sys.executable, "-m", "venv", folder / "environment")
            pip = (folder / "environment" / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps")
            run(*pip, "-r", PINS)
            ready.write_text(PINS.read_text())
    return folder / "environment" / "bin" / "python"


def run(*words: str | Path) -> str:
    """Run a program to its end; return what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def told(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the libraries make of our files."""
    folder, paths = tmp_path_factory.mktemp("catalogs"), []
    for form in ("fides", "datahub", "openmetadata"):
        paths.append(folder / form)
        paths[-1].write_text(FORMATS[form].write(labels(), PLACE), "utf-8")
    found: dict[str, Any] = json.loads(run(python, PROGRAM, *paths).splitlines()[-1])
    return found


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fideslang_reads_every_field_and_knows_every_category(told: dict[str, Any]) -> None:
    """No field is dropped, and no category is ours alone."""
    assert len(told["fides"]["fields"]) == len(labels())
    assert told["fides"]["strange"] == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_datahub_makes_the_same_patch(told: dict[str, Any]) -> None:
    """Our proposals are valid, and are what its own builder makes."""
    assert all(told["datahub"]["valid"])
    assert told["datahub"]["ours"] == told["datahub"]["theirs"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_openmetadata_takes_every_table(told: dict[str, Any]) -> None:
    """Types, tags and states are words that it has."""
    read = told["openmetadata"]
    assert [(table, column) for table, column, *_ in read] == [(each.table, each.column) for each in labels()]
    states = {tuple(item[3:]) for item in read}
    assert states >= {("Confirmed",), ("Suggested",), ()}
