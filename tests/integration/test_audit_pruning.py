"""Pruning the log: old events go, everything that proves the rest stays, and nothing is lost by a crash."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.audit import condemned, events, head, proofs, proving, pruning
from aegis.audit.actions import Action
from aegis.audit.pruning import Pruned, prune
from aegis.audit.recorder import Note
from aegis.audit.tlog import merkle
from aegis.audit.verification.findings import Progress  # noqa: TC001 - lists are made of it
from aegis.db.engines import reading, writing
from aegis.db.journal import Journal
from aegis.db.tables import (
    Archive,
    AuditCheckpoint,
    AuditLeaf,
    AuditLog,
    AuditPending,
    AuditPruned,
    AuditState,
    AuditTile,
    RelayMark,
    Run,
    Source,
)
from aegis.errors import Busy, Refused, Tampered, UnknownName, UsageError
from api.audit import account_of, ledger, prune_journals, relay_journals
from tests import sealedlog, worlds
from tests.conftest import balance
from tests.sealedlog import Log
from tests.worlds import SQLITE_TWO, World, on

EACH = on(*worlds.EACH_DATABASE)
TWO = on("sqlite-one", "postgresql-one")
YEAR = dt.timedelta(days=365)
#: The log of these tests: leaf 0 is its first key, then come so many old events, which fill two tiles,
#: its second key, and so many young events.
OLD, YOUNG = 511, 40
KEY = OLD + 1
SIZE = KEY + 1 + YOUNG
#: What its old events add up to.
SUMS: Final = {"p delete:t": 300, "p mask:other": 100, "p reverted_delete:t": 5, "q delete:t": 10}
LONG_AGO: Final = sa.text("UPDATE aegis_runs SET finished_at = '2001-01-01 00:00:00.000000'")


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def log(world: World) -> Log:
    """A sealed log whose first events are a year old, batches of forgotten runs among them."""
    made = grown(world, OLD)
    assert made.size == SIZE
    return made


def grown(world: World, old: int) -> Log:
    """Seal so many old events, a second key, and young events."""
    made = sealedlog.begin(world)
    made.store(*batches(), *sealedlog.make(old - 111, age=YEAR))
    made.system.signing_keys.rotate(actor="tests")
    made.system.sequencer.seal()
    made.store(*sealedlog.make(YOUNG, first=2000))
    made.size = made.system.sequencer.seal().size
    world.unbalanced = "nothing of what these events tell has happened"
    return made


def batches() -> list[events.Event]:
    """Compose 110 batches of old runs, and what came back of them."""

    def told(count: int, action: str, policy: str, rows: int, along: dict[str, int]) -> list[events.Event]:
        clear = {"table": "t", "action": "delete", "rows": rows, "along": along, "run": events.uuid7()}
        words: dict[str, Any] = {
            "target_type": "policy",
            "target_ref": policy,
            "sealed": None,
            "sealed_with": None,
        }
        return sealedlog.make(count, action=action, clear=clear, age=YEAR, **words)

    return [
        *told(100, "retention:batch", "p", 3, {"mask:other": 1}),
        *told(10, "retention:batch", "q", 1, {}),
        *told(1, "retention:returned", "p", 5, {}),
    ]


def cut(log: Log, *, execute: bool = True, **words: Any) -> Pruned:
    """Prune everything that is older than a hundred days."""
    defaults: dict[str, Any] = {
        "before": dt.datetime.now(dt.UTC) - dt.timedelta(days=100),
        "actor": worlds.ACTOR,
        "permitted": lambda: None,
    }
    system = log.system
    return prune(
        system.databases, system.recorder, system.sequencer, execute=execute, **{**defaults, **words}
    )


def leaves(log: Log) -> list[int]:
    """Return the leaves that have an event."""
    query = sa.select(AuditLeaf.leaf).join(AuditLog, AuditLog.id == AuditLeaf.id).order_by(AuditLeaf.leaf)
    return [row.leaf for row in log.rows(query)]


def told(log: Log) -> list[dict[str, Any]]:
    """Return what the log says of its prunes, in its order."""
    query = sa.select(AuditLog.entry).join(AuditLeaf, AuditLeaf.id == AuditLog.id).order_by(AuditLeaf.leaf)
    rows = log.rows(query.where(AuditLog.action == Action.AUDIT_PRUNE))
    return [events.details_of(row.entry) for row in rows]


def summed(log: Log) -> dict[str, int]:
    """Return the sums of what is gone."""
    query = sa.select(AuditPruned.policy, AuditPruned.table_name, AuditPruned.action, AuditPruned.rows)
    return {f"{row[0]} {row[2]}:{row[1]}": int(row[3]) for row in log.rows(query) if row[3]}


def check_pruned(log: Log, prunes: int = 1) -> None:
    """The old events are gone and were counted once, by so many prunes; what is left is an intact log."""
    assert len(told(log)) == prunes
    assert leaves(log) == [0, *range(KEY, SIZE + prunes)]
    assert summed(log) == SUMS
    report = log.verify()
    assert report.findings == ()
    assert report.checked == len(leaves(log))
    assert log.verify(columns=False).intact


@EACH
class TestOnce:
    """One prune, from its beginning to its end."""

    def test_what_goes(self, log: Log) -> None:
        """A preview changes nothing; then just that goes, and the log says so."""
        preview = cut(log, execute=False)
        assert leaves(log) == [*range(SIZE)]
        assert (preview.first, preview.last) == (0, OLD)
        assert (preview.events, preview.kept, preview.rows) == (OLD, 1, SUMS)
        assert (preview.executed, preview.held_by) == (False, None)
        steps: list[Progress] = []
        assert cut(log, on_progress=steps.append) == replace(preview, executed=True)
        assert [(step.phase, step.done, step.total) for step in steps] == [("prune", KEY, KEY)]
        (details,) = told(log)
        assert (details["first"], details["last"], details["rows"]) == (0, OLD, SUMS)
        with reading(log.system.databases.control, "control database") as connection:
            assert head.state(connection).minimum == KEY
        check_pruned(log)

    def test_nothing_more(self, log: Log) -> None:
        """A second prune finds nothing to do and tells nothing."""
        cut(log)
        again = cut(log)
        assert (again.first, again.last, again.events, again.kept, again.rows) == (KEY, None, 0, 0, {})
        check_pruned(log)

    def test_a_later_one(self, log: Log) -> None:
        """Whole tiles go; the next prune goes on where the last one ended."""
        cut(log, before=sealedlog.NOW - YEAR + dt.timedelta(seconds=350))
        cut(log)
        assert [(details["first"], details["last"]) for details in told(log)] == [(0, 255), (256, OLD)]
        check_pruned(log, prunes=2)

    def test_a_tile_that_ends_with_a_key(self, world: World) -> None:
        """What stays for ever keeps no tile: the others go from around it."""
        log = grown(world, OLD - 1)
        done = cut(log)
        assert (done.last, done.events, done.kept) == (OLD, OLD - 1, 2)
        assert leaves(log) == [0, OLD, *range(KEY, SIZE)]
        assert log.verify().findings == ()

    def test_an_event_that_waits(self, log: Log) -> None:
        """An event that has no leaf yet never goes, however old it is."""
        (old,) = sealedlog.make(1, first=5000, age=YEAR)
        log.store(old)
        assert cut(log, execute=False).events == OLD
        cut(log)
        # The prune itself had to be sealed, and so the old one got its leaf behind the young ones.
        assert log.value(AuditLog, "id", id=old.id) == old.id

    def test_proofs(self, log: Log) -> None:
        """A proof that was made before holds for ever; of what is gone no other can be made."""
        event = log.event_at(7)
        text = str(proving.prove(log.system.databases, event))
        cut(log)
        assert proofs.parse(text).check(log.policy)["id"] == event
        with pytest.raises(UnknownName, match="pruned"):
            proving.prove(log.system.databases, event)
        kept = proving.prove(log.system.databases, log.event_at(KEY + 5))
        assert kept.check(log.policy)["id"] == log.event_at(KEY + 5)

    def test_tiles_stay(self, log: Log) -> None:
        """The hashes of what is gone stay: all that was signed can be checked again."""
        query = sa.select(AuditTile.hashes).where(AuditTile.level == 0).order_by(AuditTile.number)
        before = b"".join(row.hashes for row in log.rows(query))
        cut(log)
        after = b"".join(row.hashes for row in log.rows(query))
        assert after.startswith(before)
        assert len(after) == (SIZE + 1) * 32


@TWO
class TestRefused:
    """What is not pruned."""

    def test_what_is_young(self, log: Log) -> None:
        """Until the horizon of journals and backups nothing goes."""
        now = dt.datetime.now(dt.UTC)
        for days in (0, 34):
            with pytest.raises(Refused, match="35 days"):
                cut(log, before=now - dt.timedelta(days=days))
        with pytest.raises(UsageError, match="zone"):
            cut(log, before=now.replace(tzinfo=None))
        assert cut(log, execute=False, before=now - dt.timedelta(days=36)).events == OLD

    @pytest.mark.parametrize("times", range(4))
    def test_somebody_holds_the_kill_switch(
        self, log: Log, times: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is asked before every step; what was begun is finished once it is permitted again."""
        monkeypatch.setattr(pruning, "BATCH", 100)
        left = iter(range(times))

        def permitted() -> None:
            if next(left, None) is None:
                message = "stopped"
                raise Refused(message)

        with pytest.raises(Refused, match="stopped"):
            cut(log, permitted=permitted)
        assert len(leaves(log)) >= SIZE - 100
        assert log.verify().intact
        cut(log)
        check_pruned(log)

    def test_a_preview_asks_nobody(self, log: Log) -> None:
        """Who only looks may do so while everything is stopped."""

        def never() -> None:
            raise Refused

        assert cut(log, execute=False, permitted=never).events == OLD

    @pytest.mark.parametrize("column", ["entry", "outcome"])
    def test_what_was_changed(self, log: Log, column: str) -> None:
        """An event that is not as it was sealed is evidence, and stays; nothing was told."""
        event = log.event_at(200)
        before = log.value(AuditLog, column, id=event)
        log.put(AuditLog, column, before.replace(b"1", b"2") if column == "entry" else "denied", id=event)
        for execute in (False, True):
            with pytest.raises(Tampered, match=r"leaf 200.*verify"):
                cut(log, execute=execute)
        assert leaves(log) == [*range(SIZE)]
        assert told(log) == []
        assert log.rows(sa.select(AuditPending.id)) == []

    def test_what_is_missing(self, log: Log) -> None:
        """A gap is not pruned away either."""
        log.drop(200)
        with pytest.raises(Tampered, match="missing"):
            cut(log)
        assert told(log) == []

    def test_a_prune_that_nobody_signed(self, log: Log) -> None:
        """A prune without a signed checkpoint over it destroys nothing."""
        with pytest.raises(Killed):
            cut(log, permitted=calls(2))
        assert len(told(log)) == 1
        log.do(sa.delete(AuditCheckpoint).where(AuditCheckpoint.size > SIZE))
        with pytest.raises(Refused, match="not sealed"):
            cut(log)
        assert leaves(log) == [*range(SIZE + 1)]

    @pytest.mark.parametrize("claim", ["too young", "another root", "changed"])
    def test_a_forged_prune(self, log: Log, claim: str) -> None:
        """What somebody slipped into the log is not done by the next prune."""
        details: dict[str, Any] = {"first": 0, "last": OLD, "root": root_of(log, KEY)}
        if claim == "too young":
            details |= {"last": SIZE - 1, "root": root_of(log, SIZE)}
        if claim == "another root":
            details["root"] = "00" * 32
        forged = forge(log, **details)
        if claim == "changed":
            entry = log.value(AuditLog, "entry", id=forged)
            log.put(AuditLog, "entry", entry.replace(b'"rows":{}', b'"rows":{"p delete:t":1}'), id=forged)
        with pytest.raises(Tampered, match="verify"):
            cut(log)
        assert leaves(log) == [*range(SIZE + 1)]


def calls(count: int) -> Callable[[], None]:
    """Return what is permitted so many times, before the process is killed."""
    left = iter(range(count))

    def permitted() -> None:
        if next(left, None) is None:
            raise Killed

    return permitted


def root_of(log: Log, size: int) -> str:
    """Return the root over the first leaves."""
    with reading(log.system.databases.control, "control database") as connection:
        return merkle.root(size, head.node_of(connection)).hex()


def forge(log: Log, **details: Any) -> str:
    """Slip a prune into the log past everything but the sequencer."""
    whole = {"before": events.stamp(sealedlog.NOW - YEAR / 2), "rows": {}, **details}
    note = Note(action=Action.AUDIT_PRUNE, actor="nobody", target_type="log", target_id="-", details=whole)
    event = log.system.recorder.record(note)
    log.system.sequencer.seal()
    return event.id


@TWO
class TestCrashes:
    """The process dies; the next call finishes what was told."""

    @pytest.mark.parametrize("count", range(6))
    def test_between_its_transactions(self, log: Log, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wherever it dies the log is intact, nothing is counted twice, and one leaf tells of it."""
        monkeypatch.setattr(pruning, "BATCH", 100)
        with pytest.raises(Killed):
            cut(log, permitted=calls(count))
        report = log.verify()
        assert report.findings == ()
        assert len(leaves(log)) >= SIZE - 100 * max(0, count - 2)
        assert sum(summed(log).values()) <= sum(SUMS.values())
        assert cut(log).last == OLD
        check_pruned(log)

    @pytest.mark.parametrize("place", ["record", "batch", "seal", "sealed"])
    def test_within_a_transaction(self, log: Log, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was not committed did not happen."""
        monkeypatch.setattr(pruning, "BATCH", 100)
        sequencer = log.system.sequencer
        seal = sequencer.seal

        def killed(*_: object, **__: object) -> None:
            raise Killed

        def sealed() -> None:
            seal()
            raise Killed

        with monkeypatch.context() as patch:
            if place == "record":
                patch.setattr(pruning, "store", killed)
            elif place == "batch":
                patch.setattr(head, "update", killed_at_second_batch(head.update))
            else:
                patch.setattr(sequencer, "seal", killed if place == "seal" else sealed)
            with pytest.raises(Killed):
                cut(log)
        assert log.verify().findings == ()
        assert len(leaves(log)) >= SIZE - 100
        cut(log)
        check_pruned(log)

    def test_a_preview_of_what_was_begun(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was told already is not shown once more; who finishes it says what went by his hand."""
        monkeypatch.setattr(pruning, "BATCH", 100)
        with pytest.raises(Killed):
            cut(log, permitted=calls(3))
        assert cut(log, execute=False).last is None
        done = cut(log)
        assert (done.first, done.last, done.events, done.kept) == (100, OLD, OLD - 99, 0)


def killed_at_second_batch(act: Callable[..., None]) -> Callable[..., None]:
    """Return a function that moves the log's minimum once, and then kills the process."""
    left = iter(range(1))

    def work(*arguments: object, **words: object) -> None:
        # A seal writes the state too.
        if "minimum" in words and next(left, None) is None:
            raise Killed
        act(*arguments, **words)

    return work


@TWO
class TestSteps:
    """Prunes beside others."""

    def test_sums_that_are_too_long(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        """What adds up to more than an event can hold goes in several steps; each tells its own."""
        monkeypatch.setattr(condemned, "ROOM", 45)
        preview = cut(log, execute=False)
        assert (preview.last, preview.events, preview.rows) == (OLD, OLD, SUMS)
        assert cut(log) == replace(preview, executed=True)
        assert len(told(log)) > 1
        assert {name for details in told(log) for name in details["rows"]} == set(SUMS)
        check_pruned(log, prunes=len(told(log)))

    @pytest.mark.parametrize("far", ["through", "told"])
    def test_two_at_once(self, log: Log, far: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of two that have the same plan one tells it; the other one has to look again."""
        find = condemned.find

        def slow(*arguments: Any) -> condemned.Range:
            found = find(*arguments)
            monkeypatch.setattr(condemned, "find", find)
            if far == "through":
                cut(log)
            else:
                with pytest.raises(Killed):
                    cut(log, permitted=calls(2))
            return found

        monkeypatch.setattr(condemned, "find", slow)
        with pytest.raises(Busy, match="somebody else"):
            cut(log)
        cut(log)
        check_pruned(log)


@TWO
class TestTampering:
    """Somebody prunes more than was told, or hides what was told."""

    def test_one_more(self, log: Log) -> None:
        """An entry that is missing above the last one that was told is missing."""
        cut(log)
        event = log.drop(KEY + 2)
        log.do(sa.update(AuditState).values(minimum=KEY + 3), rows=1)
        found = log.found()
        assert found.keys() == {"missing", "prune"}
        assert (found["missing"][0].leaf, found["missing"][0].event) == (KEY + 2, event)
        assert found["prune"][0].got == str(KEY + 3)

    def test_the_leaf_that_told(self, log: Log) -> None:
        """Without its leaf everything that went is missing."""
        cut(log)
        log.drop(SIZE)
        assert log.found().keys() == {"missing", "prune", "leaf", "sums"}
        assert log.verify().found >= OLD

    def test_the_sums(self, log: Log) -> None:
        """What is gone adds up to what was told, no more and no less."""
        cut(log)
        log.do(sa.update(AuditPruned).where(AuditPruned.policy == "q").values(rows=11), rows=1)
        (finding,) = log.verify().findings
        assert (finding.kind, finding.column) == ("sums", "q delete:t")
        assert (finding.expected, finding.got) == ("10", "11")

    @pytest.mark.parametrize("claim", [{"first": 5}, {"last": 400}, {"root": "00" * 32}, {"last": -1}])
    def test_what_cannot_be(self, log: Log, claim: dict[str, Any]) -> None:
        """A prune that begins elsewhere, reaches beyond itself or names another root is named."""
        event = forge(log, **{"first": 0, "last": 5, "root": root_of(log, 6), **claim})
        (finding,) = log.verify().findings
        assert (finding.kind, finding.leaf, finding.event) == ("prune", SIZE, event)

    def test_a_prune_that_waits(self, log: Log) -> None:
        """A prune that has no leaf yet covers nothing."""
        with pytest.raises(Killed):
            cut(log, permitted=calls(1))
        assert log.verify().intact
        log.drop(3)
        log.do(sa.update(AuditState).values(minimum=4), rows=1)
        assert log.found().keys() == {"missing", "prune"}


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run of four batches whose events are in the log, all of which is old enough."""
    # A log of so few events is not pruned otherwise.
    monkeypatch.setattr(condemned, "TILE", 1)
    sealedlog.begin(world)
    world.safety_events()
    world.policy()
    world.batches_of(10)
    world.events(range(40), 60)
    world.configure(operations=replace(world.settings.operations, journal_days=-1))
    made = world.start()
    assert world.finish(made)["rows"] == 40
    relay_journals()
    world.system.sequencer.seal()
    return made


def cut_all(world: World) -> Pruned:
    """Prune everything that nothing holds."""
    system = world.system
    return prune(
        system.databases,
        system.recorder,
        system.sequencer,
        before=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
        actor=worlds.ACTOR,
        execute=True,
        permitted=lambda: None,
    )


def change(world: World, *statements: Any) -> None:
    """Do something in the control database."""
    with writing(world.system.databases.control, "control database") as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount


def batches_left(world: World, run: str) -> int:
    """Return how many batches of a run the log has."""
    query = sa.select(sa.func.count()).select_from(AuditLog)
    query = query.where(AuditLog.correlation_id == run, AuditLog.action == Action.RETENTION_BATCH)
    with reading(world.system.databases.control, "control database") as connection:
        return int(connection.scalar(query) or 0)


@EACH
class TestRuns:
    """What a run did is in its journal, in the log and in the account."""

    def test_a_run_that_is_forgotten(self, world: World, run: str) -> None:
        """Once its journal is gone its events go, and every account still balances."""
        before = ledger()
        assert prune_journals() > 4
        assert account_of("p").balances
        done = cut_all(world)
        assert (done.rows, done.held_by) == ({"p delete:safety_events": 40}, None)
        assert batches_left(world, run) == 0
        assert ledger() == before == [("p", "safety_events", "delete", 40)]
        account = account_of("p")
        assert account.balances
        assert (account.journal, account.forgotten, account.log, account.reports) == (0, 40, 40, 40)
        assert [moved.rows for moved in relay_journals()] == [0]
        # The account checker's own horizon is the usual one.
        change(world, LONG_AGO)
        balance(world)
        world.events(range(100, 120), 60)
        assert world.enforce()["rows"] == 20
        account = account_of("p")
        assert account.balances
        assert (account.journal, account.forgotten, account.log) == (20, 40, 60)

    def test_a_run_whose_journal_is_there(self, world: World, run: str) -> None:
        """While the relay may compare it, nothing of a run goes; and the relay finds what it had."""
        done = cut_all(world)
        assert done.held_by is not None
        assert run in done.held_by
        assert batches_left(world, run) == 4
        offer_again(world)
        assert [moved.rows for moved in relay_journals()] == [0]
        assert account_of("p").balances

    @pytest.mark.parametrize("why", ["not ended", "an archive"])
    def test_a_run_that_is_held(self, world: World, run: str, why: str) -> None:
        """A run that has not ended, or whose archive can be restored from, stays in the log."""
        prune_journals()
        world.unbalanced = "the run was changed by hand"
        if why == "not ended":
            change(world, sa.update(Run).values(finished_at=None))
            after = sa.update(Run).values(finished_at=sealedlog.NOW)
        else:
            change(world, sa.insert(Archive).values(**archive(run)))
            after = sa.update(Archive).values(state="expired")
        held = cut_all(world)
        assert held.held_by is not None
        assert batches_left(world, run) == 4
        change(world, after)
        assert cut_all(world).held_by is None
        assert batches_left(world, run) == 0


def offer_again(world: World) -> None:
    """Take back every note of the journal, as is done for a log that was restored."""
    with writing(world.system.databases.source(world.datasource), "data source") as connection:
        journal = Journal(world.dialect)
        source, unmarked = journal.source(connection, lock=True), journal.unmark(connection)
        assert unmarked >= 4
        journal.put_source(connection, replace(source, relayed=source.relayed - unmarked))


def archive(run: str) -> dict[str, Any]:
    """Return the row of an archive that can be restored from."""
    place = {"datasource": "default", "table_name": "safety_events", "location": "-", "policy": "p"}
    times = {"created_at": sealedlog.NOW, "expires_at": sealedlog.NOW + YEAR}
    return {"id": run, "run": run, "state": "complete", **place, **times}


@on("sqlite+postgresql", SQLITE_TWO, "sqlite+mariadb")
@pytest.mark.parametrize("cut_too", [True, False])
def test_a_restored_source_has_a_forgotten_run(world: World, run: str, *, cut_too: bool) -> None:
    """Journal rows that come back after their marks went are not taken for new ones, pruned or not."""
    table = Journal(world.dialect).table
    engine = world.system.databases.source(world.datasource)
    with reading(engine, "data source") as connection:
        rows = [
            dict(row) for row in connection.execute(sa.select(table).where(table.c.run == run)).mappings()
        ]
    prune_journals()
    if cut_too:
        cut_all(world)
    left = batches_left(world, run)
    assert left == (0 if cut_too else 4)
    with writing(engine, "data source") as connection:
        connection.execute(sa.insert(table), rows)
    # The log is behind the journal: its database was restored as well.
    change(world, sa.update(Source).values(relayed=Source.relayed - 1))
    assert [moved.rows for moved in relay_journals()] == [0]
    assert batches_left(world, run) == left
    assert ledger() == [("p", "safety_events", "delete", 40)]
    with reading(world.system.databases.control, "control database") as connection:
        assert connection.scalars(sa.select(Source.state)).all() == ["ok"]
        assert connection.scalars(sa.select(RelayMark.run).where(RelayMark.run == run)).all() == []
    world.unbalanced = "the journal of a forgotten run is there again"
