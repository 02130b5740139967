"""Erasures beside what people write instead: one person among many tables, many people, and a mask."""

import hmac
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from aegis.masking.keys import MaskKey
from aegis.masking.masks import masks_of
from aegis.operations.system import current, use
from aegis.settings import Settings, SourceSettings
from api.erasure import (
    advance_erasure,
    anonymize_user,
    anonymize_users,
    erasure_status,
    plan_erasure,
    request_erasure,
)
from benchmarks.servers import Place
from tests.worlds import UNTHROTTLED, engine

_MAP: Final = """
subjects:
  user: {table: users, key: id, identifiers: {email: email}}
tables:
  users: {row: anonymize, columns: {email: surrogate_email}}
"""
#: Rows that each person has in each of the tables that refer to them.
EACH: Final = 5
#: Rows that are masked one by one.
_BY_ROW: Final = 50_000


@dataclass(frozen=True, kw_only=True)
class Application:
    """A database with people, and tables of theirs."""

    app: sa.Engine
    tables: int
    people: int


@contextmanager
def application(place: Place, *, tables: int, people: int) -> Iterator[Application]:
    """Make one, and make its Aegis the process's."""
    name = "erased"
    url = place.server.create_database(name) if place.server else f"sqlite:///{place.folder / name}.db"
    app = engine(url, keep=True)
    datamap = place.folder / "erased.datamap.yaml"
    lines = [_MAP]
    with app.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(90))")
        _fill(connection, "users (id, email)", "n, 'user' || n || '@example.com'", people)
        for number in range(tables):
            masked = number % 2 == 1
            connection.exec_driver_sql(
                f"CREATE TABLE t{number} (id INT PRIMARY KEY, "
                "user_id INT REFERENCES users (id), body VARCHAR(90))"
            )
            columns = "id, user_id, body"
            values = f"n, 1 + mod(n, {people}), 'lorem ipsum dolor sit amet ' || n"
            _fill(connection, f"t{number} ({columns})", values, EACH * people)
            connection.exec_driver_sql(f"CREATE INDEX t{number}_by_user ON t{number} (user_id)")
            row = "anonymize, columns: {body: redact}" if masked else "delete"
            lines.append(f"  t{number}: {{row: {row}, via: user_id}}\n")
    datamap.write_text("".join(lines), encoding="utf-8")
    source = SourceSettings(url=url, datamap=datamap)
    home = place.folder / "home_erased"
    system = use(Settings(home=home, datasources={"app": source}, throttle=UNTHROTTLED))
    system.migrate_source("app")
    try:
        yield Application(app=app, tables=tables, people=people)
    finally:
        for it in {system, current()}:  # a way may have used other settings
            it.close()
        app.dispose()
        if place.server:
            place.server.drop_database(name)


def _fill(connection: sa.Connection, into: str, values: str, rows: int) -> None:
    numbers = f"generate_series(1, {rows}) AS s(n)"
    connection.exec_driver_sql(f"INSERT INTO {into} SELECT {values} FROM {numbers}")  # noqa: S608 - our own words


def one_person(person: int) -> dict[str, float]:
    """Return the seconds that a plan, the changes and the search took for one person."""
    planned = _timed(lambda: plan_erasure([str(person)]))
    run = request_erasure([person], f"one-{person}-{time.monotonic_ns()}", actor="benchmark")
    began = time.monotonic()
    report: dict[str, Any] = {"more": True}
    executed: float | None = None
    while report["more"]:
        # The first slice ends with the changes and one stretch of the search.
        report = advance_erasure(run, 0.0 if executed is None else None)
        if executed is None and report["changed"]:
            executed = time.monotonic() - began
    _refuse_other(report["outcome"], report["reason"])
    whole = time.monotonic() - began
    return {"plan": planned, "changes": executed or 0.0, "search": whole - (executed or 0.0)}


def many_people(people: Sequence[int]) -> float:
    """Return the seconds that one request for several people took, from its beginning to its end."""
    settings = current().settings
    erasure = replace(settings.erasure, max_rows=10**9, single_transaction_rows=10**9)
    use(replace(settings, erasure=erasure))

    def erase() -> None:
        done = anonymize_users(list(people), "benchmark")
        _refuse_other(done.status, done.reason)

    return _timed(erase)


def requests_alone(people: Iterable[int]) -> float:
    """Return the seconds of a request for each of several people, one after the other."""

    def erase() -> None:
        for person in people:
            done = anonymize_user(person, "benchmark")
            _refuse_other(done.status, done.reason)

    return _timed(erase)


def requests_together(people: Iterable[int]) -> float:
    """Return the seconds of the same, when all of them are open before the first is worked on."""

    def erase() -> None:
        wanted = list(people)
        waiting = deque(request_erasure([person], f"one-{person}", actor="benchmark") for person in wanted)
        while waiting:
            report = advance_erasure(run := waiting.popleft())
            waiting.extend([*report["freed"], *([run] if report["more"] else [])])
        for person in wanted:
            found = erasure_status(f"one-{person}")
            _refuse_other(found.status, found.reason)

    return _timed(erase)


def in_a_loop(made: Application, people: Sequence[int]) -> float:
    """Return the seconds of what people write: the statements of each person, one after the other."""

    def loop() -> None:
        for person in people:
            with made.app.begin() as connection:
                for number in range(made.tables):
                    if number % 2:
                        change = sa.text(f"UPDATE t{number} SET body = '[redacted]' WHERE user_id = :id")  # noqa: S608
                    else:
                        change = sa.text(f"DELETE FROM t{number} WHERE user_id = :id")  # noqa: S608
                    connection.execute(change, {"id": person})
                email = f"erased{person}@masked.invalid"
                change = sa.text("UPDATE users SET email = :email WHERE id = :id")
                connection.execute(change, {"email": email, "id": person})

    return _timed(loop)


def masked(place: Place, rows: int) -> dict[str, float]:
    """Return the seconds a row of one UPDATE by strategy, and of a raw one with a text as long as a token.

    `row by row` is what people write where the token is made in Python; it is measured with some of the rows.
    """
    name = "masked"
    url = place.server.create_database(name) if place.server else f"sqlite:///{place.folder / name}.db"
    app = engine(url, keep=True)
    key = MaskKey(id="bench", secret=bytes(32))
    found: dict[str, float] = {}
    try:
        for strategy in ("raw", "redact", "surrogate", "hmac"):
            with app.begin() as connection:
                connection.exec_driver_sql("DROP TABLE IF EXISTS people")
                connection.exec_driver_sql("CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(90))")
                _fill(connection, "people (id, email)", "n, 'user' || n || '@example.com'", rows)
            table = sa.Table("people", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
            table.append_column(sa.Column("email", sa.String(90)))
            if strategy == "raw":
                change = sa.update(table).values(email="x" * 36)
            else:
                masks = masks_of({"email": strategy})
                change = sa.update(table).where(masks.due(table)).values(masks.values(table, key))
            found[strategy] = _timed(partial(_run, app, change)) / rows
        few = min(rows, _BY_ROW)
        found["hmac, row by row"] = _timed(partial(_row_by_row, app, key, few)) / few
    finally:
        app.dispose()
        if place.server:
            place.server.drop_database(name)
    return found


def _row_by_row(app: sa.Engine, key: MaskKey, rows: int) -> None:
    """Read each address, make a token of it in Python, and write it back."""
    change = sa.text("UPDATE people SET email = :email WHERE id = :id")
    with app.begin() as connection:
        query = sa.text("SELECT id, email FROM people ORDER BY id LIMIT :rows")
        for person, email in connection.execute(query, {"rows": rows}).all():
            token = hmac.digest(key.secret, email.encode(), "sha256").hex()
            connection.execute(change, {"email": token, "id": person})


def _run(app: sa.Engine, change: sa.Update) -> None:
    with app.begin() as connection:
        connection.execute(change)


def _refuse_other(outcome: str, reason: str | None) -> None:
    if outcome != "done":
        message = f"the erasure is {outcome}: {reason}"
        raise RuntimeError(message)


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
