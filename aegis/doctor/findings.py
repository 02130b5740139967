"""What a check finds, and how it says so.

A check is a function that yields findings. An error of Aegis is a fault with its own words; any
other error means that the check could not tell, and is reported as that.
"""

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aegis.errors import AegisError


class Verdict(enum.StrEnum):
    """What a check found."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    check: str
    verdict: Verdict
    text: str
    #: What to do, often a command.
    cure: str | None = None


Found = Iterator[Finding]


class Skipped(Exception):
    """The check cannot be made because another one failed."""


def ok(check: str, text: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(check=check, verdict=Verdict.OK, text=text)


def note(check: str, text: str, cure: str | None = None) -> Finding:
    """Say what is worth knowing."""
    return Finding(check=check, verdict=Verdict.NOTE, text=text, cure=cure)


def fault(check: str, text: str, cure: str | None = None) -> Finding:
    """Say what is wrong; without a cure only where the text names it."""
    return Finding(check=check, verdict=Verdict.FAULT, text=text, cure=cure)


def unknown(check: str, text: str, cure: str | None = None) -> Finding:
    """Say why something could not be told."""
    return Finding(check=check, verdict=Verdict.UNKNOWN, text=text, cure=cure)


def careful(name: str, check: Callable[[], Found]) -> list[Finding]:
    """Make a check; whatever it raises becomes a finding."""
    found = []
    try:
        for finding in check():
            found.append(finding)  # noqa: PERF402 - what came before an error counts too
    except Skipped as skipped:
        found.append(unknown(name, str(skipped)))
    except AegisError as error:
        found.append(fault(name, str(error).removeprefix(f"{name}: ")))
    except Exception as error:  # noqa: BLE001 - a check that crashes says that it cannot tell
        text = f"the check itself failed ({type(error).__name__})"
        found.append(unknown(name, text, "this is a fault of Aegis: report it"))
    return found


def span(seconds: float) -> str:
    """Return a length of time as people say it."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} seconds"
