"""The foreign programs' environment."""

from pathlib import Path

import pytest

from tests.interop.foreign import environment


@pytest.fixture(scope="session")
def foreign(pytestconfig: pytest.Config) -> Path:
    """The folder with the foreign programs' commands."""
    return environment(pytestconfig.cache.mkdir("interop"))
