"""A short fault campaign; the long one is `make campaign`."""

from pathlib import Path

import pytest

from tests.faults.campaign import campaign


@pytest.mark.timeout(300)
def test_a_round_of_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole system goes through a handful of faults under load; nothing is lost, and nothing done twice."""
    monkeypatch.setenv("AEGIS_CONFIG", str(tmp_path / "aegis.toml"))
    figures = campaign(tmp_path, "1", 0, faults=5, rows=20)
    assert figures["faults"] == 5
    assert figures["rows gone"] > 0
