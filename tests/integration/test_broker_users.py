"""The users that `deploy/redis/render.sh` makes: enough for everything that is done, and not more."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokerlife import SHOP, Life
from tests.deployed import KINDS, Deployed, Kind


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployed]:
    """The deployed broker, of both kinds."""
    kind: Kind = request.param
    with Deployed(tmp_path / "broker", kind, producers=SHOP) as server:
        yield server


@pytest.fixture
def life(broker: Deployed, home_template: Path, tmp_path: Path) -> Life:
    """Its life, with a home for worker and beat."""
    shutil.copytree(home_template, tmp_path / "home")
    return Life(broker, tmp_path)


def test_enough(life: Life) -> None:
    """Worker, beat, a service and an exporter do all their work, and the server refuses nothing."""
    life.run()
