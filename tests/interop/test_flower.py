"""The example strategy in real rounds of Flower: `docs/examples/flower_strategy.py`.

Flower is installed nowhere in the lock of `make venv`, which has newer releases of rich and packaging than
Flower takes. Where it is not there, only the long tests make an environment for it (requirements/flower.txt).
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.interop.foreign import environment
from tests.repeats import LONG

ROOT = Path(__file__).parents[2]
STRATEGY = ROOT / "docs" / "examples" / "flower_strategy.py"
PROGRAM = Path(__file__).with_name("flower_rounds.py")
#: As in that program.
TARGET = np.array([1.5, -1.0, 0.5])


@pytest.fixture(scope="session")
def flower(pytestconfig: pytest.Config) -> Path:
    """A Python that has Flower: this one, or the long tests' own."""
    if importlib.util.find_spec("flwr"):
        return Path(sys.executable)
    if not LONG:
        pytest.skip("Flower is not installed; LONG_TESTS=1 makes an environment that has it")
    return environment(pytestconfig.cache.mkdir("flower"), ROOT / "requirements" / "flower.txt") / "python"


@pytest.mark.timeout(900)
def test_rounds(flower: Path, tmp_path: Path) -> None:
    """Three rounds move the model as far as cut updates do, pay once each, and stay what they were.

    Of twelve clients one sends NaN, one another shape, one 1e30 and one nothing. Five of them are too few.
    """
    set_ = {"AEGIS_HOME": str(tmp_path), "FLWR_HOME": str(tmp_path), "FLWR_TELEMETRY_ENABLED": "0"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")}
    done = subprocess.run(
        [flower, PROGRAM, STRATEGY],
        env=kept | set_ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "deprecat" not in done.stderr.lower()
    told = json.loads(done.stdout.splitlines()[-1])
    enough, few = told["enough"], told["few"]
    assert enough["weights"] == pytest.approx(without_noise(), abs=0.1)
    assert enough["weights"] != pytest.approx(without_noise(), abs=1e-6), "no noise at all"
    assert enough["again"] == {"weights": enough["weights"], "offset": enough["offset"]}
    assert enough["types"] == {"weights": "float32", "offset": "float64"}
    assert enough["metrics"] is None, "metrics of clients are not released"
    assert (few["weights"], few["again"]) == ([0.0] * 3, {})
    assert told["history"] == 3


def without_noise() -> NDArray[np.float64]:
    """Where three rounds end without noise: eight clients go half the way, one away, three nowhere."""
    weights = np.zeros(3)
    for _ in range(3):
        weights = weights + (8 * 0.5 * (TARGET - weights) - np.ones(3) / np.sqrt(3)) / 12
    return weights
