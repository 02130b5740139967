"""The residual scan beside what a database can do itself: one table, searched for the values of many persons.

Nobody who is looked for is there, as after an erasure; addresses begin like those of the rows.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.engines import make_engine
from aegis.erasure.residual.finding import Sought
from aegis.erasure.residual.needles import Needle, needles_of
from aegis.erasure.residual.scanning import Scan
from aegis.settings import SourceSettings
from benchmarks.servers import Place

_CHUNK: Final = 10_000
_COLUMNS: Final = (
    "id BIGINT PRIMARY KEY, user_id BIGINT, email VARCHAR(90), body TEXT, payload {json}, at {at}"
)
_TYPES: Final = {
    "postgresql": {"json": "jsonb", "at": "timestamptz"},
    "mariadb": {"json": "JSON", "at": "DATETIME"},
    "sqlite": {"json": "JSON", "at": "TIMESTAMP"},
}
#: What PostgreSQL compares a row's text with.
_CONDITIONS: Final[dict[str, Callable[[list[str]], tuple[str, Any]]]] = {
    "strpos, OR": lambda texts: (
        " OR ".join(f"strpos(t, %(v{place})s) > 0" for place in range(len(texts))),
        {f"v{place}": text for place, text in enumerate(texts)},
    ),
    "one regular expression": lambda texts: ("t ~ %(v)s", {"v": "|".join(map(re.escape, texts))}),
    "LIKE ANY": lambda texts: ("t LIKE ANY(%(v)s)", {"v": [f"%{text}%" for text in texts]}),
}
#: Needles beyond which a way is not waited for.
_PATIENCE: Final = {"strpos, OR": 400, "one regular expression": 40, "LIKE ANY": 40}


@dataclass(frozen=True, kw_only=True)
class Searched:
    """How long each way took, and over how many needles."""

    needles: int
    #: way → seconds
    seconds: dict[str, float]


@contextmanager
def table(place: Place, rows: int) -> Iterator[sa.Engine]:
    """Make a database with the rows; about 250 bytes each."""
    name = "scanned"
    url = place.server.create_database(name) if place.server else f"sqlite:///{place.folder / name}.db"
    engine = make_engine(SourceSettings(url=url), own=True)
    columns = _COLUMNS.format_map(_TYPES[engine.dialect.name])
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE visits ({columns})")
    insert = sa.table("visits", *map(sa.column, ("id", "user_id", "email", "body", "payload", "at"))).insert()
    for first in range(0, rows, _CHUNK):
        with engine.begin() as connection:
            connection.execute(insert, [_row(number) for number in range(first, min(first + _CHUNK, rows))])
    try:
        yield engine
    finally:
        engine.dispose()
        if place.server:
            place.server.drop_database(name)


def _row(number: int) -> dict[str, Any]:
    word = f"{number * 2_654_435_761 % 2**32:08x}"
    return {
        "id": number,
        "user_id": number % 1000,
        "email": f"user.{number}@example.com",
        "body": f"{word} lorem ipsum {word[::-1]} dolor sit amet " * 3,
        "payload": f'{{"ip": "10.0.{number % 7}.{number % 255}", "agent": "{word}{word}"}}',
        "at": "2026-01-01 00:00:00",
    }


def needles(persons: int) -> list[Needle]:
    """Return the needles of persons who are not there."""
    return [
        needle
        for person in range(persons)
        for needle in needles_of(
            person,
            {
                "email": f"user.{person}@example.org",
                "phone": f"+49 30 {person + 12_345_678}",
                "name": f"Anna{person % 7} Schmidt{person}",
            },
        )
    ]


def measure(engine: sa.Engine, persons: int) -> Searched:
    """Search for so many persons in each way that does not take too long."""
    wanted = needles(persons)
    seconds = {"Aegis": _timed(partial(_scanned, engine, wanted))}
    if engine.dialect.name == "postgresql":
        texts = [needle.value for needle in wanted]
        for way, condition in _CONDITIONS.items():
            if len(texts) <= _PATIENCE[way]:
                seconds[way] = _timed(partial(_asked, engine, *condition(texts)))
    return Searched(needles=len(wanted), seconds=seconds)


def _scanned(engine: sa.Engine, wanted: Sequence[Needle]) -> int:
    return sum(len(part.hits) for part in Scan(engine, "the table", Sought(wanted), digest=str).run())


def _asked(engine: sa.Engine, condition: str, values: Any) -> int:
    lower = "SELECT lower(CAST(x AS text)) AS t FROM visits AS x OFFSET 0"
    text = f"SELECT count(*) FROM ({lower}) AS s WHERE {condition}"  # noqa: S608 - our own words
    with engine.connect() as connection:
        # As a batch of Aegis works: with one process.
        connection.exec_driver_sql("SET max_parallel_workers_per_gather = 0")
        return int(connection.exec_driver_sql(text, values).scalar_one())


def _timed(work: Callable[[], int]) -> float:
    began = time.perf_counter()
    if work():
        message = "somebody was found who is not there"
        raise SystemExit(message)
    return time.perf_counter() - began
