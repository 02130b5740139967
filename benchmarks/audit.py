"""The audit log beside its alternatives: `make bench`, or `python -m benchmarks.audit`.

Recording: transactions a second of eight processes on PostgreSQL, in turn; a ratio is to the plain
insert of the same repeat. Verifying: rows a second, and the ratio to reading and hashing alone.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from aegis.embedded.postgres import EmbeddedPostgres
from benchmarks import recording, verifying
from benchmarks.recording import WAYS, Rate
from benchmarks.results import machine
from benchmarks.verifying import Verified

Lines = list[tuple[str, ...]]


def main(words: Sequence[str] | None = None) -> list[tuple[str, Lines]]:
    """Measure, print, and write where that was asked for."""
    given = _arguments(words)
    sections: list[tuple[str, Lines]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with EmbeddedPostgres(folder / "server") as server:
            if given.only in {None, "recording"}:
                sections.append(_recording(server, folder, given))
                show(*sections[-1])
            if given.only in {None, "verifying"}:
                for database in ("PostgreSQL", "SQLite"):
                    for leaves in (given.leaves // 10, given.leaves):
                        place = server if database == "PostgreSQL" else None
                        sections.append(_verifying(place, folder, leaves, database, given.repeats))
                        show(*sections[-1])
    if given.write:
        about = f"`python -m benchmarks.audit --leaves {given.leaves} --repeats {given.repeats}`"
        parts = ["# Results of the audit log's benchmarks", about, machine()]
        parts += [f"## {title}\n\n{markdown(lines)}" for title, lines in sections]
        given.write.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return sections


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the writers write")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["recording", "verifying"])
    parser.add_argument("--write", type=Path, help="a Markdown file for the results")
    return parser.parse_args(words)


def _recording(server: EmbeddedPostgres, folder: Path, given: argparse.Namespace) -> tuple[str, Lines]:
    rates: dict[str, list[Rate]] = {way.name: [] for way in WAYS}
    for repeat in range(given.repeats):
        # Each in turn, and another one first each time.
        for way in (*WAYS[repeat % len(WAYS) :], *WAYS[: repeat % len(WAYS)]):
            rates[way.name].append(recording.measure(way, server, folder, given.seconds))
    plain = rates[WAYS[0].name]
    lines: Lines = [("", "transactions a second", "ratio", "waiting at the end")]
    for way in WAYS:
        mine = rates[way.name]
        ratio = statistics.median(it.per_second / raw.per_second for it, raw in zip(mine, plain, strict=True))
        speed = statistics.median(it.per_second for it in mine)
        pending = str(max(it.pending for it in mine)) if way.sealing else "-"
        lines.append((way.name, f"{speed:,.0f}", f"{ratio:.2f}", pending))
    return f"Recording by {recording.WRITERS} processes, PostgreSQL, medians of {given.repeats}", lines


def _verifying(
    server: EmbeddedPostgres | None, folder: Path, leaves: int, database: str, repeats: int
) -> tuple[str, Lines]:
    lines: Lines = [("", "rows a second", "ratio", "MiB")]
    with verifying.sealed_log(server, folder, leaves) as (settings, sealed):
        floors, hashes, columns = [], [], []
        for _ in range(repeats):
            floors.append(verifying.floor(settings))
            hashes.append(verifying.verified(settings, columns=False))
            columns.append(verifying.verified(settings, columns=True))
        gone = [verifying.pruned(settings)]
    lines += [
        _line("read and hash, no more", floors, floors),
        _line("aegis audit verify --hashes-only", hashes, floors),
        _line("aegis audit verify", columns, floors),
        _line("aegis audit prune, once", gone, floors[:1]),
        ("sealing", f"{sealed:,.0f}", "-", "-"),
    ]
    return f"Verifying {leaves:,} leaves, {database}, medians of {repeats}", lines


def _line(name: str, mine: Sequence[Verified], floors: Sequence[Verified]) -> tuple[str, ...]:
    speed = statistics.median(it.per_second for it in mine)
    ratio = statistics.median(it.per_second / raw.per_second for it, raw in zip(mine, floors, strict=True))
    memory = statistics.median(it.memory for it in mine)
    return name, f"{speed:,.0f}", f"{ratio:.2f}", f"{memory / 2**20:,.0f}"


def show(title: str, lines: Lines) -> None:
    """Print a section."""
    table = Table(box=None, title=title, title_justify="left")
    for heading in lines[0]:
        table.add_column(heading, no_wrap=True)
    for line in lines[1:]:
        table.add_row(*line)
    Console(width=120).print(table, "")


def markdown(lines: Lines) -> str:
    """Return a section's table for a file."""
    rows = [lines[0], ("---",) * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


if __name__ == "__main__":
    main()
