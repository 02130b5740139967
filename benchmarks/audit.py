"""The audit log beside its alternatives: `python -m benchmarks.audit`.

Recording: transactions a second of eight processes on PostgreSQL, in turn; a ratio is to the plain
insert of the same repeat. Verifying: rows a second, and the ratio to reading and hashing alone.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from aegis.embedded.postgres import EmbeddedPostgres
from benchmarks import recording, verifying
from benchmarks.program import arguments, finish, in_turn, progress
from benchmarks.recording import WAYS, Rate
from benchmarks.sections import Lines, Section
from benchmarks.verifying import Verified


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=5)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the writers write")
    parser.add_argument("--only", choices=["recording", "verifying"])
    given = parser.parse_args(words)
    return finish("audit", words, _sections(given), given.write)


def _sections(given: argparse.Namespace) -> Iterator[Section]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with EmbeddedPostgres(folder / "server") as server:
            if given.only in {None, "recording"}:
                yield _recording(server, folder, given)
            if given.only in {None, "verifying"}:
                for database in ("PostgreSQL", "SQLite"):
                    for leaves in (given.leaves // 10, given.leaves):
                        place = server if database == "PostgreSQL" else None
                        yield _verifying(place, folder, leaves, database, given.repeats)


def _recording(server: EmbeddedPostgres, folder: Path, given: argparse.Namespace) -> Section:
    rates: dict[str, list[Rate]] = {way.name: [] for way in WAYS}
    for repeat in range(given.repeats):
        for way in in_turn(WAYS, repeat):
            progress(f"recording, {way.name}, {repeat + 1} of {given.repeats}")
            rates[way.name].append(recording.measure(way, server, folder, given.seconds))
    plain = rates[WAYS[0].name]
    lines: Lines = [("", "transactions a second", "ratio", "waiting at the end")]
    for way in WAYS:
        mine = rates[way.name]
        ratio = statistics.median(it.per_second / raw.per_second for it, raw in zip(mine, plain, strict=True))
        speed = statistics.median(it.per_second for it in mine)
        pending = str(max(it.pending for it in mine)) if way.sealing else "-"
        lines.append((way.name, f"{speed:,.0f}", f"{ratio:.2f}", pending))
    title = f"Recording by {recording.WRITERS} processes, PostgreSQL, medians of {given.repeats}"
    return Section(title=title, lines=lines)


def _verifying(
    server: EmbeddedPostgres | None, folder: Path, leaves: int, database: str, repeats: int
) -> Section:
    lines: Lines = [("", "rows a second", "ratio", "MiB")]
    with verifying.sealed_log(server, folder, leaves) as (settings, sealed):
        floors, hashes, columns = [], [], []
        for repeat in range(repeats):
            progress(f"verifying, {database}, {leaves:,} leaves, {repeat + 1} of {repeats}")
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
    title = f"Verifying {leaves:,} leaves, {database}, medians of {repeats}"
    return Section(title=title, lines=lines)


def _line(name: str, mine: Sequence[Verified], floors: Sequence[Verified]) -> tuple[str, ...]:
    speed = statistics.median(it.per_second for it in mine)
    ratio = statistics.median(it.per_second / raw.per_second for it, raw in zip(mine, floors, strict=True))
    memory = statistics.median(it.memory for it in mine)
    return name, f"{speed:,.0f}", f"{ratio:.2f}", f"{memory / 2**20:,.0f}"


if __name__ == "__main__":
    main()
