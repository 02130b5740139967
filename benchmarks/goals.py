"""What Aegis is held to, beside what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.sections import Section, find

_HEADINGS: Final = ("goal", "asked", "measured", "", "why")
_COUNTS: Final = "it counts what is due before its first row, for the guards, and what is left after its last"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One figure that is asked for."""

    what: str
    #: The part and the beginning of the title of the table that has it.
    part: str
    title: str
    line: str | int
    column: str
    least: float | None = None
    most: float | None = None
    #: Another line: the figure is how many times this line's the other line's is.
    against: str | int | None = None
    #: Why it is missed where it is.
    why: str = ""

    def value(self, made: Mapping[str, list[Section]]) -> float | None:
        """Return what was measured, or None."""
        section = find(made.get(self.part, []), self.title)
        mine = section.cell(self.line, self.column) if section else None
        if section is None or mine is None or self.against is None:
            return mine
        other = section.cell(self.against, self.column)
        return None if other is None or not mine else other / mine

    def cells(self, made: Mapping[str, list[Section]]) -> tuple[str, ...]:
        """Return the line of the table."""
        bound, sign = (self.least, "≥") if self.least is not None else (self.most or 0.0, "≤")
        value = self.value(made)
        asked = f"{sign} {bound:,g}"
        if value is None:
            return self.what, asked, "-", "not measured here", ""
        short = (bound - value if sign == "≥" else value - bound) / bound
        if short <= 0:
            return self.what, asked, _three(value), "met", ""
        return self.what, asked, _three(value), f"missed by {short:.0%}", self.why


def _both(what: str, title: str, least: float, line: str = "Aegis", why: str = "") -> tuple[Goal, Goal]:
    """Return a ratio's goal twice: for the batches alone, and for a whole run."""
    words = {"part": "retention", "title": title, "line": line, "least": least}
    alone = Goal(what=f"{what}: batches alone", column="batches alone", why=why, **words)  # type: ignore[arg-type]
    return alone, Goal(what=f"{what}: whole run", column="ratio", why=_COUNTS, **words)  # type: ignore[arg-type]


def _faster(what: str, title: str, against: str, least: float, why: str) -> Goal:
    """Return the goal that another contender takes so many times as long as Aegis's whole run."""
    words = {"part": "retention", "title": title, "line": "Aegis", "against": against, "least": least}
    return Goal(what=what, column="seconds", why=why, **words)  # type: ignore[arg-type]


_APPENDED: Final = "PostgreSQL, appended"
_SENTRY: Final = "= ANY(ARRAY(... LIMIT 5000)), Sentry's shape"
_LOOP: Final = "id IN (SELECT id ... LIMIT 5000)"
_ARCHIVER: Final = "pt-archiver --bulk-delete"
_LOOPS: Final = (
    "both loops are slower than Aegis only where an old snapshot keeps the dead rows, as a table shows; "
    + _COUNTS
)
_BULK: Final = "at 5,000 rows at once it is faster than the goal expects: its ratio stands below"
_SCALAR: Final = "the plan, the subkey and the cipher of a release, which one number pays alone"
_STALL: Final = (
    "a batch aims at 50 ms however many rows there are, the raw DELETE takes longer the more there are: "
    "at 4,000,000 rows it was 35"
)
_SEARCH: Final = "the plainest search, strpos alone, misses it here too: the second line of its table"
_HASHING: Final = (
    "reading and hashing alone, the first line of its table, take most of the time that the goal leaves"
)
_TWO_ROWS: Final = "an event is two rows, itself and its place among those that wait for a leaf"
_LATE: Final = "due UPDATE p99, ms"
GOALS: Final[Sequence[Goal]] = (
    *_both("PostgreSQL, appended, beside one raw DELETE", _APPENDED, 0.85),
    *_both("PostgreSQL, scattered", "PostgreSQL, scattered", 0.7),
    *_both("PostgreSQL, scattered, two ranges", "PostgreSQL, scattered", 0.9, "Aegis, two ranges"),
    *_both("PostgreSQL, an old snapshot is open", "PostgreSQL, an old snapshot", 0.9),
    *_both("PostgreSQL, tenants in one pass", "PostgreSQL, 51 tenants", 0.8, "Aegis, one pass"),
    *_both("PostgreSQL, anonymize, beside one raw UPDATE", "PostgreSQL, anonymize", 0.85),
    *_both("PostgreSQL, archived first", "PostgreSQL, archived", 0.35),
    *_both("MariaDB", "MariaDB", 0.6),
    *_both("SQLite", "SQLite", 0.85),
    Goal(
        what="PostgreSQL, appended: WAL, beside the raw DELETE's",
        part="retention",
        title=_APPENDED,
        line="Aegis",
        column="WAL",
        most=1.02,
    ),
    Goal(
        what="PostgreSQL, appended: p99 of an UPDATE, the raw DELETE's / Aegis's",
        part="retention",
        title=_APPENDED,
        line="Aegis",
        against="one raw DELETE",
        column=_LATE,
        least=20,
        why=_STALL,
    ),
    _faster("PostgreSQL, appended: times as fast as Sentry's shape", _APPENDED, _SENTRY, 2.5, why=_LOOPS),
    _faster("PostgreSQL, appended: times as fast as the IN loop", _APPENDED, _LOOP, 6, why=_LOOPS),
    _faster("MariaDB: times as fast as pt-archiver", "MariaDB", _ARCHIVER, 12, why=_BULK),
    Goal(
        what="PostgreSQL, partitions: p99 of an UPDATE, ms",
        part="retention",
        title="PostgreSQL, partitions",
        line="Aegis, whole partitions",
        column=_LATE,
        most=7,
    ),
    Goal(
        what="The cost of a row in the largest table / in the smallest",
        part="scaling",
        title="Larger",
        line=0,
        against=-1,
        column="Aegis, µs a row",
        most=1.1,
    ),
    Goal(
        what="Memory with the largest table / with the smallest",
        part="scaling",
        title="Larger",
        line=0,
        against=-1,
        column="Aegis, MiB",
        most=1.1,
    ),
    Goal(
        what="Residual scan, PostgreSQL, one person: seconds per million rows",
        part="erasure",
        title="Residual scan of*PostgreSQL",
        line="Aegis, 1",
        column="µs a row",
        most=1.6,
        why=_SEARCH,
    ),
    Goal(
        what="Masks by HMAC in the database: µs a row",
        part="erasure",
        title="Masking",
        line="hmac",
        column="µs a row",
        most=5.8,
    ),
    Goal(
        what="Audit: an event with sequencer, beside a plain insert",
        part="audit",
        title="Recording",
        line="Aegis, sealed each second",
        column="ratio",
        least=0.99,
        why=_TWO_ROWS,
    ),
    Goal(
        what="Audit: rows verified a second, hashes only",
        part="audit",
        title="Verifying * leaves, PostgreSQL",
        line="aegis audit verify --hashes-only",
        column="rows a second",
        least=342_000,
        why=_HASHING,
    ),
    Goal(
        what="Audit: rows verified a second, every column",
        part="audit",
        title="Verifying * leaves, PostgreSQL",
        line="aegis audit verify",
        column="rows a second",
        least=156_000,
    ),
    Goal(
        what="Noise, Laplace, 1,000,000 numbers: ms",
        part="noise",
        title="Laplace noise on 1,000,000 ",
        line="Aegis",
        column="ms",
        most=45,
    ),
    Goal(
        what="Noise, Gaussian, 1,000,000 numbers: ms",
        part="noise",
        title="Gaussian noise on 1,000,000 ",
        line="Aegis",
        column="ms",
        most=55,
    ),
    Goal(
        what="Noise, Laplace, one number: µs",
        part="noise",
        title="Laplace noise on one number",
        line="Aegis",
        column="µs",
        most=60,
        why=_SCALAR,
    ),
    Goal(
        what="Noise, Laplace: times as fast as OpenDP on a like grid",
        part="noise",
        title="Laplace noise on 1,000,000 ",
        line="OpenDP, grid of 2^-14",
        column="times as fast is Aegis",
        least=50,
    ),
    Goal(
        what="Clipping a contribution of 1,000,000 numbers: ms",
        part="noise",
        title="Clipping contributions of 1,000,000 ",
        line="Aegis, whole steps",
        column="ms a contribution",
        most=20,
    ),
)


def markdown(made: Mapping[str, list[Section]]) -> str:
    """Return the table of all goals."""
    lines = [_HEADINGS, *(goal.cells(made) for goal in GOALS)]
    about = (
        "The figures that Aegis is held to, beside the tables below. How right the catalog is stands in "
        "[catalog/RESULTS.md](catalog/RESULTS.md), with its goal."
    )
    return f"## Goals\n\n{about}\n\n" + Section(title="", lines=list(lines)).markdown.partition("\n\n")[2]


def _three(value: float) -> str:
    """Return a figure with three digits, or whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits
