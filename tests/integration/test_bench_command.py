"""`python -m benchmarks`: one file that is always whole, and a part at a time."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import document
from benchmarks.machine import machine
from benchmarks.parts import PARTS
from tests.workerkit import ROOT, wait_until

LONG = bool(os.environ.get("LONG_TESTS"))
#: A part that needs no server and no process.
NOISE = ["--quick", "--only", "noise", "--file"]


@pytest.mark.timeout(600)
def test_the_command_writes_tables_goals_and_plots(tmp_path: Path) -> None:
    """Each table stands under the command that made it; the machine, the goals and a plot are there."""
    file = tmp_path / "RESULTS.md"
    assert command.main([*NOISE, str(file), "--repeats", "2"]) == 0
    text = file.read_text(encoding="utf-8")
    said = re.findall(r"^`(python -m benchmarks.*)`$", text, re.MULTILINE)
    assert said == ["python -m benchmarks.noise --numbers 50 --many 60 --repeats 2"] * 7
    assert f": {machine()}." in text
    assert "### Laplace noise on 50 numbers, medians of up to 2" in text
    assert re.search(
        r"^\| Noise, Laplace, one number: µs \| ≤ 60 \| [\d.]+ \| (met|missed by \d+%) \|", text, re.MULTILINE
    )
    assert "| SQLite: whole run | ≥ 0.85 | - | not measured here |" in text
    assert "](plots/noise.svg)" in text
    assert (tmp_path / "plots" / "noise.svg").stat().st_size < 40_000


@pytest.mark.timeout(600)
def test_a_part_replaces_its_own_tables_only(tmp_path: Path) -> None:
    """What another program measured stays, letter for letter, and so does its plot."""
    file = tmp_path / "RESULTS.md"
    lines = "| | ratio |\n| --- | --- |\n| one raw DELETE | 1.00 |\n| Aegis \\| it | 0.91 |"
    kept = f"### SQLite: 1 row\n\n`a command`\n\n{lines}"
    document.put(file, "retention", "Another machine.", kept)
    document.put(file, "noise", "Another machine.", "### Old noise\n\n| | ms |\n| --- | --- |\n| Aegis | 1 |")
    before = document.read(file)
    plot = (tmp_path / "plots" / "retention.svg").read_bytes()
    assert command.main([*NOISE, str(file)]) == 0
    after = document.read(file)
    assert after["retention"] == before["retention"] == f"Another machine.\n\n{kept}"
    assert "Old noise" not in after["noise"]
    assert (tmp_path / "plots" / "retention.svg").read_bytes() == plot
    assert [*after] == [part.name for part in PARTS if part.name in after]


@pytest.mark.timeout(600)
def test_a_part_that_fails_leaves_its_old_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says which failed and ends with 1; the file has what was measured before."""
    file = tmp_path / "RESULTS.md"
    document.put(file, "noise", "Before.", "### Old noise\n\n| | ms |\n| --- | --- |\n| Aegis | 1 |")
    old = file.read_bytes()
    (noise,) = (part for part in PARTS if part.name == "noise")
    monkeypatch.setattr(type(noise), "runs", lambda *_, **__: [["--no-such-word"]])
    assert command.main([*NOISE, str(file)]) == 1
    assert file.read_bytes() == old


@pytest.mark.timeout(600)
def test_an_interrupted_command_leaves_the_file_whole(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a part ends with 130; the file is the old one, and nothing lies beside it."""
    file = tmp_path / "RESULTS.md"
    document.put(file, "noise", "Before.", "### Old noise\n\n| | ms |\n| --- | --- |\n| Aegis | 1 |")
    old = file.read_bytes()
    words = [sys.executable, "-m", "benchmarks", "--only", "noise", "--repeats", "1000", "--file", str(file)]
    log = tmp_path / "log"
    with log.open("wb") as told:
        running = subprocess.Popen(words, cwd=ROOT, stdout=told, stderr=told, start_new_session=True)
        wait_until(lambda: b"laplace noise on" in log.read_bytes(), "it measures")
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(60) == 130
    assert b"interrupted" in log.read_bytes()
    assert file.read_bytes() == old
    assert sorted(it.name for it in tmp_path.iterdir()) == ["RESULTS.md", "log", "plots"]


def test_quick_figures_do_not_get_into_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    """Figures that mean nothing are not written where people look for figures."""
    with pytest.raises(SystemExit):
        command.main(["--quick"])
    assert "name another file" in capsys.readouterr().err


def test_each_part_has_its_program_and_its_repeats() -> None:
    """Every part names a program that is there, and `--repeats` reaches each of its runs."""
    for part in PARTS:
        assert (ROOT / "benchmarks" / f"{part.name}.py").is_file()
        for quick in (True, False):
            for words in part.runs(quick=quick, repeats=9):
                assert words[words.index("--repeats") + 1] == "9"


if LONG:  # it starts every server and every worker of the benchmarks

    @pytest.mark.timeout(1800)
    def test_the_whole_command_runs_in_one_go(tmp_path: Path) -> None:
        """Every part is in the file, and every plot can be drawn."""
        file = tmp_path / "RESULTS.md"
        assert command.main(["--quick", "--file", str(file)]) == 0
        assert [*document.read(file)] == [part.name for part in PARTS]
        plots = {plot.name for plot in (tmp_path / "plots").iterdir()}
        assert {"retention.svg", "latency.svg", "scaling-cost.svg", "audit.svg"} <= plots
        assert all(f"](plots/{name})" in file.read_text(encoding="utf-8") for name in plots)
