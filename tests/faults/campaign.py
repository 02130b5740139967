"""The fault campaign: a whole system under a random load and random faults, its account after each round.

    make campaign SECONDS=600 SEED=1

A round: misfortunes happen while the application, its services and its people go on; then they stop, the
system settles, and everything is compared. All that is random comes from the seed, which is printed; the
moments at which processes meet are theirs. A round that fails prints its seed, number and misfortunes, and
the files stay.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from aegis.errors import AegisError
from api import erasure, privacy
from tests import campaignload as load
from tests.campaignsite import BEATS, PATIENCE, WORKERS, Site, running
from tests.campaigntables import ASKER
from tests.faults import campaignchecks as checks
from tests.faults.misfortunes import AT_A_COMMIT, MISFORTUNES, Misfortune, suffer
from tests.workerkit import wait_until

#: Members with which a round begins.
MEMBERS: Final = 12
#: Rounds of one system; the checks read all that it has done since it began.
ROUNDS: Final = 6


def play(site: Site, plan: Sequence[tuple[Misfortune, float]], chance: random.Random, rows: int) -> None:
    """Let the misfortunes of a round happen, and compare everything when the system has settled."""
    for _ in range(MEMBERS):
        load.born(site, rows)
    site.start()
    site.wait_until_ready()
    with load.busy(site, random.Random(chance.random()), rows):  # noqa: S311 - repeatable
        for misfortune, pause in plan:
            # The pace of what happens, and no wait for anything.
            time.sleep(pause)
            suffer(site, misfortune, chance)
            site.start()
    settle(site)
    checks.check(site)


def settle(site: Site) -> None:
    """Let everybody work until each request has ended; then let all end in peace."""
    site.calm()
    site.redis.start()
    site.postgres.start()
    site.start()
    site.wait_until_ready()
    load.let_go(site)
    for undo in (load.release, lambda: load.hours(closed=False)):
        _at_last(undo)
    end, sent = time.monotonic() + PATIENCE, 0.0
    while open_ := unfinished(site):
        assert time.monotonic() < end, f"these do not end: {open_}"
        if time.monotonic() > sent + 3:
            sent = time.monotonic()
            ask_again(site, open_)
            site.start()
        time.sleep(0.1)
    load.replay_all(site)
    gone, masked = checks.changed(site)
    wait_until(lambda: _ledger(site) == gone.total() + masked.total(), "beat tells what is gone", PATIENCE)
    # They began with this round.
    checks.check_counters(
        [site.processes[name].scrape() for name in WORKERS],
        {
            "deleted": gone.total() - site.counts["rows deleted"],
            "anonymized": masked.total() - site.counts["rows anonymized"],
        },
    )
    site.leave()
    assert not site.findings, site.findings


def _at_last(undo: Callable[[], None]) -> None:
    """Do something as soon as it can be done: the databases have only just come back."""

    def done() -> bool:
        with contextlib.suppress(AegisError):
            undo()
            return True
        return False

    wait_until(done, "holds and hours are as they were")


def unfinished(site: Site) -> dict[str, str]:
    """Return the requests without a row or an end, and the runs without an end: id → state."""
    requests = checks.states(site, "aegis_requests", "request_id")
    runs = checks.states(site, "aegis_runs", "id")
    found = {one.id: "unknown" for one in site.asked if one.id not in requests}
    found |= {name: state for name, state in requests.items() if state not in {"done", "failed"}}
    return found | {f"run {name}": state for name, state in runs.items() if state != "done"}


def ask_again(site: Site, open_: dict[str, str]) -> None:
    """Send again what no worker has seen, and aggregates; let go on what waits for a person."""
    for one in site.asked:
        if open_.get(one.id) == "unknown" or (one.id in open_ and one.kind == "protect"):
            site.counts["sent again"] += 1
            with contextlib.suppress(AegisError):
                one.send()
    for name, state in open_.items():
        if state in {"blocked", "quarantined"}:
            site.counts[f"resumed: {state}"] += 1
            print(f"{name} is {state}: {checks.reason(site, name)}", flush=True)  # noqa: T201
            with contextlib.suppress(AegisError):
                if name.startswith("run "):
                    privacy.resume_run(name.removeprefix("run "), ASKER.email)
                else:
                    erasure.resume_erasure(name, ASKER.email)


def _ledger(site: Site) -> float:
    return checks.total(site.processes[BEATS[0]].scrape(), "aegis_ledger_rows_total")


def campaign(folder: Path, seed: str, seconds: float, *, faults: int = 160, rows: int = 40) -> Counter[str]:
    """Play rounds for so long, at least one; return the figures.

    Args:
        folder: an empty one; what is in it says what happened.
        seed: everything random comes from it.
        seconds: no round begins after them.
        faults: misfortunes of a round.
        rows: visits of each member.

    """
    end, figures, number = time.monotonic() + seconds, Counter[str](), 0
    while not number or time.monotonic() < end:
        place = folder / f"{number // ROUNDS}"
        place.mkdir()
        with running(place) as site:
            for _ in range(ROUNDS):
                number += 1
                one_round(site, seed, number, faults, rows)
                if time.monotonic() >= end:
                    break
        figures += site.counts
        shutil.rmtree(place)
    figures["rounds"], figures["faults"] = number, faults_in(figures)
    return figures


def faults_in(counts: Counter[str]) -> int:
    """Return how many faults happened."""
    return sum(n for name, n in counts.items() if name.startswith("fault: "))


def one_round(site: Site, seed: str, number: int, faults: int, rows: int) -> None:
    """Play a round, and say what it was if it fails."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - repeatable
    order = chance.choices([*MISFORTUNES], [*MISFORTUNES.values()], k=faults)
    plan = [(misfortune, chance.uniform(0.1, 0.8)) for misfortune in order]
    begun, before = time.monotonic(), faults_in(site.counts)
    try:
        play(site, plan, chance, rows)
    except BaseException:
        names = ", ".join(misfortune.__name__ for misfortune in order)
        print(f"seed {seed}, round {number}: {names}\nThe files are in {site.folder}", file=sys.stderr)  # noqa: T201
        raise
    for misfortune, when in AT_A_COMMIT.items():
        site.counts[f"fault: {misfortune.__name__}"] = site.meddler.commits[when]
    took, faults = time.monotonic() - begun, faults_in(site.counts) - before
    print(f"round {number}: {faults} faults in {took:.0f} s, {len(site.asked)} requests by now", flush=True)  # noqa: T201


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
