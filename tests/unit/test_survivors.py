"""The explanations of `tests/survivors.toml` are about code that is there."""

import inspect
import pkgutil
import tomllib
from pathlib import Path

import pytest

ENTRIES = tomllib.loads((Path(__file__).parents[1] / "survivors.toml").read_text())["survivor"]


@pytest.mark.parametrize("entry", ENTRIES, ids=[each["in"] for each in ENTRIES])
def test_the_lines_are_those_of_the_function(entry: dict[str, str]) -> None:
    """Whoever changes them looks at the reason again, long before `make mutants` is run."""
    source = inspect.getsource(pkgutil.resolve_name(entry["in"]))
    assert entry["was"] in " ".join(line.strip() for line in source.splitlines())
    assert entry["was"] != entry["becomes"]
    assert entry["why"]
