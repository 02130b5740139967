"""Budgets in the tests: spends, processes that spend at the same time, and a check of the books.

Each check takes what charges as an argument, so that the same check can be seen to catch a ledger that is
wrong: `tests.mutants_ledger`.
"""

import datetime as dt
import json
import math
import multiprocessing.queues
import multiprocessing.synchronize
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import writing
from aegis.errors import BudgetSpent
from aegis.federated.composition import Spend, cost
from aegis.operations.system import System
from aegis.settings import Settings
from api import budgets
from tests.forks import forking
from tests.worlds import World

#: As `aegis.federated.ledger.charge` is.
Charge = Callable[..., Any]
PROCESSES: Final = 8
#: Only a failing test waits this long.
PATIENCE: Final = 60.0


def laplace(epsilon: float) -> Spend:
    """Return what Laplace noise of this epsilon costs, drawn a little wider than it has to be."""
    noise = math.nextafter(1 / epsilon, math.inf)
    return Spend(mechanism="laplace", epsilon=epsilon, delta=None, noise=noise)


def gaussian(noise: float) -> Spend:
    """Return Gaussian noise of so many sensitivities."""
    return Spend(mechanism="gaussian", epsilon=1.0, delta=1e-6, noise=noise)


def spend(
    system: System,
    charge: Charge,
    account: str,
    *spends: Spend,
    release: str,
    moment: dt.datetime | None = None,
) -> Any:
    """Charge in a transaction of its own; by the database's clock, unless there is another moment."""
    with writing(system.databases.control, "control database") as connection:
        at = moment or dialects.now(connection)
        return charge(connection, account, spends, release=release, moment=at)


def work(  # noqa: PLR0917 - what a process is given
    settings: Settings,
    charge: Charge,
    accounts: Sequence[str],
    tries: int,
    number: int,
    together: multiprocessing.synchronize.Barrier,
    told: "multiprocessing.queues.Queue[tuple[int, str]]",
) -> None:
    """Try to spend a tenth again and again; tell how often it went through, and what went wrong."""
    system, went, wrong = System(settings), 0, ""
    try:
        with system.databases.control.connect():
            together.wait(PATIENCE)
        for turn in range(tries):
            account = accounts[(number * tries + turn) % len(accounts)]
            try:
                spend(system, charge, account, laplace(0.1), release=f"{number}-{turn}")
                went += 1
            except BudgetSpent:
                continue
    except Exception as error:  # noqa: BLE001 - the test tells of it
        wrong = f"{type(error).__name__}: {error}"
    finally:
        system.close()
    told.put((went, wrong))


def at_once(world: World, charge: Charge, accounts: Sequence[str], *, tries: int) -> int:
    """Return how many spends of a tenth went through, of eight processes that begin together."""
    context = forking()
    together, told = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=work, args=(world.settings, charge, accounts, tries, number, together, told))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    ends = [told.get(timeout=2 * PATIENCE) for _ in processes]
    for process in processes:
        process.join()
    assert [wrong for _, wrong in ends if wrong] == []
    return sum(went for went, _ in ends)


def check_race(world: World, charge: Charge) -> None:
    """Of 160 tries for a tenth of 10, by eight processes, exactly 100 go through."""
    budgets.create_budget("hot", epsilon=10.0)
    went = at_once(world, charge, ["hot"], tries=20)
    assert went == 100, f"{went} went through"


def check_tiny(world: World, charge: Charge) -> None:
    """Beside a spend that is 10^17 times as large, a hundred of the least there is are counted, not 101."""
    budgets.create_budget("vast", epsilon=100_000_000.0000001)
    went = 0
    for number, epsilon in enumerate([1e8, *[1e-9] * 101]):
        try:
            spend(world.system, charge, "vast", laplace(epsilon), release=f"{number}")
            went += 1
        except BudgetSpent:
            continue
    assert went == 101, f"{went} went through"


def check_books(world: World) -> None:
    """Every account is the sum of its history, to the nano-unit; its parent gave for the same releases."""
    with world.control.connect() as connection:
        accounts = connection.execute(sa.text("SELECT * FROM aegis_budget_accounts")).mappings().all()
        charges = connection.execute(sa.text("SELECT * FROM aegis_budget_charges ORDER BY number"))
        history: dict[str, list[Any]] = defaultdict(list)
        for charge in charges.mappings():
            history[charge["account"]].append(charge)
    releases = {
        name: {(charge["charged_to"], charge["release_id"]) for charge in found}
        for name, found in history.items()
    }
    for account in accounts:
        mine = history[account["name"]]
        assert [charge["number"] for charge in mine] == list(range(1, account["charges"] + 1))
        assert sum(charge["charged"] for charge in mine) == account["spent"]
        newest = [c["charged"] for c in mine if c["window_number"] == account["window_number"]]
        assert sum(newest) == account["window_spent"]
        for charge in mine:
            drawn = [Spend(**fields) for fields in json.loads(charge["spends"])]
            kind, order = account["composition"], account["rdp_order"]
            assert charge["charged"] == sum(cost(kind, order, each) for each in drawn)
        if account["parent"] is not None:
            assert releases.get(account["name"], set()) <= releases.get(account["parent"], set())
