"""A short fault campaign, and that each of its checks can fail; the long one is `make campaign`."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.errors import AegisError
from aegis.operations.system import current, use
from aegis.settings import load_settings
from tests import campaignload as load
from tests.campaignsite import Held, Site, disk_of, running
from tests.campaigntables import PERSON
from tests.faults import campaignchecks as checks
from tests.faults.campaign import faults_in, one_round, unfinished


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return the system behind a round, with nobody at work."""
    folder = tmp_path_factory.mktemp("campaign")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AEGIS_CONFIG", str(folder / "aegis.toml"))
        with running(folder) as prepared:
            one_round(prepared, "1", 1, faults=6, rows=20)
            yield prepared


@pytest.fixture
def site(played: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return it as this process's own."""
    monkeypatch.setenv("AEGIS_CONFIG", str(played.folder / "aegis.toml"))
    use(load_settings())
    yield played
    current().close()


@pytest.mark.timeout(400)
def test_a_round_of_faults(site: Site) -> None:
    """A whole system goes through a handful of faults under load; nothing is lost, and nothing done twice."""
    assert faults_in(site.counts) > 0
    assert site.counts["rows deleted"] > 0
    assert site.counts["leaves exported"] > 0
    assert site.shim, (
        "no C compiler (cc): no clock is moved and no disk is full in a campaign on this machine"
    )


@contextlib.contextmanager
def without(engine: sa.Engine, table: str, where: str) -> Iterator[None]:
    """Let a row be missing while the block runs."""
    known, row = _row(engine, table, where)
    mine = sa.and_(*(known.c[column.name] == row[column.name] for column in known.primary_key))
    with engine.begin() as connection:
        connection.execute(sa.delete(known).where(mine))
    yield
    with engine.begin() as connection:
        connection.execute(sa.insert(known).values(row))


@contextlib.contextmanager
def twice(engine: sa.Engine, table: str, where: str) -> Iterator[None]:
    """Let a row be there under another id as well while the block runs."""
    known, row = _row(engine, table, where)
    with engine.begin() as connection:
        connection.execute(sa.insert(known).values(row | {"id": "another"}))
    yield
    with engine.begin() as connection:
        connection.execute(sa.delete(known).where(known.c.id == "another"))


def _row(engine: sa.Engine, table: str, where: str) -> tuple[sa.Table, dict[str, Any]]:
    known = sa.Table(table, sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(known).where(sa.text(where)).limit(1)).mappings()
        return known, dict(rows.one())


@contextlib.contextmanager
def told(engine: sa.Engine, do: str, undo: str) -> Iterator[None]:
    """Let a statement have been executed while the block runs."""
    with engine.begin() as connection:
        assert connection.execute(sa.text(do)).rowcount > 0
    yield
    with engine.begin() as connection:
        connection.execute(sa.text(undo))


@contextlib.contextmanager
def unarchived(engine: sa.Engine) -> Iterator[None]:
    """Let a run have removed a row more, and be of a policy with an archive, while the block runs."""
    with engine.connect() as connection:
        query = "SELECT id, policy FROM aegis_runs WHERE state = 'done' AND policy IS NOT NULL LIMIT 1"
        run = connection.execute(sa.text(query)).mappings().one()
    change = sa.text("UPDATE aegis_runs SET policy = :policy, rows = rows + :more WHERE id = :id")
    with engine.begin() as connection:
        connection.execute(change, {**run, "policy": "orders_30", "more": 1})
    yield
    with engine.begin() as connection:
        connection.execute(change, {**run, "more": -1})


@contextlib.contextmanager
def written(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Let a file have another content while the block runs."""
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(change(before or b""))
    yield
    path.unlink() if before is None else path.write_bytes(before)


def _cut_out(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    events = [number for number, line in enumerate(lines) if line.startswith(b'{"leaf":')]
    del lines[events[len(events) // 2]]
    return b"".join(lines)


#: What is false → how it is made so, and the check that has to find it.
WRONGS: Final[dict[str, tuple[Callable[[Site], AbstractContextManager[None]], Callable[[Site], Any]]]] = {
    "a row went and no journal tells": (
        lambda site: without(site.sources["app"], "notes", "TRUE"),
        lambda site: checks.check_account(site, *checks.changed(site)),
    ),
    "an event is lost": (
        lambda site: without(site.control, "audit_logs", "action = 'custom:note'"),
        lambda site: checks.check_account(site, *checks.changed(site)),
    ),
    "the ledger has a row too many": (
        lambda site: told(
            site.control,
            "UPDATE aegis_ledger SET rows = rows + 1 WHERE action = 'delete'",
            "UPDATE aegis_ledger SET rows = rows - 1 WHERE action = 'delete'",
        ),
        lambda site: checks.check_account(site, *checks.changed(site)),
    ),
    "a row went before its time": (
        lambda site: without(
            site.sources["app"],
            "visits",
            "created_at > now() - interval '20 days' AND member IN (SELECT id FROM members)",
        ),
        checks.check_cutoffs,
    ),
    "a row was masked before its time": (
        lambda site: told(
            site.sources["app"],
            "UPDATE probes SET body = 'x' || body WHERE created_at > now() - interval '20 days'",
            "UPDATE probes SET body = substr(body, 2) WHERE created_at > now() - interval '20 days'",
        ),
        checks.check_cutoffs,
    ),
    "a request failed": (
        lambda site: told(
            site.control,
            "UPDATE aegis_requests SET state = 'failed' WHERE request_id LIKE 'note-%'",
            "UPDATE aegis_requests SET state = 'done' WHERE request_id LIKE 'note-%'",
        ),
        checks.check_requests,
    ),
    "a request was done twice": (
        lambda site: twice(site.control, "aegis_runs", "origin = 'task'"),
        checks.check_runs,
    ),
    "somebody erased is there": (
        lambda site: told(
            site.sources["app"],
            "INSERT INTO members SELECT min(member) FROM births WHERE table_name = 'members' "
            "AND member NOT IN (SELECT id FROM members)",
            "DELETE FROM members WHERE email IS NULL",
        ),
        checks.check_erased,
    ),
    "somebody is gone for whom nobody asked": (
        lambda site: told(
            site.sources["app"],
            "INSERT INTO births VALUES ('members', 0, TRUE, 1)",
            "DELETE FROM births WHERE member = 0",
        ),
        checks.check_erased,
    ),
    "a budget was spent and the books do not say it": (
        lambda site: told(
            site.control,
            "UPDATE aegis_budget_accounts SET spent = spent - 1",
            "UPDATE aegis_budget_accounts SET spent = spent + 1",
        ),
        checks.check_releases,
    ),
    "a release was not charged": (
        lambda site: without(site.control, "aegis_budget_charges", "account = 'campaign'"),
        checks.check_releases,
    ),
    "a row went and stands in no archive": (
        lambda site: unarchived(site.control),
        checks.check_archives,
    ),
    "an export has a gap": (
        lambda site: written(disk_of(site.folder) / "audit.jsonl", _cut_out),
        checks.check_exports,
    ),
    "a log names a person": (
        lambda site: written(site.folder / "processes" / "said", lambda _: PERSON.name.encode()),
        checks.check_silence,
    ),
    "an export names a person": (
        lambda site: written(disk_of(site.folder) / "said", lambda _: PERSON.email.encode()),
        checks.check_silence,
    ),
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("wrong", [*WRONGS])
def test_what_is_wrong_is_found(site: Site, wrong: str) -> None:
    """Each check passes, fails as soon as what it looks for is so, and passes again behind it."""
    make, check = WRONGS[wrong]
    site.archived.clear()
    check(site)
    site.archived.clear()
    with make(site), pytest.raises((AssertionError, AegisError)):
        check(site)
    site.archived.clear()
    check(site)


def test_what_stays_open_is_seen(site: Site) -> None:
    """A request that never ends keeps a round from its end."""
    assert not unfinished(site)
    with told(
        site.control,
        "UPDATE aegis_requests SET state = 'running' WHERE request_id LIKE 'note-%'",
        "UPDATE aegis_requests SET state = 'done' WHERE request_id LIKE 'note-%'",
    ):
        assert unfinished(site)


def test_a_counter_above_is_seen() -> None:
    """Workers that have together counted one row more than there are, are found."""
    samples = [{f"aegis_rows_deleted_total{{policy=p,table={name}}}": 2.0} for name in ("one", "other")]
    checks.check_counters(samples, {"deleted": 4, "anonymized": 0})
    with pytest.raises(AssertionError, match="4 rows deleted, of 3"):
        checks.check_counters(samples, {"deleted": 3, "anonymized": 0})


def test_a_change_of_what_is_held_is_seen(site: Site) -> None:
    """What is not as it was when the hold came into force is a finding."""
    seen = iter([1, 2])
    site.held = Held(kind="table", look=lambda: next(seen), seen=next(seen))
    load.let_go(site)
    assert "and yet 1 became 2" in site.findings.pop()
