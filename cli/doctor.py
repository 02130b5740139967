"""`aegis doctor`: what is wrong here, and the cure for it."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Final

import click

from aegis.doctor import Finding, Verdict, examine
from cli import output

_FINDING: Final = 1
_CANNOT_TELL: Final = 5
#: A mark that is told from the others without its colour, and the colour.
_MARKS: Final[Mapping[Verdict, tuple[str, str]]] = {
    Verdict.OK: ("✓", "green"),
    Verdict.NOTE: ("!", "yellow"),
    Verdict.FAULT: ("✗", "bold red"),
    Verdict.UNKNOWN: ("?", "magenta"),
}
#: For a terminal that cannot show those.
_PLAIN: Final[Mapping[str, str]] = {"✓": "ok", "✗": "X", "→": "->"}


@click.command()
@output.json_option
def doctor(*, as_json: bool) -> int:
    """Check every connection, key, migration and clock, and name the cure for each fault.

    Changes nothing. Marks: ✓ fine, ! worth knowing, ✗ a fault, ? cannot tell. Exit code 1 with a fault,
    else 5 when something could not be told, else 0.
    """
    found = examine()
    code = _exit_code(found)
    if as_json:
        output.print_json({"fine": code == 0, "findings": [asdict(finding) for finding in found]})
        return code
    output.marked(_lines(found))
    output.say(f"\n{_summary(found)}")
    return code


def _exit_code(found: Iterable[Finding]) -> int:
    verdicts = {finding.verdict for finding in found}
    if Verdict.FAULT in verdicts:
        return _FINDING
    return _CANNOT_TELL if Verdict.UNKNOWN in verdicts else 0


def _lines(found: Iterable[Finding]) -> Iterable[tuple[str, str, str, str]]:
    for check, group in groupby(found, key=lambda finding: finding.check):
        name = check
        for finding in group:
            mark, style = _MARKS[finding.verdict]
            yield _shown(mark), style, name, finding.text
            if finding.cure:
                yield "", "", "", f"{_shown('→')} {finding.cure}"
            name = ""


def _shown(mark: str) -> str:
    try:
        mark.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return _PLAIN.get(mark, mark)
    return mark


def _summary(found: Iterable[Finding]) -> str:
    counts = {verdict: sum(finding.verdict is verdict for finding in found) for verdict in Verdict}
    parts = [
        output.counted(counts[Verdict.FAULT], "fault"),
        output.counted(counts[Verdict.UNKNOWN], "check that cannot tell", "checks that cannot tell"),
        output.counted(counts[Verdict.NOTE], "note"),
    ]
    told = [part for part in parts if not part.startswith("0 ")]
    return ", ".join(told) + ". Nothing was changed." if told else "Everything is fine. Nothing was changed."
