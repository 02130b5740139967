"""Open requests share one pass over their source: each gets its own end, and stops no other."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.db.blocks import read_stretch
from aegis.erasure import sweeping
from aegis.erasure.tracing import looking
from aegis.errors import Refused
from aegis.operations import claims
from api import erasure, privacy
from api.audit import get_audit_events
from tasks import erasure as tasks
from tests.oneperson import EACH, begin, content, expect, people
from tests.worlds import ACTOR, World, on

#: So many requests.
MANY: Final = 12
FIRST: Final = 100


class Queue:
    """The queue of erasures and its only worker."""

    def __init__(self) -> None:
        self.runs: deque[str] = deque()
        self.reports: list[dict[str, Any]] = []

    def wake(self, runs: Iterable[str], _task: str) -> None:
        """Take messages."""
        self.runs.extend(runs)

    def ask(self, *persons: int) -> list[str]:
        """Accept a request for each person."""
        return [tasks.anonymize(user_id=it, actor=ACTOR, request_id=str(it))["run"] for it in persons]

    def step(self) -> dict[str, Any]:
        """Do the first message."""
        self.reports.append(tasks.run(run_id=self.runs.popleft()))
        return self.reports[-1]

    def work(self) -> list[str]:
        """Do what is in the queue, and what the reconciler sends; return the outcomes."""
        begin = len(self.reports)
        while self.runs or (due := erasure.due_erasures()):
            self.runs.extend(() if self.runs else due)
            self.step()
        return [report["outcome"] for report in self.reports[begin:]]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    """What tasks send goes here."""
    made = Queue()
    monkeypatch.setattr(tasks, "wake", made.wake)
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Table → stretches that were read of it."""
    return watched(monkeypatch, lambda _: None)


def watched(monkeypatch: pytest.MonkeyPatch, then: Callable[[str], None]) -> Counter[str]:
    """Count the stretches that are read of each table; after each, do something."""
    counted: Counter[str] = Counter()

    def count(connection: Any, place: Any, *words: Any) -> Any:
        found = read_stretch(connection, place, *words)
        counted[place.name] += 1
        then(place.name)
        return found

    monkeypatch.setattr("aegis.erasure.residual.scanning.read_stretch", count)
    return counted


def states(world: World) -> dict[str, tuple[str, int]]:
    """Return request → state and tries of each run."""
    with world.control.connect() as connection:
        query = sa.text("SELECT request_id, state, attempts FROM aegis_runs")
        return {row.request_id: (row.state, row.attempts) for row in connection.execute(query)}


@on("sqlite+sqlite", "sqlite+mariadb", "postgresql-one")
def test_many_requests_share_a_pass(world: World, tmp_path: Path, queue: Queue, read: Counter[str]) -> None:
    """Each table is read once for all; who is left somewhere is blocked, the others are done."""
    begin(world, tmp_path)
    everybody = range(FIRST, FIRST + MANY)
    people(world, everybody)
    world.execute("CREATE TABLE letters (id INT PRIMARY KEY, remark VARCHAR(90))")
    world.execute("INSERT INTO letters VALUES (5, 'cc 104@example.com'), (6, 'cc x@example.com')")
    queue.ask(*everybody)
    outcomes = queue.work()
    assert Counter(outcomes) == {"waiting": MANY - 1, "done": MANY - 1, "blocked": 1}
    assert {read[name] for name in ("letters", "users", "visits", "posts", "aegis_tombstones")} == {1}
    for person in everybody:
        found = erasure.erasure_status(str(person))
        expect(world, found.rows)
        assert (found.status, found.rows) == ("blocked" if person == 104 else "done", EACH), person
    (stays,) = [report for report in queue.reports if report["outcome"] == "blocked"]
    assert [(hit["table"], hit["person"], hit["samples"]) for hit in stays["residual"]] == [
        ("letters", 0, ["id=5"])
    ]
    assert {tries for _, tries in states(world).values()} == {0, 1}
    assert not [row for row in content(world, "users") if row[0] >= FIRST and "@example.com" in row[2]]
    ended = Counter(event["correlation_id"] for event in get_audit_events(1000, action="erasure:run"))
    assert len(ended) == MANY
    assert set(ended.values()) == {1}


@contextmanager
def spoilt(world: World, run: str) -> Iterator[None]:
    """Let nobody read who an erasure is about."""
    spoil = sa.text("UPDATE aegis_erased_persons SET sealed = :sealed WHERE run = :run")
    with world.control.begin() as connection:
        query = sa.text("SELECT sealed FROM aegis_erased_persons WHERE run = :run")
        kept = connection.execute(query, {"run": run}).scalar_one()
        connection.execute(spoil, {"sealed": b"x" * len(kept), "run": run})
    yield
    with world.control.begin() as connection:
        connection.execute(spoil, {"sealed": kept, "run": run})


def put_off(queue: Queue, *persons: int) -> list[str]:
    """Change the rows of some, who then wait for the last of them; it is the only message left."""
    runs = queue.ask(*persons)
    for _ in persons[:-1]:
        assert queue.step()["outcome"] == "waiting"
    return runs


@on("sqlite+postgresql")
def test_each_goes_its_own_way(
    world: World, tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is cancelled, or cannot be opened or followed, falls out; who comes later has a pass of its own."""
    begin(world, tmp_path)
    # A stretch is a slice, and leases are renewed after each.
    world.configure(
        retention=replace(world.settings.retention, slice_seconds=0.0),
        operations=replace(world.settings.operations, lease_seconds=0.001),
    )
    cancelled, lost, sealed, plain, leader, late = map(str, range(FIRST, FIRST + 6))
    people(world, range(FIRST, FIRST + 6))
    world.insert("invoices", [{"region": it, "id": 1, "buyer": it} for it in (101, 103)])
    what = [{"region": it, "invoice": 1, "what": f"for {it}@example.com"} for it in (101, 103)]
    world.insert("items", what)

    def at(table: str) -> None:
        if table == "issues" and late not in states(world):
            erasure.cancel_erasure(cancelled, ACTOR)
            queue.ask(int(late))

    read = watched(monkeypatch, at)
    runs = put_off(queue, *range(FIRST, FIRST + 5))
    assert [states(world)[name] for name in (cancelled, lost, sealed, plain)] == [("verifying", 0)] * 4
    renewed = set[str]()

    def look(system: Any, keys: Any, **words: Any) -> Any:
        if keys == [(int(lost),)]:
            message = "the map changed"
            raise Refused(message)
        return looking(system, keys, **words)

    monkeypatch.setattr("aegis.erasure.sweeping.looking", look)
    renew = claims.renew

    def note(system: Any, claim: Any, **words: Any) -> None:
        renewed.add(claim.id)
        renew(system, claim, **words)

    monkeypatch.setattr(claims, "renew", note)
    with spoilt(world, runs[2]):
        while late not in states(world):
            assert queue.step()["outcome"] == "more"
    assert states(world)[cancelled][0] == "cancelled"
    assert [states(world)[name] for name in (lost, sealed, plain, leader)] == [("verifying", 0)] * 4
    assert {runs[1], runs[3], runs[4]} <= renewed
    assert runs[2] not in renewed
    # A stop is obeyed by whoever is asked; afterwards the same pass goes on.
    privacy.stop_operations("an incident", ACTOR, everywhere=True)
    assert set(queue.work()) == {"waiting"}
    privacy.start_operations(ACTOR, everywhere=True)
    queue.work()
    ended = {name: erasure.erasure_status(name) for name in (cancelled, lost, sealed, plain, leader, late)}
    assert [found.status for found in ended.values()] == ["cancelled", *["done"] * 5]
    for found in ended.values():
        expect(world, {name: rows for name, rows in found.rows.items() if not name.startswith("retain")})
    for name, rows in ((lost, 1), (plain, 1), (leader, 0)):
        left = json.loads(json.loads(world.run_row(str(ended[name].run))["report"])["text"])["searched"][
            "left"
        ]
        assert [(hit["table"], hit["column"], hit["rows"]) for hit in left] == [("items", "what", 1)] * rows
    assert read["visits"] <= 4


def wait_no_longer(world: World, queue: Queue) -> None:
    """Send those that wait for others again, whose time has come."""
    with world.control.begin() as connection:
        connection.execute(sa.text("UPDATE aegis_runs SET not_before = NULL"))
        waiting = sa.text("SELECT id FROM aegis_runs WHERE state = 'verifying' ORDER BY created_at")
        queue.runs.extend(connection.execute(waiting).scalars())


def outcomes(queue: Queue) -> Counter[str]:
    """Work until nothing is left, and return how the slices ended."""
    return Counter(queue.work())


@on("sqlite+sqlite")
def test_no_more_are_taken_along_than_fit(
    world: World, tmp_path: Path, queue: Queue, read: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for three requests in a pass, five have two passes, and each comes to its own end."""
    monkeypatch.setattr(sweeping, "REQUESTS", 3)
    begin(world, tmp_path)
    everybody = range(FIRST, FIRST + 5)
    people(world, everybody)
    queue.ask(*everybody)
    assert outcomes(queue)["done"] == 3
    assert read["visits"] == 1
    wait_no_longer(world, queue)
    assert set(outcomes(queue)) == {"done"}
    assert read["visits"] == 2
    assert {state for state, _ in states(world).values()} == {"done"}
    for person in everybody:
        found = erasure.erasure_status(str(person))
        assert (found.status, found.rows) == ("done", EACH), found.reason
        expect(world, found.rows)


@on("sqlite+sqlite")
def test_one_that_may_kill_its_worker_goes_alone(
    world: World, tmp_path: Path, queue: Queue, read: Counter[str]
) -> None:
    """After several tries that ended without a word nobody is taken along, and the others have a pass."""
    begin(world, tmp_path)
    people(world, range(FIRST, FIRST + 3))
    runs = put_off(queue, *range(FIRST, FIRST + 3))
    with world.control.begin() as connection:
        query = sa.text("UPDATE aegis_runs SET attempts = :tries WHERE id = :run")
        tries = world.settings.operations.max_attempts // 2 + 1
        connection.execute(query, {"tries": tries, "run": runs[2]})
    assert queue.step()["outcome"] == "done"
    assert [state for state, _ in states(world).values()].count("verifying") == 2
    wait_no_longer(world, queue)
    assert set(outcomes(queue)) == {"done"}
    assert read["visits"] == 2
    assert {state for state, _ in states(world).values()} == {"done"}
    for person in range(FIRST, FIRST + 3):
        expect(world, erasure.erasure_status(str(person)).rows)


@on("sqlite+sqlite")
def test_nobody_is_waited_for_too_long(
    world: World, tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose rows were changed a while ago is searched for, whoever may still come."""
    begin(world, tmp_path)
    people(world, range(FIRST, FIRST + 2))
    monkeypatch.setattr(sweeping, "GATHER_SECONDS", 0.0)
    queue.ask(FIRST, FIRST + 1)
    assert queue.step()["outcome"] == "done"
    assert outcomes(queue) == {"done": 1}
    for person in (FIRST, FIRST + 1):
        expect(world, erasure.erasure_status(str(person)).rows)


@on("sqlite+sqlite")
def test_several_rows_of_one_who_was_taken_along(world: World, tmp_path: Path, queue: Queue) -> None:
    """Each of them is judged, and all that is theirs is told in their own report."""
    begin(world, tmp_path)
    people(world, range(FIRST, FIRST + 2))
    world.insert("invoices", [{"region": FIRST, "id": 1, "buyer": FIRST}])
    world.insert(
        "items", [{"region": FIRST, "invoice": 1, "what": f"{n} for {FIRST}@example.com"} for n in (1, 2)]
    )
    queue.ask(FIRST, FIRST + 1)
    assert outcomes(queue)["done"] == 2
    for person, rows in ((FIRST, [2]), (FIRST + 1, [])):
        found = erasure.erasure_status(str(person))
        expect(world, {name: count for name, count in found.rows.items() if not name.startswith("retain")})
        report = json.loads(json.loads(world.run_row(str(found.run))["report"])["text"])
        assert [hit["rows"] for hit in report["searched"]["left"]] == rows
