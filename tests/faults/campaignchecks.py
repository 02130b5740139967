"""The account of the fault campaign: what must agree when nobody is at work.

Each check looks at the bare tables and files, and at what the campaign asked for.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Final, cast

import sqlalchemy as sa

from aegis.errors import BudgetSpent
from aegis.operations import archives
from aegis.operations.system import current, use
from aegis.settings import load_settings
from api import audit
from api import log as log_doors
from tests import account, canary
from tests import campaigntables as tables
from tests.budgetkit import check_books
from tests.campaignsite import EXPORTS, RELEASES, Site, disk_of
from tests.campaigntables import ASKER, PERSON

#: Who may stand in Redis: whoever can write to a queue can read it.
_MESSAGES: Final = {ASKER.role: "the arguments of a message, as they were sent"}


def check(site: Site) -> None:
    """Compare everything; nobody is at work."""
    audit.relay_journals()
    audit.seal_audit_log()
    report = audit.verify_audit_log()
    assert report.intact, report.findings
    gone, masked = changed(site)
    check_account(site, gone, masked)
    check_cutoffs(site)
    check_requests(site)
    check_runs(site)
    check_erased(site)
    check_releases(site)
    check_archives(site)
    check_exports(site)
    check_silence(site)
    site.counts["rows deleted"], site.counts["rows anonymized"] = gone.total(), masked.total()


def changed(site: Site) -> tuple[Counter[str], Counter[str]]:
    """Return the rows gone and the rows masked by table, in every source."""
    gone, masked = Counter[str](), Counter[str]()
    for name, engine in site.sources.items():
        here = tables.changed(engine, name)
        gone, masked = gone + here[0], masked + here[1]
    return gone, masked


def check_account(site: Site, gone: Counter[str], masked: Counter[str]) -> None:
    """Rows gone = journal = log = report = ledger, and the log has no byte of a person."""
    account.check(
        control=site.control,
        sources=site.sources,
        home=site.folder / "home",
        gone=gone,
        masked=masked,
        canaries=[text.encode() for one in (PERSON, ASKER) for text in (one.email, one.name)],
    )


def check_counters(samples: Iterable[Mapping[str, float]], rows: Mapping[str, int]) -> None:
    """All workers together have counted no more rows than went while they lived.

    Args:
        samples: a scrape of each.
        rows: those that were deleted, and anonymized, since the first of them began.

    """
    scraped = [*samples]
    for kind, real in rows.items():
        counted = int(sum(total(one, f"aegis_rows_{kind}_total") for one in scraped))
        assert counted <= real, f"the workers have counted {counted} rows {kind}, of {real}"


def total(samples: Mapping[str, float], name: str) -> float:
    """Return the sum of a metric over its labels."""
    return sum(value for sample, value in samples.items() if sample.startswith(f"{name}{{"))


def check_cutoffs(site: Site) -> None:
    """No row went, or was masked, that no policy reaches, whatever the clocks of workers said."""
    for name, engine in site.sources.items():
        found = tables.missing(engine, name)
        assert not found, f"{name}: young rows of members who were not erased are gone: {found[:10]}"


def check_requests(site: Site) -> None:
    """Each request was done, and what it asked for stands there once."""
    found = states(site, "aegis_requests", "request_id")
    failed = [one.id for one in site.asked if found[one.id] != "done" and one.kind != "protect"]
    assert not failed, f"these were not done: {failed}"
    notes = sum(one.kind == "note" for one in site.asked)
    with site.control.connect() as connection:
        written = connection.scalar(sa.text("SELECT count(*) FROM audit_logs WHERE action = 'custom:note'"))
    assert written == notes, f"{notes} notes were asked for, {written} stand in the log"


def check_runs(site: Site) -> None:
    """A request has its runs once, one for each policy or data source; an instant has one run."""
    with site.control.connect() as connection:
        query = "SELECT request_id, policy, datasource, scheduled_for, origin FROM aegis_runs"
        runs = [tuple(row) for row in connection.execute(sa.text(query))]
    tasks = Counter(run[0] for run in runs if run[4] == "task")
    asked = {
        one.id: {"enforce": 2, "erase": 1}[one.kind] for one in site.asked if one.kind in {"enforce", "erase"}
    }
    differ = {name: tasks[name] for name, wanted in asked.items() if tasks[name] != wanted}
    assert not differ, f"runs of requests, of which each has as many as policies or one: {differ}"
    # Of an erasure there is a part in the other data source, with a request of its own.
    parts = [tasks[name] for name in tasks if name not in asked]
    assert parts == [1] * sum(one.kind == "erase" for one in site.asked), f"parts of erasures: {parts}"
    distinct = [run[:4] for run in runs if run[4] in {"task", "schedule"}]
    assert len(distinct) == len(set(distinct)), "something has two runs"
    site.counts["runs"], site.counts["runs of instants"] = (
        len(runs),
        sum(run[4] == "schedule" for run in runs),
    )


def check_erased(site: Site) -> None:
    """Of whoever was erased there is no row, and whoever was not is there."""
    erased = {one.member for one in site.asked if one.kind == "erase"}
    for source, table, column in (
        ("app", "members", "id"),
        ("app", "visits", "member"),
        ("app", "letters", "member"),
        ("shop", "customers", "id"),
        ("shop", "orders", "customer"),
    ):
        with site.sources[source].connect() as connection:
            query = sa.text(f"SELECT count(*) FROM {table} WHERE {column} = ANY(:erased)")  # noqa: S608
            left = connection.scalar(query, {"erased": [*erased]})
            assert left == 0, f"{table} has {left} rows of erased members"
    with site.sources["app"].connect() as connection:
        there = {row[0] for row in connection.execute(sa.text("SELECT id FROM members"))}
        born = {
            row[0]
            for row in connection.execute(sa.text("SELECT member FROM births WHERE table_name = 'members'"))
        }
    assert there == born - erased, f"nobody asked for the erasure of {born - erased - there}"


def check_releases(site: Site) -> None:
    """The budget let through what it had, a release stays the same, and the books are exact."""
    check_books(cast("Any", SimpleNamespace(control=site.control)))
    released = 0
    asked = [one.id for one in site.asked if one.kind == "protect"]
    for name in asked:
        with contextlib.suppress(BudgetSpent):
            value = site.client.result(name, 0)[0]
            known = site.released.setdefault(name, value)
            assert value == known, f"{name} was released twice, with different noise"
            released += 1
    assert released == min(len(asked), RELEASES), f"{released} of {len(asked)} were released"
    with site.control.connect() as connection:
        charges = connection.scalar(
            sa.text("SELECT count(*) FROM aegis_budget_charges WHERE account = :name"), {"name": "campaign"}
        )
    assert charges == released, f"{charges} charges for {released} releases"
    site.counts["releases"] = released


def check_archives(site: Site) -> None:
    """Every row that a run with an archive removed stands in it, once."""
    system = current()
    with site.control.connect() as connection:
        query = (
            "SELECT id, rows FROM aegis_runs WHERE policy IN ('visits_30', 'orders_30') AND state = 'done'"
        )
        removed = {row[0]: row[1] for row in connection.execute(sa.text(query))}
    kept = {row["run"]: row for row in archives.listing(system)}
    for run, rows in removed.items():
        if run in site.archived or (run not in kept and rows == 0):
            continue
        assert run in kept, f"run {run} removed {rows} rows and has no archive"
        manifest, parts = archives.opened(system, kept[run])
        lines = [line for part in manifest["parts"] for line in parts.read(part["digest"])[1]]
        assert len(lines) == len(set(lines)) == rows, (
            f"the archive of run {run}: {len(lines)} lines, {rows} rows"
        )
        site.archived.add(run)
        site.counts["rows archived"] += len(lines)


def check_exports(site: Site) -> None:
    """Whatever the disk did, each export now has every leaf, from the first, with the bytes of the log."""
    leaves = 0
    for name in EXPORTS:
        leaves = audit.export_as_configured(name).next
    with site.control.connect() as connection:
        query = "SELECT leaf, entry FROM audit_logs JOIN aegis_audit_leaves USING (id) WHERE leaf < :n"
        log = {row[0]: bytes(row[1]) for row in connection.execute(sa.text(query), {"n": leaves})}
    assert sorted(log) == [*range(leaves)]
    lines: dict[int, bytes] = {}
    for line in (disk_of(site.folder) / "audit.jsonl").read_bytes().splitlines():
        if line.startswith(b'{"leaf":'):
            event = json.loads(line)
            entry = json.dumps(event["event"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            lines[event["leaf"]] = entry.encode()
    lacking = sorted(log.keys() - lines.keys())
    assert not lacking, f"the export as lines lacks leaves {lacking[:10]}"
    assert {leaf: lines[leaf] for leaf in log} == log, "the export as lines is not the log"
    for name in ("audit.jsonl", "tiles"):
        report = log_doors.check_export(disk_of(site.folder) / name, log_doors.trusted())
        assert report.intact, report.findings
        assert report.next == leaves, f"{name} ends at leaf {report.next} of {leaves}"
    site.counts["leaves exported"] = leaves


def check_silence(site: Site) -> None:
    """Nobody's data stands in a log of a process, in Redis, in our tables, or on the disk."""
    # Whoever closes a file of SQLite's loses the locks that his process has on it: none may be open here.
    current().close()
    redis = [
        canary.Place(name=place.name, content=place.content, by_design=_MESSAGES)
        for place in canary.of_redis("redis", site.redis.url)
    ]
    places = [
        *canary.of_folder("logs", site.folder / "processes"),
        *canary.of_folder("home", site.folder / "home"),
        *canary.of_folder("disk", disk_of(site.folder)),
        *canary.of_database("control", site.control),
        *(
            place
            for name, engine in site.sources.items()
            for place in canary.of_database(name, engine, leave_out=[*tables.FILL[name], "births"])
        ),
        *redis,
        canary.Place(name="the server's log", content=site.postgres.log.read_bytes()),
    ]
    found = canary.search(places, [PERSON, ASKER])
    assert not found, found
    use(load_settings())


def states(site: Site, table: str, key: str) -> dict[str, str]:
    """Return the state of each request, or of each run."""
    with site.control.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT {key}, state FROM {table}"))  # noqa: S608
        return {row[0]: row[1] for row in rows}


def reason(site: Site, name: str) -> str:
    """Return why a request, or a `run ID`, waits for a person."""
    words = {"id": name.removeprefix("run ")}
    queries = (
        "SELECT reason FROM aegis_runs WHERE id = :id",
        "SELECT reason FROM aegis_requests WHERE request_id = :id",
    )
    with site.control.connect() as connection:
        return str(connection.scalar(sa.text(queries[not name.startswith("run ")]), words))
