"""The databases of one process."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aegis.db import engines
from aegis.settings import Settings


def test_threads_share_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that make it at the same time get the same one, so that no connection is left behind."""
    both = threading.Barrier(2)
    make = engines.make_engine

    def slowly(*arguments: Any, **words: Any) -> Any:
        both.wait(30)
        return make(*arguments, **words)

    monkeypatch.setattr(engines, "make_engine", slowly)
    databases = engines.Databases(Settings(home=tmp_path))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: databases.control, range(2))
    assert first is second is databases.control
    databases.close()
