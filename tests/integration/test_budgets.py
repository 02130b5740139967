"""Budgets: nobody spends more than there is, whoever spends at the same time."""

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest

from aegis.doctor.budgets import check_budgets
from aegis.doctor.patient import Patient
from aegis.errors import BudgetSpent, Conflict, UnknownName, UsageError
from aegis.federated.accounts import DEFAULT
from aegis.federated.ledger import Charged, charge, ensure_default
from api import audit, budgets
from tests.budgetkit import at_once, check_books, check_race, check_tiny, gaussian, laplace, spend
from tests.mutants_ledger import FloatLedger, charge_unlocked
from tests.repeats import LONG
from tests.shells import Shell, empty
from tests.worlds import ACTOR, EACH_DATABASE, World, on
from worker.gauges.budgets import BudgetCollector

#: Where processes race each other; SQLite has one writer at a time whatever a ledger does.
RACED = EACH_DATABASE if LONG else EACH_DATABASE[:2]
STEP = dt.timedelta(microseconds=1)


def paid(world: World, account: str, epsilon: float, release: str, **words: Any) -> list[Charged]:
    """Spend, and return who gave what."""
    given: list[Charged] = spend(world.system, charge, account, laplace(epsilon), release=release, **words)
    return given


def gave() -> dict[str, tuple[int, int]]:
    """Return what each account has given: charges, and nano-units."""
    return {each.name: (each.charges, each.periods[-1].spent) for each in budgets.show_budgets()}


class TestRaces:
    """Many processes at the same accounts."""

    @on(*RACED)
    def test_exactly_what_is_there_goes_through(self, world: World) -> None:
        """Eight processes want 160 times a tenth of 10: a hundred of them get it, and the books say so."""
        check_race(world, charge)
        check_books(world)

    @on(*RACED)
    def test_trees_have_no_deadlock(self, world: World) -> None:
        """Down a chain, round a star and anywhere in a mixed tree: all go through that the roots let."""
        chain = ["1", *["/".join("12345678"[:length]) for length in range(2, 9)]]
        star = ["s", *[f"s/{leaf}" for leaf in range(7)]]
        mixed = ["m", "m/a", "m/b", "m/a/a", "m/a/b", "m/b/a", "m/a/a/a", "m/b/a/a"]
        for tree in (chain, star, mixed):
            budgets.create_budget(tree[0], epsilon=2.0)
            for name in tree[1:]:
                budgets.create_budget(name, parent=name.rpartition("/")[0], unlimited=True)
        assert at_once(world, charge, [*chain, *star, *mixed], tries=12) == 60
        for root in "1sm":
            found = budgets.show_budgets(root)[0]
            assert (found.charges, found.periods[0].left) == (20, 0)
        check_books(world)

    @on(*RACED[1:])
    def test_without_the_lock_too_much_goes_through(self, world: World) -> None:
        """The check of the race catches a ledger that looks, and writes afterwards."""
        with pytest.raises(AssertionError, match="went through"):
            check_race(world, charge_unlocked)

    @on("sqlite-one")
    def test_nothing_is_too_small_to_count(self, world: World) -> None:
        """Whole numbers lose nothing; the same check catches a ledger of floats."""
        check_tiny(world, charge)
        check_books(world)
        with pytest.raises(AssertionError, match="went through"):
            check_tiny(world, FloatLedger().charge)


@on(*EACH_DATABASE)
class TestCharging:
    """One account and those above it."""

    def test_a_window_begins_anew_and_the_lifetime_does_not(self, world: World) -> None:
        """To the microsecond, counted from when the account was made; no clock that goes back changes it."""
        made = budgets.create_budget("a", epsilon=1.0, window_days=30, lifetime_epsilon=2.5)
        end = made.created_at + dt.timedelta(days=30)
        assert made.periods[0].ends_at == end
        paid(world, "a", 1.0, "1", moment=end - STEP)
        with pytest.raises(
            BudgetSpent, match=r"budget a has 0\.00 left, this release needs 0\.10; .*anew at"
        ):
            paid(world, "a", 0.1, "2", moment=end - STEP)
        paid(world, "a", 1.0, "2", moment=end)
        with pytest.raises(BudgetSpent, match="anew at"):
            paid(world, "a", 0.1, "3", moment=end - STEP)
        later = end + dt.timedelta(days=60)
        with pytest.raises(BudgetSpent, match=r"has 0\.50 left, this release needs 0\.500000001; .*lifetime"):
            paid(world, "a", 0.500000001, "3", moment=later)
        (last,) = paid(world, "a", 0.5, "3", moment=later)
        assert (last.charged, last.spent, last.limit, last.remaining) == (
            500000000,
            2500000000,
            2500000000,
            0.0,
        )
        with pytest.raises(BudgetSpent, match="lifetime"):
            paid(world, "a", 1e-9, "4", moment=later + dt.timedelta(days=3650))
        check_books(world)

    def test_everybody_above_gives_or_nobody(self, world: World) -> None:
        """Each in its own composition; where one has too little, or no price, nothing is written at all."""
        zcdp: dict[str, Any] = {"composition": "zcdp", "delta": 1e-6}
        budgets.create_budget("top", epsilon=1.0, **zcdp)
        budgets.create_budget("top/rdp", parent="top", epsilon=3.0, composition="rdp", order=16, delta=1e-6)
        budgets.create_budget("top/rdp/pure", parent="top/rdp", epsilon=1.0)
        given = paid(world, "top/rdp/pure", 0.1, "1")
        assert [(each.account, each.charged) for each in given] == [
            ("top/rdp/pure", 100_000_000),
            ("top/rdp", 58_664_510),
            ("top", 5_000_000),
        ]
        both = (laplace(0.1), gaussian(10.0))
        given = spend(world.system, charge, "top/rdp", *both, release="2")
        assert [each.charged for each in given] == [58_664_510 + 80_000_000, 10_000_000]
        before = gave()
        with pytest.raises(
            BudgetSpent, match=r"budget top, which is above top/rdp, has 0\.002.* of rho left"
        ):
            spend(world.system, charge, "top/rdp", gaussian(9.0), release="3")
        with pytest.raises(UsageError, match=r"budget top/rdp/pure: gaussian noise has no pure epsilon"):
            spend(world.system, charge, "top/rdp/pure", gaussian(1000.0), release="3")
        with pytest.raises(Conflict, match="charged for this release already"):
            paid(world, "top/rdp", 0.01, "2")
        with pytest.raises(UnknownName, match="aegis federated budget create nowhere"):
            paid(world, "nowhere", 0.01, "1")
        assert gave() == before
        # The same id may be another release's of another account.
        paid(world, "top", 0.001, "1")
        check_books(world)

    def test_the_default_counts_without_a_limit(self, world: World) -> None:
        """It is made on first use, by whoever is first, and can be given a limit afterwards."""
        for release in ("1", "2"):
            with world.system.databases.control.begin() as connection:
                ensure_default(connection)
            (given,) = paid(world, DEFAULT, 3.0, release)
            assert (given.limit, given.remaining) == (None, None)
        budgets.set_budget(DEFAULT, epsilon=5.0, actor=ACTOR)
        with pytest.raises(BudgetSpent, match=r"has 0\.00 left"):
            paid(world, DEFAULT, 0.1, "3")
        (event,) = audit.get_audit_events(action="budget:set")
        assert event["details"] == {"lifetime_limit": 5_000_000_000, "lifetime_limit_before": None}
        check_books(world)


@on("sqlite-one")
class TestAccounts:
    """Opening them, and what is said of them."""

    def test_the_same_again_is_the_same(self, world: World) -> None:
        """Once made, once recorded; other terms are refused, and a parent is never exchanged."""
        words: dict[str, Any] = {"epsilon": 2.0, "composition": "zcdp", "delta": 1e-6, "window_days": 7}
        made = budgets.create_budget("a", **words, actor=ACTOR)
        assert budgets.create_budget("a", **words) == made
        for other in ({"epsilon": 3.0}, {"delta": 1e-7}, {"window_days": 8}, {"lifetime_epsilon": 9.0}):
            with pytest.raises(Conflict, match="aegis federated budget set a"):
                budgets.create_budget("a", **words | other)
        budgets.create_budget("b", **words)
        with pytest.raises(Conflict, match="parent"):
            budgets.create_budget("b", **words, parent="a")
        events = audit.get_audit_events(action="budget:create")
        assert [(event["target_id"], event["actor"]) for event in events] == [("b", "system"), ("a", ACTOR)]
        assert events[1]["details"] == {
            "composition": "zcdp",
            "delta": "1e-06",
            "window_days": 7,
            "window_limit": made.periods[0].limit,
            "parent": None,
            "rdp_order": None,
            "lifetime_limit": None,
        }
        assert world.layout

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ({"epsilon": 0.0}, "epsilon of a budget must be a finite number above 0"),
            ({"epsilon": float("nan")}, "finite"),
            ({"epsilon": "1"}, "finite"),
            ({"epsilon": 1e-10}, "nothing could be spent"),
            ({}, "give the budget a limit"),
            ({"epsilon": 1.0, "unlimited": True}, "one of the two"),
            ({"epsilon": 1.0, "lifetime_epsilon": 2.0}, "lifetime already: give one limit"),
            ({"epsilon": 1.0, "delta": 1e-6}, "a pure budget has no delta"),
            ({"epsilon": 1.0, "composition": "zcdp"}, "needs the delta"),
            ({"epsilon": 1.0, "composition": "zcdp", "delta": 1.0}, "below 1"),
            ({"epsilon": 1.0, "composition": "rdp", "delta": 1e-6}, "rdp needs its order"),
            ({"epsilon": 1.0, "composition": "rdp", "delta": 1e-6, "order": 4}, "the order above 14.8"),
            ({"epsilon": 1.0, "order": 4}, "an order belongs to the composition rdp"),
            ({"epsilon": 1.0, "composition": "pld"}, "composition must be one of"),
            ({"epsilon": 1.0, "window_days": 0}, "a whole number of days"),
            ({"epsilon": 1.0, "parent": "nobody"}, "there is no budget nobody"),
            ({"epsilon": 1.0, "parent": "x"}, "above itself"),
            ({"name": "jane@example.com", "epsilon": 1.0}, "letters, digits"),
            ({"parent": "pure", "epsilon": 1.0, "composition": "zcdp", "delta": 1e-6}, "everything below it"),
            ({"parent": "1/2/3/4/5/6/7/8", "epsilon": 1.0}, "more than 7 others above it"),
        ],
    )
    @pytest.mark.usefixtures("world")
    def test_what_cannot_be_meant(self, words: dict[str, Any], said: str) -> None:
        """It is refused with its reason, and nothing is made."""
        budgets.create_budget("pure", epsilon=1.0)
        for depth in range(1, 9) if "1/2" in str(words) else ():
            name = "/".join("12345678"[:depth])
            budgets.create_budget(name, parent=name.rpartition("/")[0] or None, unlimited=True)
        before = gave()
        with pytest.raises(UsageError, match=said):
            budgets.create_budget(**{"name": "x", **words})
        assert gave() == before

    def test_a_tree_that_was_bent_by_hand_is_refused(self, world: World) -> None:
        """A circle, written by SQL, ends in an error and not in an endless walk."""
        budgets.create_budget("a", unlimited=True)
        budgets.create_budget("b", parent="a", unlimited=True)
        with world.control.begin() as connection:
            connection.execute(sa.text("UPDATE aegis_budget_accounts SET parent = 'b' WHERE name = 'a'"))
        with pytest.raises(Exception, match="changed by another hand"):
            paid(world, "a", 0.1, "1")

    def test_the_doctor_and_the_metrics_tell(self, world: World) -> None:
        """Above four fifths the doctor has a note; the metrics have what is spent, as epsilon."""
        budgets.create_budget("a", epsilon=1.0, window_days=30)
        budgets.create_budget("a/z", parent="a", epsilon=2.0)
        paid(world, "a/z", 0.8, "1")
        patient = Patient(system=world.system, control_ready=True)
        assert [found.verdict for found in check_budgets(patient)] == ["ok"]
        paid(world, "a/z", 0.01, "2")
        (found,) = check_budgets(patient)
        assert (found.verdict, found.text[:41]) == ("note", "81% of budget a is spent in its window: w")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(BudgetCollector(budgets.show_budgets))
        shown = generate_latest(registry).decode()
        for line in (
            'aegis_dp_epsilon_spent{account="a",period="window"} 0.81',
            'aegis_dp_epsilon_limit{account="a",period="window"} 1.0',
            'aegis_dp_epsilon_spent{account="a/z",period="lifetime"} 0.81',
            'aegis_dp_epsilon_limit{account="a/z",period="lifetime"} 2.0',
        ):
            assert line in shown.splitlines()
        assert 'aegis_dp_epsilon_limit{account="a",period="lifetime"}' not in shown


def test_budgets_on_the_command_line(shell: Shell) -> None:
    """Made, shown with a bar, changed, refused; programs get the same as JSON."""
    create = ("federated", "budget", "create")
    assert "There is no budget" in shell("federated", "budget", "show").out
    made = shell(*create, "acme", "--epsilon", "2", "--days", "30", "--actor", "me")
    assert (made.code, "begins anew" in made.out) == (0, True)
    zcdp = ("--composition", "zcdp", "--delta", "1e-6", "--actor", "me")
    refused = shell(*create, "acme/usage", "--epsilon", "1", "--parent", "acme", *zcdp)
    assert (refused.code, "make acme/usage pure" in refused.refusal) == (2, True)
    assert shell(*create, "usage", "--epsilon", "1", *zcdp).code == 0
    assert shell("federated", "budget", "set", "acme", "--epsilon", "3", "--actor", "me").code == 0
    listed = shell("federated", "budget", "show").out.splitlines()
    assert [line.split()[:2] for line in listed[1:4]] == [
        ["acme", "epsilon"],
        ["lifetime", "0"],
        ["usage", "rho,"],
    ]
    assert "░░░ 0%" in listed[1]
    (acme, usage) = shell("federated", "budget", "show", "--json").document
    assert acme["periods"]["window"]["limit"] == 3_000_000_000
    assert (usage["unit"], usage["periods"]["lifetime"]["left"]) == ("rho", 17_468_904)


@pytest.fixture
def shell(tmp_path: Any) -> Shell:
    """A folder with nothing in it but settings."""
    made = empty(tmp_path)
    made.configure()
    return made
