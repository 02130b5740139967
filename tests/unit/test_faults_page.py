"""docs/faults.md says what tests show."""

import re

from aegis.operations.table import TABLE
from tests.workerkit import ROOT

PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")


def test_every_test_that_it_names_is_there() -> None:
    """A fault whose test was renamed or removed is shown by nothing."""
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert named - there == set()


def test_every_task_is_of_one_kind() -> None:
    """The page says of each task who asks again."""
    kinds = PAGE.partition("## Kinds of tasks")[2].partition("## Faults")[0]
    first_cells = "".join(line.split("|")[1] for line in kinds.splitlines() if line.startswith("|"))
    assert sorted(re.findall(r"`([\w.]+)`", first_cells)) == sorted(
        entry.name.removeprefix("aegis.") for entry in TABLE
    )


def test_every_fault_is_shown_by_a_test() -> None:
    """No row stands there on its word alone."""
    faults = PAGE.partition("\n## Faults\n")[2].partition("\n## ")[0]
    rows = [line for line in faults.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    assert [row for row in rows if "`test_" not in row] == []
