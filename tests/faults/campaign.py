"""The fault campaign: a whole system under a random load and random faults, its account after each round.

    make campaign SECONDS=600 SEED=1

A round: misfortunes happen while the application and its services go on; then they stop, the system settles,
and everything is compared. All that is random comes from the seed, which is printed; the moments at which
processes meet are theirs. A round that fails prints its seed, number and misfortunes, and the files stay.
"""

import argparse
import contextlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import sqlalchemy as sa

from aegis.errors import AegisError, BudgetSpent
from api import audit, erasure, privacy
from tests import account, canary
from tests.budgetkit import check_books
from tests.campaignsite import BEATS, PERSON, RELEASES, WORKERS, Site, running
from tests.faults.misfortunes import MISFORTUNES, Misfortune, suffer
from tests.workerkit import wait_until

#: Longest wait for the system to settle; only a finding takes so long.
PATIENCE: Final = 120.0
#: Members with which a round begins, and rows of each.
MEMBERS: Final = 12


def play(site: Site, plan: Sequence[tuple[Misfortune, float]], chance: random.Random, rows: int) -> None:
    """Let the misfortunes of a round happen, and compare everything when the system has settled."""
    for _ in range(MEMBERS):
        site.born(rows)
    site.start()
    site.wait_until_ready()
    with site.busy(random.Random(chance.random()), rows):  # noqa: S311 - repeatable
        for misfortune, pause in plan:
            # The pace of what happens, and no wait for anything.
            time.sleep(pause)
            suffer(site, misfortune, chance)
            site.counts[f"fault: {misfortune.__name__}"] += 1
            site.start()
    settle(site)
    check(site)


def settle(site: Site) -> None:
    """Let everybody work until each request has ended; then let all end in peace."""
    site.meddler.calm()
    site.redis.start()
    site.postgres.start()
    site.start()
    site.wait_until_ready()
    end, sent = time.monotonic() + PATIENCE, 0.0
    while open_ := unfinished(site):
        assert time.monotonic() < end, f"these do not end: {open_}"
        if time.monotonic() > sent + 3:
            sent = time.monotonic()
            ask_again(site, open_)
            site.start()
        time.sleep(0.1)
    gone, masked = site.changed()
    wait_until(lambda: _ledger(site) == gone.total() + masked.total(), "beat tells what is gone", PATIENCE)
    for name in WORKERS:
        counted = site.processes[name].scrape()
        for metric, rows in (("aegis_rows_deleted_total", gone), ("aegis_rows_anonymized_total", masked)):
            mine = _sum(counted, metric)
            assert mine <= rows.total(), f"{name} has counted {mine} rows in {metric}, of {rows}"
            site.counts[metric] += int(mine)
    site.leave()
    assert not site.findings, site.findings


def unfinished(site: Site) -> dict[str, str]:
    """Return the requests without a row or an end, and the runs without an end: id → state."""
    requests, runs = _states(site)
    found = {one.id: "unknown" for one in site.asked if one.id not in requests}
    found |= {name: state for name, state in requests.items() if state not in {"done", "failed"}}
    return found | {f"run {name}": state for name, state in runs.items() if state != "done"}


def ask_again(site: Site, open_: dict[str, str]) -> None:
    """Send again what no worker has seen, and let go on what waits for a person."""
    for one in site.asked:
        if open_.get(one.id) == "unknown":
            site.counts["sent again"] += 1
            with contextlib.suppress(AegisError):
                one.send()
    for name, state in open_.items():
        if state in {"blocked", "quarantined"}:
            site.counts[f"resumed: {state}"] += 1
            with contextlib.suppress(AegisError):
                if name.startswith("run "):
                    privacy.resume_run(name.removeprefix("run "), PERSON.email)
                else:
                    erasure.resume_erasure(name, PERSON.email)


def check(site: Site) -> None:
    """Compare everything; nobody is at work."""
    audit.relay_journals()
    audit.seal_audit_log()
    report = audit.verify_audit_log()
    assert report.intact, report.findings
    gone, masked = site.changed()
    account.check(
        control=site.control,
        sources={"app": site.app},
        home=site.folder / "home",
        gone=gone,
        masked=masked,
        canaries=[PERSON.email.encode(), PERSON.name.encode()],
    )
    check_requests(site)
    check_releases(site)
    found = canary.search(_places(site), [PERSON])
    assert not found, found
    site.counts["rows gone"], site.counts["rows masked"] = gone.total(), masked.total()


def check_requests(site: Site) -> None:
    """Each request was done, and once."""
    requests, _ = _states(site)
    kinds = Counter(one.kind for one in site.asked)
    failed = [one.id for one in site.asked if requests[one.id] == "failed" and one.kind != "protect"]
    assert not failed, f"these failed: {failed}"
    with site.control.connect() as connection:
        notes = connection.scalar(sa.text("SELECT count(*) FROM audit_logs WHERE action = 'custom:note'"))
        runs = connection.execute(sa.text("SELECT request_id, policy FROM aegis_runs")).all()
    assert notes == kinds["note"], f"{kinds['note']} notes were asked for, {notes} stand in the log"
    assert len(runs) == len(set(runs)) == 2 * kinds["enforce"] + kinds["erase"], "runs and requests differ"
    erased = [one.member for one in site.asked if one.kind == "erase"]
    with site.app.connect() as connection:
        for table, column in (("members", "id"), ("visits", "member"), ("letters", "member")):
            query = sa.text(f"SELECT count(*) FROM {table} WHERE {column} = ANY(:erased)")  # noqa: S608
            assert connection.scalar(query, {"erased": erased}) == 0, f"{table} has rows of erased members"


def check_releases(site: Site) -> None:
    """The budget let through what it had, a release stays the same, and the books are exact."""
    check_books(cast("Any", SimpleNamespace(control=site.control)))
    released = 0
    asked = [one.id for one in site.asked if one.kind == "protect"]
    for name in asked:
        with contextlib.suppress(BudgetSpent):
            assert site.client.result(name, 0)[0] == site.client.result(name, 0)[0]
            released += 1
    assert released == min(len(asked), RELEASES), f"{released} of {len(asked)} were released"
    with site.control.connect() as connection:
        charges = connection.scalar(
            sa.text("SELECT count(*) FROM aegis_budget_charges WHERE account = :name"), {"name": "campaign"}
        )
    assert charges == released, f"{charges} charges for {released} releases"
    site.counts["releases"] = released


def _states(site: Site) -> tuple[dict[str, str], dict[str, str]]:
    with site.control.connect() as connection:
        requests = connection.execute(sa.text("SELECT request_id, state FROM aegis_requests")).all()
        runs = connection.execute(sa.text("SELECT id, state FROM aegis_runs")).all()
    return {row[0]: row[1] for row in requests}, {row[0]: row[1] for row in runs}


def _ledger(site: Site) -> float:
    return _sum(site.processes[BEATS[0]].scrape(), "aegis_ledger_rows_total")


def _sum(samples: dict[str, float], name: str) -> float:
    return sum(value for sample, value in samples.items() if sample.startswith(f"{name}{{"))


def _places(site: Site) -> list[canary.Place]:
    return [
        *canary.of_folder("logs", site.folder / "processes"),
        *canary.of_folder("home", site.folder / "home"),
        *canary.of_database("control", site.control),
        *canary.of_redis("redis", site.redis.url),
        canary.Place(name="the server's log", content=site.postgres.log.read_bytes()),
    ]


def campaign(folder: Path, seed: str, seconds: float, *, faults: int = 12, rows: int = 40) -> Counter[str]:
    """Play rounds for so long, at least one; return the figures.

    Args:
        folder: an empty one; what is in it says what happened.
        seed: everything random comes from it.
        seconds: no round begins after them.
        faults: misfortunes of a round.
        rows: visits of each member.

    """
    kinds, weights = [*MISFORTUNES], [*MISFORTUNES.values()]
    with running(folder) as site:
        end = time.monotonic() + seconds
        while not site.counts["rounds"] or time.monotonic() < end:
            number = site.counts["rounds"] + 1
            chance = random.Random(f"{seed} {number}")  # noqa: S311 - repeatable
            order = chance.choices(kinds, weights, k=faults)
            plan = [(misfortune, chance.uniform(0.1, 1.5)) for misfortune in order]
            try:
                play(site, plan, chance, rows)
            except BaseException:
                names = ", ".join(misfortune.__name__ for misfortune in order)
                print(f"seed {seed}, round {number}: {names}\nThe files are in {folder}", file=sys.stderr)  # noqa: T201
                raise
            site.counts["rounds"] += 1
        site.counts["faults"] = sum(n for name, n in site.counts.items() if name.startswith("fault: "))
        site.counts.update({f"commits cut {moment}": n for moment, n in site.meddler.commits.items()})
        return site.counts


def main() -> None:
    """Play for the seconds, and with the seed, of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000))
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="aegis-campaign-"))
    print(f"seed {chosen.seed}, {chosen.seconds:g} seconds, in {folder}", flush=True)  # noqa: T201
    figures = campaign(folder, chosen.seed, chosen.seconds)
    print(json.dumps(dict(sorted(figures.items())), indent=2))  # noqa: T201
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
