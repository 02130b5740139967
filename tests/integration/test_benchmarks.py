"""The benchmarks, with few rows: everybody does the same work, and who is missing is told."""

import os
from pathlib import Path

import pytest

from aegis.operations import system
from benchmarks import (
    audit,
    cataloguing,
    erasure,
    latency,
    noise,
    queueing,
    retention,
    scaling,
    updates,
    workers,
)
from benchmarks.contenders import NOBODY
from benchmarks.measuring import Figure
from benchmarks.noisemakers import MAKERS
from benchmarks.recording import WAYS
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.sections import SKIPPED

#: So few rows that no figure means anything.
ROWS = "2000"
LONG = bool(os.environ.get("LONG_TESTS"))
MEASURED = [it for it in SCENARIOS if LONG or it.name in {"SQLite", "PostgreSQL, anonymize"}]
#: What is measured of erasures; the last of them searches twenty times.
ERASURES = [
    ("person", ["the statements alone", "plan", "changes", "search"]),
    ("people", ["one after the other", "Aegis, searched and accounted for"]),
    ("mask", ["raw", "redact", "surrogate", "hmac", "hmac, row by row"]),
    *([("requests", ["a search for each", "one search for all"])] if LONG else []),
]


@pytest.mark.parametrize("scenario", MEASURED, ids=lambda it: it.name)
@pytest.mark.timeout(600)
def test_each_contender_leaves_the_same_rows(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows are left whoever deleted; each contender has a line, or why it has none."""
    monkeypatch.setattr(system, "_CURRENT", [])
    file = tmp_path / "RESULTS.md"
    words = ["--rows", ROWS, "--repeats", "1", "--only", scenario.name]
    (section,) = retention.main([*words, "--write", str(file)])
    assert section.title.startswith(f"{scenario.name}: ")
    assert {line[0] for line in section.lines[1:]} == {it.name for it in scenario.contenders}
    assert all(section.cell(line[0], "seconds") or line[1].startswith(SKIPPED) for line in section.lines[1:])
    text = file.read_text(encoding="utf-8")
    assert text == f"\n\n{section.markdown}\n"
    assert f"--rows {ROWS} --repeats 1 --only" in section.command
    assert str(file) not in text


def test_other_rows_stop_the_benchmark() -> None:
    """A contender that leaves other rows than the others did not do the same work: no ratio is shown."""
    results = Results(scenario=SCENARIOS[0], rows=10)
    results.add("a", Figure(seconds=1.0, left=(5, 1)))
    results.add(NOBODY.name, Figure(seconds=1.0, left=(10, 1)))
    results.check()
    results.add("b", Figure(seconds=1.0, left=(6, 1)))
    with pytest.raises(SystemExit, match="not everybody left the same rows"):
        results.check()


@pytest.mark.timeout(600)
def test_the_audit_log_is_verified() -> None:
    """Every leaf is read by each verifier, on both databases; each has a line in the results."""
    sections = audit.main(["--only", "verifying", "--leaves", "600", "--repeats", "1"])
    assert [section.title.partition(",")[0] for section in sections] == [
        "Verifying 60 leaves",
        "Verifying 600 leaves",
    ] * 2
    assert all(section.cell("aegis audit verify", "rows a second") for section in sections)
    assert all(section.cell("aegis audit prune, once", "rows a second") is not None for section in sections)


@pytest.mark.timeout(600)
def test_the_residual_scan_is_measured() -> None:
    """Every way has a line for one person and, where it is not too slow, for more, on each database."""
    sections = {
        section.title.split(", ")[1]: section
        for section in erasure.main(["--only", "scan", "--rows", "300", "--repeats", "1"])
    }
    assert sections.keys() == {"PostgreSQL", "MariaDB", "SQLite"}
    ways = [line[0].rpartition(", ")[0] for line in sections["PostgreSQL"].lines[1:]]
    assert {*ways} == {"Aegis", "strpos, OR", "one regular expression", "LIKE ANY"}
    for section in sections.values():
        measured = [line[0] for line in section.lines[1:] if line[0].startswith("Aegis, ")]
        assert measured == [f"Aegis, {persons}" for persons in (1, 10, 100, 300)] or "skipped" in str(section)


@pytest.mark.parametrize(("scenario", "parts"), ERASURES)
def test_erasures_are_measured(scenario: str, parts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part has a line, and what was measured was done."""
    monkeypatch.setattr(system, "_CURRENT", [])
    (section,) = erasure.main(["--only", scenario, "--rows", "1000", "--repeats", "1"])
    assert [line[0] for line in section.lines[1:]] == parts


def test_noise_is_measured_beside_peers() -> None:
    """Everybody has a line for one number and for many, measured or skipped, and why."""
    *noises, clipped = noise.main(["--numbers", "50", "--many", "60", "--repeats", "1"])
    assert len(noises) == 6
    for section in noises:
        assert [line[0] for line in section.lines[1:]] == [maker.name for maker in MAKERS]
        assert all(line[2] != "-" or line[1].startswith(SKIPPED) for line in section.lines[1:])
    assert [line[0] for line in clipped.lines[1:]] == ["numpy, float sums", "Aegis, whole steps"]


@pytest.mark.timeout(600)
def test_a_scan_of_the_catalog_is_measured_beside_patterns() -> None:
    """Both ways look at the names alone, and at the first or at sampled rows of every table."""
    (section,) = cataloguing.main(["--tables", "2", "--repeats", "1"])
    assert [line[:2] for line in section.lines[1:]] == [
        ("2", way) for way in ("Aegis", "patterns, first rows")
    ] * 2
    assert [line[2] for line in section.lines[1:]] == ["0", "0", "100", "100"]


if LONG:  # it starts servers and two workers

    @pytest.mark.timeout(600)
    def test_the_queue_is_measured_beside_the_same_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
        """What is due is gone and every event is there, whichever way it was asked for."""
        monkeypatch.setattr(system, "_CURRENT", [])
        runs, events = queueing.main(["--rows", "200", "--requests", "2", "--repeats", "1"])
        for section, column in ((runs, "fixed, ms"), (events, "requests a second")):
            assert [line[0].partition(",")[0] for line in section.lines[1:]] == [
                "Aegis",
                "Aegis",
                "a plain Celery task",
            ]
            assert all(section.cell(line[0], column) for line in section.lines[1:])


if LONG:  # it starts servers and four workers

    @pytest.mark.timeout(600)
    def test_large_updates_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
        """Each stage has seconds, and what goes through Redis does not grow with the array."""
        monkeypatch.setattr(system, "_CURRENT", [])
        (section,) = updates.main(["--numbers", "100000", "200000", "--repeats", "1"])
        lines = section.lines
        assert len(lines) == 12
        assert all(0 < float(word) < 60 for line in lines[1:8] for word in line[1:])
        assert all(1000 < int(word) < 4096 for word in lines[8][1:])


if LONG:  # it starts servers and three workers

    @pytest.mark.timeout(600)
    def test_several_workers_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
        """One worker and two do the same rows, each run's account is checked, and each has a line."""
        monkeypatch.setattr(system, "_CURRENT", [])
        (section,) = workers.main(["--rows", "20000", "--workers", "1", "2", "--repeats", "1"])
        lines = section.lines
        assert [line[0] for line in lines] == ["workers", "1", "2"]
        assert all(float(word) > 0 for line in lines[1:] for word in (line[2], *line[4:]))


if LONG:  # it starts eight processes for each way

    @pytest.mark.timeout(600)
    def test_recording_is_measured_in_every_way() -> None:
        """Each way to record has a rate, and the sealed ones say what still waits."""
        (section,) = audit.main(["--only", "recording", "--seconds", "0.2", "--repeats", "1"])
        assert section.title.startswith("Recording by 8 processes")
        assert [line[0] for line in section.lines[1:]] == [way.name for way in WAYS]
        assert all(section.cell(way.name, "transactions a second") for way in WAYS)


if LONG:  # it makes a table for each contender

    @pytest.mark.timeout(600)
    def test_the_application_is_timed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
        """Both sessions have a figure whoever deletes, and where nobody does."""
        monkeypatch.setattr(system, "_CURRENT", [])
        (section,) = latency.main(["--rows", "2000", "--repeats", "1", "--only", "PostgreSQL"])
        names = [line[0] for line in section.lines[1:]]
        assert names[:3] == [NOBODY.name, "one raw DELETE", "Aegis"]
        assert all(section.cell(NOBODY.name, f"{row} row p99, ms") for row in ("hot", "due"))

    @pytest.mark.timeout(600)
    def test_larger_tables_have_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
        """Each size has its cost of a row and its memory."""
        monkeypatch.setattr(system, "_CURRENT", [])
        (section,) = scaling.main(["--rows", "1000", "2000", "--repeats", "1"])
        assert [line[0] for line in section.lines[1:]] == ["1,000", "2,000"]
        assert all(section.cell(line[0], "Aegis, MiB") for line in section.lines[1:])
