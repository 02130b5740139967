"""The parts of the results: which programs make them, in which order, and with how much."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part: the tables of one program."""

    #: The program: `python -m benchmarks.NAME`.
    name: str
    title: str
    #: What is compared, for the reader of the tables.
    about: str
    #: The words of each of its runs, for figures that mean something.
    full: Sequence[str]
    #: The same with so little that only the program is tried.
    quick: Sequence[str]

    def runs(self, *, quick: bool, repeats: int | None) -> list[list[str]]:
        """Return the words of each run."""
        said = [shlex.split(words) for words in (self.quick if quick else self.full)]
        return [_repeated(words, repeats) for words in said]


def _repeated(words: list[str], repeats: int | None) -> list[str]:
    if repeats is None:
        return words
    place = words.index("--repeats")
    return [*words[: place + 1], str(repeats), *words[place + 2 :]]


PARTS: Final[Sequence[Part]] = (
    Part(
        name="retention",
        title="Retention",
        about="Half of a table goes, unless something else is said. A ratio is the time of one raw statement "
        "of the same repeat / the contender's; `batches alone` leaves out what Aegis counts before its "
        "first row, for the guards, and after its last, to tell what is left. WAL is beside that of "
        "the raw statement, without that of the application's UPDATEs. `due UPDATE p99` is what 99 of "
        "100 UPDATEs of rows that are due, sent by the application every 10 ms meanwhile, stay under.",
        full=(
            "--rows 1000000 --repeats 3 --only PostgreSQL --only SQLite",
            "--rows 200000 --repeats 3 --only MariaDB",
        ),
        quick=("--rows 2000 --repeats 1",),
    ),
    Part(
        name="latency",
        title="Latency of the application meanwhile",
        about="Two sessions of the application send an UPDATE every 10 ms each while rows go: of one hot row "
        "that stays, and of rows that are due. Each counts from when it was to begin: one that comes "
        "while a statement holds the lock waits for its end. Aegis runs at full speed, and once with "
        "the pauses and the throttle that it has where nothing else is said.",
        full=(
            "--rows 1000000 --repeats 3 --only PostgreSQL",
            "--rows 200000 --repeats 3 --only MariaDB",
        ),
        quick=("--rows 2000 --repeats 1",),
    ),
    Part(
        name="scaling",
        title="Scaling",
        about="Half of each table goes. The memory is the most that the process took which advances the run.",
        full=("--rows 1000000 3000000 10000000 --repeats 3",),
        quick=("--rows 2000 4000 --repeats 1",),
    ),
    Part(
        name="workers",
        title="Several workers",
        about="One policy cut into ranges; each worker is a process with one child. PostgreSQL works on the "
        "same processors.",
        full=("--rows 1500000 --repeats 3",),
        quick=("--rows 2000 --workers 1 2 --repeats 1",),
    ),
    Part(
        name="queueing",
        title="What the queue costs",
        about="The same operation called in process, asked for by a service through Redis and a worker, and "
        "as anybody writes it: a plain Celery task with one statement in it, with no account of what "
        "it did. `fixed` is a run over ten rows; `µs a row` is what many rows take beyond it. Our only child "
        "is replaced after 200 tasks, and Celery may take up to 5 s to do so; the plain one never is.",
        full=("--rows 500000 --requests 300 --repeats 3",),
        quick=("--rows 2000 --requests 5 --repeats 1",),
    ),
    Part(
        name="erasure",
        title="Erasure",
        about="The residual scan beside what a database can search itself, for persons who are not there. "
        "`the statements alone` change the same rows, and prove nothing. `row by row` is a token made "
        "in Python.",
        full=("--rows 200000 --repeats 3",),
        quick=("--rows 1000 --repeats 1",),
    ),
    Part(
        name="audit",
        title="Audit log",
        about="`plain` inserts the event into a table and does no more; `chain` links each event to the one "
        "before, under a lock on the head. Verifying is beside reading and hashing every entry, with "
        "the driver alone.",
        full=("--leaves 200000 --seconds 4 --repeats 3",),
        quick=("--leaves 600 --seconds 0.2 --repeats 1",),
    ),
    Part(
        name="noise",
        title="Noise and clipping",
        about="numpy's noise is fast, and its last bits tell the value that it hides; `safe` says whose "
        "withstand that attack. Peers come with `pip install -e '.[peers]'`.",
        full=("--numbers 1000000 --many 10000000 --repeats 7",),
        quick=("--numbers 50 --many 60 --repeats 1",),
    ),
    Part(
        name="updates",
        title="Large model updates",
        about="A model update through client, Redis, worker and back.",
        full=("--numbers 1000000 10000000 --repeats 3",),
        quick=("--numbers 10000 20000 --repeats 1",),
    ),
    Part(
        name="cataloguing",
        title="Catalog scan",
        about="Each table has 15 columns, and 1,000 rows or, one of a hundred, 200,000. `patterns` is what "
        "anybody writes, over names and over the first rows. How right the answers are: "
        "`catalog/RESULTS.md`.",
        full=("--tables 100 1000 --repeats 1",),
        quick=("--tables 5 10 --repeats 1",),
    ),
)
