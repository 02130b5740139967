"""What a scan that is stopped leaves: a whole document, and the tables so far."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aegis.catalog.decision import ColumnDecision, Verdict
from aegis.catalog.scanning import TableScan
from cli.catalog import catalog


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A scan that somebody stops behind its first table."""
    monkeypatch.chdir(tmp_path)
    decision = ColumnDecision(
        table="t", column="c", type="text", verdict=Verdict.UNKNOWN, confidence=0.35, evidence=("why",)
    )

    def scan(*_: Any, **__: Any) -> Iterator[TableScan]:
        yield TableScan(table="t", nature="person", decisions=(decision,), sampled=7, done=1, total=9)
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.catalog.scan", scan)
    return CliRunner()


def test_a_stopped_scan_is_a_whole_document(stopped: CliRunner) -> None:
    """It says that it is not complete, and so does the exit code's return value."""
    said = stopped.invoke(catalog, ["scan", "--json"], standalone_mode=False)
    plain = json.loads(said.stdout)
    assert (said.return_value, plain["summary"]["complete"]) == (3, False)
    assert [table["table"] for table in plain["tables"]] == ["t"]
    assert "stopped" in said.stderr


def test_a_stopped_scan_shows_what_there_is(stopped: CliRunner) -> None:
    """For people, too."""
    said = stopped.invoke(catalog, ["scan"], standalone_mode=False)
    assert said.return_value == 3
    assert "t  (person" in said.stdout
    assert "1 table of default so far" in said.stdout
