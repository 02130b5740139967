"""The dashboards are what Grafana's own types say: `@grafana/schema`, checked by the TypeScript compiler."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from deploy.grafana.generate import dashboards
from tests.repeats import LONG

SOURCES: Final = Path(__file__).with_name("grafana")
OPTIONS: Final = "--noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler --target es2020"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that has the types and the compiler, of these releases and no other."""
    if not LONG:
        pytest.skip("24 MB of npm packages; LONG_TESTS=1 installs them")
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("no npm and node on this machine")
    shutil.copytree(SOURCES, tmp_path, dirs_exist_ok=True)
    words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=200)
    return tmp_path


def compiled(place: Path, text: str) -> str:
    """Return what the compiler says of a dashboard."""
    (place / "made.ts").write_text(
        f'import type {{ Made }} from "./wire";\nexport const made: Made = {text};\n', "utf-8"
    )
    words = ["node", "node_modules/typescript/bin/tsc", *OPTIONS.split(), "made.ts"]
    return subprocess.run(words, cwd=place, capture_output=True, text=True, check=False).stdout


def test_the_dashboards_are_dashboards(place: Path) -> None:
    """Each is one for the compiler; one with a wrong word, or an unknown field, is not."""
    for text in dashboards().values():
        assert not compiled(place, text)
        assert "DashboardCursorSync" in compiled(
            place, text.replace('"graphTooltip": 1', '"graphTooltip": "x"')
        )
        assert "tittle" in compiled(place, text.replace('"graphTooltip"', '"tittle"'))
