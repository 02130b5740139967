"""What mutation testing found, module by module, beside the survivors that are explained.

`make mutants` has mutmut change the modules of [tool.mutmut] in pyproject.toml, one small change at a time,
and run the tests that reach each change. A change that no test sees is a survivor. `tests/survivors.toml`
says why it may live, by its function and its lines, which outlast edits elsewhere; this program tells the
survivors that are not explained, and the explanations of what survives no longer.
"""

import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_module_from_key, orig_function_and_class_names_from_key

EXPLAINED: Final = Path(__file__).with_suffix(".toml")
#: What mutmut calls the end of a mutant, as columns.
ENDS: Final = ("killed", "caught by type check", "timeout", "no tests", "survived")


@dataclass(frozen=True, order=True, kw_only=True)
class Change:
    """A mutant: its function, and the function's lines that differ."""

    function: str
    was: str
    becomes: str

    @classmethod
    def of(cls, name: str, path: Path) -> "Change":
        """Return the change that mutmut numbers."""
        function, class_name = orig_function_and_class_names_from_key(name)
        lines = get_diff_for_mutant(name, path=path).splitlines()[3:]
        was, becomes = (" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
        whole = ".".join(filter(None, (get_module_from_key(name), class_name, function)))
        return cls(function=whole, was=was, becomes=becomes)

    def __str__(self) -> str:
        """Return it as people compare it."""
        return f"{self.function}\n    was      {self.was}\n    becomes  {self.becomes}"


def explained() -> set[Change]:
    """Read which survivors have a reason."""
    entries = tomllib.loads(EXPLAINED.read_text())["survivor"]
    return {
        Change(function=each["in"], was=each["was"], becomes=each["becomes"])
        for each in entries
        if each["why"]
    }


def main() -> int:
    """Print the table, and what is not as it is explained; 1 when there is any."""
    reasons, survivors = explained(), set[Change]()
    _say(f"| module | mutants | {' | '.join(ENDS)} |")
    _say(f"|---|{'---|' * (len(ENDS) + 1)}")
    whole: Counter[str] = Counter()
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        ends = {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}
        survivors |= {Change.of(name, path) for name, end in ends.items() if end == "survived"}
        counts = Counter(ends.values())
        whole += counts
        _tell(str(path), counts)
    _tell("all", whole)
    for title, changes in (("Not explained", survivors - reasons), ("No survivor", reasons - survivors)):
        for change in sorted(changes):
            _say(f"\n{title}: {change}")
    open_ = whole.total() - sum(whole[end] for end in ENDS)
    if open_:
        _say(f"\nNot tried, or without a result: {open_}; `make mutants` goes on with them")
    return int(survivors != reasons or open_ > 0)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _tell(name: str, counts: Counter[str]) -> None:
    _say(f"| {name} | {counts.total()} | {' | '.join(str(counts[end]) for end in ENDS)} |")


if __name__ == "__main__":
    sys.exit(main())
