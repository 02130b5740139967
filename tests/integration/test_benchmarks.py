"""The benchmarks, with few rows: everybody does the same work, and who is missing is told."""

import os
from pathlib import Path

import pytest

from aegis.operations import system
from benchmarks import audit, erasure, noise, retention, updates, workers
from benchmarks.measuring import Figure
from benchmarks.noisemakers import MAKERS
from benchmarks.recording import WAYS
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario

#: So few rows that no figure means anything.
ROWS = "2000"
LONG = bool(os.environ.get("LONG_TESTS"))
MEASURED = [it for it in SCENARIOS if LONG or it.name in {"SQLite", "PostgreSQL, anonymize"}]
#: What is measured of erasures; the last of them searches twenty times.
ERASURES = [
    ("person", ["plan", "changes", "search"]),
    ("people", ["one after the other", "Aegis, searched and accounted for"]),
    ("mask", ["raw", "redact", "surrogate", "hmac"]),
    *([("requests", ["a search for each", "one search for all"])] if LONG else []),
]


@pytest.mark.parametrize("scenario", MEASURED, ids=lambda it: it.name)
@pytest.mark.timeout(600)
def test_each_contender_leaves_the_same_rows(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows are left whoever deleted; each contender has a line in the results."""
    monkeypatch.setattr(system, "_CURRENT", [])
    file = tmp_path / "RESULTS.md"
    words = ["--rows", ROWS, "--repeats", "1", "--only", scenario.name, "--write", str(file)]
    (results,) = retention.main(words)
    assert {it.name for it in scenario.contenders} == {*results.figures, *results.skipped}
    left = {figure.left for figures in results.figures.values() for figure in figures}
    assert len(left) <= 1
    text = file.read_text(encoding="utf-8")
    assert f"## {scenario.name}: " in text
    assert all(f"| {it.name} |" in text for it in scenario.contenders)
    for contender, why in results.skipped.items():
        assert f"| {contender} | skipped: {why} |" in text


def test_other_rows_stop_the_benchmark() -> None:
    """A contender that leaves other rows than the others did not do the same work: no ratio is shown."""
    results = Results(scenario=SCENARIOS[0], rows=10)
    results.add("a", Figure(seconds=1.0, left=(5, 1)))
    results.add("b", Figure(seconds=1.0, left=(6, 1)))
    with pytest.raises(SystemExit, match="not everybody left the same rows"):
        results.check()


@pytest.mark.timeout(600)
def test_the_audit_log_is_verified(tmp_path: Path) -> None:
    """Every leaf is read by each verifier, on both databases; each has a line in the results."""
    file = tmp_path / "RESULTS.md"
    sections = audit.main(["--only", "verifying", "--leaves", "600", "--repeats", "1", "--write", str(file)])
    assert [title.partition(",")[0] for title, _ in sections] == [
        "Verifying 60 leaves",
        "Verifying 600 leaves",
    ] * 2
    text = file.read_text(encoding="utf-8")
    assert text.count("| aegis audit verify |") == 4
    assert text.count("| aegis audit prune, once |") == 4


@pytest.mark.timeout(600)
def test_the_residual_scan_is_measured(tmp_path: Path) -> None:
    """Every way has a line for one person and, where it is not too slow, for more, on each database."""
    file = tmp_path / "RESULTS.md"
    words = ["--only", "scan", "--rows", "300", "--repeats", "1", "--write", str(file)]
    sections = {title.split(", ")[1]: lines for title, lines in erasure.main(words)}
    assert sections.keys() >= {"PostgreSQL", "SQLite"}
    assert {way for _, _, way, *_ in sections["PostgreSQL"][1:]} == {
        "Aegis",
        "strpos, OR",
        "one regular expression",
        "LIKE ANY",
    }
    for lines in sections.values():
        assert [persons for persons, _, way, *_ in lines if way == "Aegis"] == ["1", "10", "100", "300"]
    assert file.read_text(encoding="utf-8").count("## Residual scan of 300 rows") == len(sections)


@pytest.mark.parametrize(("scenario", "parts"), ERASURES)
def test_erasures_are_measured(scenario: str, parts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part has a line, and what was measured was done."""
    monkeypatch.setattr(system, "_CURRENT", [])
    ((_, lines),) = erasure.main(["--only", scenario, "--rows", "1000", "--repeats", "1"])
    assert [line[0] for line in lines[1:]] == parts


def test_noise_is_measured_beside_peers(tmp_path: Path) -> None:
    """Everybody has a line for one number and for many, measured or skipped, and why."""
    file = tmp_path / "RESULTS.md"
    sections = noise.main(["--numbers", "50", "--many", "60", "--repeats", "1", "--write", str(file)])
    assert len(sections) == 6
    for _, lines in sections:
        assert [line[0] for line in lines[1:]] == [maker.name for maker in MAKERS]
        assert all(line[2] != "-" or line[1].startswith("skipped: ") for line in lines[1:])
    assert file.read_text(encoding="utf-8").count("| Aegis |") == 6


if LONG:  # it starts servers and four workers

    @pytest.mark.timeout(600)
    def test_large_updates_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
        """Each stage has seconds, and what goes through Redis does not grow with the array."""
        monkeypatch.setattr(system, "_CURRENT", [])
        lines = updates.main(["--numbers", "100000", "200000", "--repeats", "1"])
        assert len(lines) == 12
        assert all(0 < float(word) < 60 for line in lines[1:8] for word in line[1:])
        assert all(1000 < int(word) < 4096 for word in lines[8][1:])


if LONG:  # it starts servers and three workers

    @pytest.mark.timeout(600)
    def test_several_workers_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
        """One worker and two do the same rows, each run's account is checked, and each has a line."""
        monkeypatch.setattr(system, "_CURRENT", [])
        lines = workers.main(["--rows", "20000", "--workers", "1", "2", "--repeats", "1"])
        assert [line[0] for line in lines] == ["workers", "1", "2"]
        assert all(float(word) > 0 for line in lines[1:] for word in (line[2], *line[4:]))


if LONG:  # it starts eight processes for each way

    @pytest.mark.timeout(600)
    def test_recording_is_measured_in_every_way() -> None:
        """Each way to record has a rate, and the sealed ones say what still waits."""
        ((title, lines),) = audit.main(["--only", "recording", "--seconds", "0.2", "--repeats", "1"])
        assert title.startswith("Recording by 8 processes")
        assert [name for name, *_ in lines[1:]] == [way.name for way in WAYS]
        assert all(float(rate.replace(",", "")) > 0 for _, rate, *_ in lines[1:])
