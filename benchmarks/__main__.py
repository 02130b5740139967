"""Every benchmark in turn, and RESULTS.md with their tables: `make bench`, or `python -m benchmarks`.

Each program runs in a process of its own. The file is written anew after each of them, whole or not at all:
what was measured stays whatever happens afterwards, and who is interrupted or fails leaves its old tables.
"""

import argparse
import datetime as dt
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import document
from benchmarks.machine import machine
from benchmarks.parts import PARTS, Part
from benchmarks.sections import command

_FILE: Final = Path(__file__).with_name("RESULTS.md")
_INTERRUPTED: Final = 130
#: Seconds in which a program that was interrupted ends.
_PATIENCE: Final = 60


def main(words: Sequence[str] | None = None) -> int:
    """Run the programs; return 0, 1 where one has failed, or 130 where somebody interrupted them."""
    given = _arguments(words)
    chosen = [part for part in PARTS if not given.only or part.name in given.only]
    failed: list[str] = []
    began = time.monotonic()
    try:
        for place, part in enumerate(chosen, 1):
            _say(f"[{place}/{len(chosen)}] {part.title}")
            since = time.monotonic()
            if not _made(part, given):
                failed.append(part.name)
            _say(f"    {_minutes(since)}; {_minutes(began)} in all")
    except KeyboardInterrupt:
        _say(f"interrupted; {given.file} has what was complete before")
        return _INTERRUPTED
    if failed:
        _say(f"failed, and left as before in {given.file}: {', '.join(failed)}")
        return 1
    _say(f"{given.file} is written")
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    names = [part.name for part in PARTS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="so little that no figure means anything")
    parser.add_argument("--repeats", type=int, help="of each measurement, in place of each program's own")
    parser.add_argument("--file", type=Path, default=_FILE, help="default: %(default)s; plots go beside it")
    given = parser.parse_args(words)
    if given.quick and given.file == _FILE:
        parser.error("--quick makes no figures for RESULTS.md: name another file with --file")
    return given


def _made(part: Part, given: argparse.Namespace) -> bool:
    """Run a part's program and put its tables into the file; say whether it did not fail."""
    with tempfile.TemporaryDirectory() as folder:
        tables = []
        for place, words in enumerate(part.runs(quick=given.quick, repeats=given.repeats)):
            _say(f"    {command(part.name, words)}")
            made = Path(folder) / f"{place}.md"
            program = [sys.executable, "-m", f"benchmarks.{part.name}", *words, "--write", str(made)]
            code = _ended(program)
            if code:
                _say(f"    it failed with exit code {code}")
                return False
            tables.append(made.read_text(encoding="utf-8").strip())
    day = dt.datetime.now(dt.UTC).strftime("%-d %B %Y")
    document.put(given.file, part.name, f"{day}: {machine()}.", "\n\n".join(tables))
    return True


def _ended(program: Sequence[str]) -> int:
    """Run a program and return its exit code."""
    with subprocess.Popen(program) as running:
        try:
            return running.wait()
        except KeyboardInterrupt:
            # It was interrupted too, and stops its servers.
            running.wait(_PATIENCE)
            raise


def _minutes(since: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - since), 60)
    return f"{minutes} min {seconds} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
