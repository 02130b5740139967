"""Releases: once for each id, within a budget, and nothing of what went in is to be found anywhere."""

import datetime as dt
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from aegis.db.tables import Release
from aegis.errors import BudgetSpent, Conflict, Expired, Tampered, TooFew, UnknownName, UsageError
from aegis.federated import mechanism
from aegis.settings import FederatedSettings
from api import federated
from api.audit import get_audit_events
from api.federated import (
    budget_history,
    create_budget,
    estimate_release,
    federated_aggregation_protect,
    show_budgets,
)
from tests.worlds import ACTOR, World, on

CONTROLS = ("sqlite-one", "postgresql-one")
#: No noise makes it of another number by chance.
SECRET = 987_654_321.125


def rows(world: World) -> list[Any]:
    """Return the rows of releases, the oldest first."""
    with world.control.begin() as connection:
        return list(connection.execute(sa.select(Release).order_by(Release.reserved_at)).mappings())


def outcomes() -> list[str]:
    """Return how the releases in the log ended, the oldest first."""
    return [event["outcome"] for event in reversed(get_audit_events(action="federated:release"))]


@on(*CONTROLS)
def test_an_id_is_released_once(world: World) -> None:
    """Asked for again it is the same bytes for one charge; on other terms it is refused; its seed is gone."""
    create_budget("ml", epsilon=1.0, window_days=30, actor=ACTOR)
    words: dict[str, Any] = {"dp_epsilon": 0.5, "budget": "ml", "idempotency_key": "round-1"}
    value = {"loss": SECRET, "rows": 1200, "round": "7", "weights": np.ones((2, 3), np.float32)}
    first = federated_aggregation_protect(value, 12, public_fields=["round"], **words)
    again, report = federated_aggregation_protect(
        value, 12, public_fields=["round"], return_report=True, **words
    )
    assert list(first) == list(again)
    assert (first["loss"], first["rows"], first["round"]) == (again["loss"], again["rows"], "7")
    assert isinstance(first["rows"], int)
    assert first["weights"].dtype == np.float32
    np.testing.assert_array_equal(first["weights"], again["weights"])
    assert first["loss"] != SECRET
    assert report["remaining"] == 0.5
    assert report["sensitivity_is"] == "declared"
    # What was released stays so, whatever somebody calls it by later.
    other = federated_aggregation_protect({**value, "loss": 1.0}, 12, public_fields=["round"], **words)
    assert other["loss"] == first["loss"]
    with pytest.raises(Conflict, match="on other terms"):
        federated_aggregation_protect(value, 12, public_fields=["round"], **words, dp_sensitivity=2.0)
    (row,) = rows(world)
    assert (row["state"], row["seed_sealed"], row["value_digest"]) == ("released", None, None)
    (budget,) = show_budgets("ml")
    assert budget.tightest.spent == 500_000_000
    assert outcomes() == ["intent", "success"]
    assert world.unbalanced is None


@on("sqlite-one")
def test_too_few_are_refused_and_not_counted(world: World) -> None:
    """A PermissionError, recorded as `< 5`; nothing is charged, with noise or without."""
    for epsilon in (None, 0.5):
        with pytest.raises(PermissionError) as caught:
            federated_aggregation_protect(SECRET, 4, dp_epsilon=epsilon)
        assert isinstance(caught.value, TooFew)
        assert "4" not in str(caught.value)
        event = get_audit_events(action="federated:release")[0]
        assert event["outcome"] == "denied"
        assert event["details"]["participants"] == "< 5"
        assert "4" not in str(event["details"])
    # The least of what is said counts: the same participant twice is one.
    with pytest.raises(TooFew):
        federated_aggregation_protect(SECRET, 9, participants=["a", "b", "c", "d", "d"])
    assert federated_aggregation_protect(SECRET, 9, participants=list("abcde")) == SECRET
    assert rows(world) == []
    assert show_budgets() == []


@on("sqlite-one")
def test_a_threshold_alone_says_that_it_is_no_differential_privacy(world: World) -> None:
    """The value leaves as it is, its report says what that is not, and the log that it left."""
    value, report = federated_aggregation_protect(42, 5, return_report=True)
    assert value == 42
    assert "not differential privacy" in report["guarantee"]
    assert outcomes() == ["success"]
    assert world.unbalanced is None


@on(*CONTROLS)
def test_a_spent_budget_draws_nothing(world: World) -> None:
    """The error says what is left and what is needed; no row, a denial, and the rest can be spent."""
    create_budget("all", epsilon=1.0, actor=ACTOR)
    create_budget("ml", epsilon=10.0, parent="all", actor=ACTOR)
    federated_aggregation_protect(SECRET, 9, dp_epsilon=0.75, budget="ml")
    with pytest.raises(BudgetSpent, match=r"budget all, which is above ml, has 0\.25 left.* needs 0\.50"):
        federated_aggregation_protect(SECRET, 9, dp_epsilon=0.5, budget="ml", idempotency_key="second")
    assert len(rows(world)) == 1
    assert outcomes() == ["intent", "success", "denied"]
    denied = get_audit_events(action="federated:release")[0]
    assert (denied["target_id"], denied["details"]["refused"]) == ("ml", "budget spent")
    federated_aggregation_protect(SECRET, 9, dp_epsilon=0.25, budget="ml", idempotency_key="second")
    assert world.unbalanced is None
    assert {account.name: account.tightest.left for account in show_budgets()}["all"] == 0


@on("sqlite-one")
def test_another_value_under_a_reservation_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise that two values share would show their difference; the first value still gets it."""

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mechanism, "draw", fail)
        with pytest.raises(KeyboardInterrupt):
            federated_aggregation_protect(1.0, 9, dp_epsilon=0.5, idempotency_key="r")
    assert [row["state"] for row in rows(world)] == ["reserved"]
    with pytest.raises(Conflict, match="reserved for another aggregate"):
        federated_aggregation_protect(2.0, 9, dp_epsilon=0.5, idempotency_key="r")
    federated_aggregation_protect(1.0, 9, dp_epsilon=0.5, idempotency_key="r")
    assert [row["state"] for row in rows(world)] == ["released"]
    assert show_budgets("default")[0].tightest.spent == 500_000_000


@on("sqlite-one")
def test_another_count_under_a_reservation_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where participants are counted with noise, the noise of one id is for one number of them."""
    words: dict[str, Any] = {"dp_epsilon": 0.5, "threshold_epsilon": 1.0, "idempotency_key": "r"}
    with monkeypatch.context() as patch:
        patch.setattr(mechanism, "draw", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            federated_aggregation_protect(1.0, 500, **words)
    with pytest.raises(Conflict, match="reserved for another aggregate"):
        federated_aggregation_protect(1.0, 501, **words)
    federated_aggregation_protect(1.0, 500, **words)
    assert [row["state"] for row in rows(world)] == ["released"]


@on(*CONTROLS)
def test_an_output_expires_and_its_id_stays_used(world: World) -> None:
    """A large output is a sealed file; when its time is over, file and output go, and no new noise comes."""
    value = np.zeros(20_000)
    first = federated_aggregation_protect(value, 9, dp_epsilon=1.0, idempotency_key="big")
    place = world.settings.home / "releases"
    (file,) = place.iterdir()
    assert first.tobytes() not in file.read_bytes()
    np.testing.assert_array_equal(
        first, federated_aggregation_protect(value, 9, dp_epsilon=1.0, idempotency_key="big")
    )
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    with world.control.begin() as connection:
        connection.execute(sa.update(Release).values(expires_at=past))
    for _ in range(2):
        with pytest.raises(Expired, match="has expired"):
            federated_aggregation_protect(value, 9, dp_epsilon=1.0, idempotency_key="big")
        assert federated.tend_releases()["releases"] in {0, 1}
    assert list(place.iterdir()) == []
    (row,) = rows(world)
    assert (row["state"], row["output"], row["output_at"]) == ("expired", None, None)
    assert show_budgets("default")[0].tightest.spent == 1_000_000_000


@on(*CONTROLS)
def test_a_reservation_that_nobody_comes_back_for_loses_its_seed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left that could undo noise; the id is used up, and what it cost stays charged."""
    words: dict[str, Any] = {"dp_epsilon": 0.5, "idempotency_key": "r"}
    with monkeypatch.context() as patch:
        patch.setattr(mechanism, "draw", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            federated_aggregation_protect(1.0, 9, **words)
    assert federated.tend_releases()["releases"] == 0
    assert rows(world)[0]["seed_sealed"] is not None
    with world.control.begin() as connection:
        connection.execute(
            sa.update(Release).values(reserved_at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=25))
        )
    assert federated.tend_releases()["releases"] == 1
    (row,) = rows(world)
    assert (row["state"], row["seed_sealed"], row["value_digest"]) == ("expired", None, None)
    with pytest.raises(Expired):
        federated_aggregation_protect(1.0, 9, **words)
    assert show_budgets("default")[0].tightest.spent == 500_000_000


@on("sqlite-one")
def test_a_release_without_an_id_is_not_kept(world: World) -> None:
    """Nobody could ask for it again: no output is kept, each is charged, each has noise of its own."""
    values = {federated_aggregation_protect(SECRET, 9, dp_epsilon=0.5) for _ in range(3)}
    assert len(values) == 3
    assert {(row["state"], row["output"]) for row in rows(world)} == {("released", None)}
    assert show_budgets("default")[0].tightest.spent == 1_500_000_000


@on("sqlite-one")
def test_gaussian_noise_has_a_default_account_of_its_own(world: World) -> None:
    """It has no pure epsilon; what names no budget is counted all the same, in rho."""
    federated_aggregation_protect(1.0, 9, dp_epsilon=0.5, dp_delta=1e-6, mechanism="gaussian")
    federated_aggregation_protect(1.0, 9, dp_epsilon=0.5)
    assert [(account.name, account.composition) for account in show_budgets()] == [
        ("default", "pure"),
        ("default-gaussian", "zcdp"),
    ]
    assert world.unbalanced is None


@on("sqlite-one")
def test_a_noisy_threshold_decides_once(world: World) -> None:
    """Participants are counted with noise for its price; the answer of an id stays, also when it is no."""
    words: dict[str, Any] = {"dp_epsilon": 0.5, "threshold_epsilon": 1.0, "idempotency_key": "few"}
    for _ in range(2):
        with pytest.raises(TooFew, match="noisy count"):
            federated_aggregation_protect(1.0, 5, **words)
    assert [row["state"] for row in rows(world)] == ["refused"]
    federated_aggregation_protect(1.0, 500, **{**words, "idempotency_key": "many"})
    assert show_budgets("default")[0].tightest.spent == 3_000_000_000
    assert outcomes() == ["intent", "denied", "intent", "success"]


@on("sqlite-one")
def test_nothing_of_a_value_is_kept_in_clear(world: World) -> None:
    """Neither the value, nor what was released, nor the count stands in any table of ours."""
    released = federated_aggregation_protect(
        SECRET, 77_777, dp_epsilon=0.5, idempotency_key="r", tenant_id="acme"
    )
    assert show_budgets("default")
    with world.control.begin() as connection:
        everything = "".join(
            repr(tuple(row))
            for table in sa.inspect(connection).get_table_names()
            for row in connection.execute(sa.select(sa.text("*")).select_from(sa.table(table)))
        )
    for secret in (str(SECRET), str(int(SECRET)), repr(released), "77777"):
        assert secret not in everything
    assert "acme" in everything


@on("sqlite-one")
def test_settings_hold_callers_to_a_budget_and_a_floor(world: World) -> None:
    """`require_budget` and `minimum_participants` are obeyed whatever a caller asks for."""
    world.configure(federated=FederatedSettings(require_budget=True, minimum_participants=8))
    with pytest.raises(UsageError, match="name a budget"):
        federated_aggregation_protect(1.0, 9, 8, dp_epsilon=0.5)
    with pytest.raises(UsageError, match="at least 8"):
        federated_aggregation_protect(1.0, 9, 5)


@on("sqlite-one")
def test_an_estimate_tells_every_budget_that_would_pay(world: World) -> None:
    """The named one and those above it; before its first release the default has no row and no price."""
    assert estimate_release(1.0, 0.5)["budgets"] == []
    create_budget("all", epsilon=1.0, actor=ACTOR)
    create_budget("ml", epsilon=0.25, parent="all", actor=ACTOR)
    found = estimate_release([1.0, 2], 0.5, budget="ml")
    assert [each["budget"] for each in found["budgets"]] == ["ml", "all"]
    assert (found["coordinates"], found["enough"]) == (2, False)
    assert estimate_release(1.0, 0.25, budget="ml")["enough"]
    nothing: Any = None
    with pytest.raises(UsageError, match="nothing to estimate"):
        estimate_release(1.0, nothing)
    with pytest.raises(UnknownName, match="mi"):
        estimate_release(1.0, 0.5, budget="mi")
    with pytest.raises(UsageError, match=r"^budget ml: .*gaussian"):
        estimate_release(1.0, 0.5, mechanism="gaussian", dp_delta=1e-6, budget="ml")
    assert outcomes() == []
    assert world.unbalanced is None


@on("sqlite-one")
def test_a_history_goes_on_behind_its_first_page(world: World) -> None:
    """The next page holds what was charged before the last line of this one."""
    create_budget("ml", epsilon=1.0, actor=ACTOR)
    for key in ("a", "b", "c"):
        federated_aggregation_protect(1.0, 9, dp_epsilon=0.1, budget="ml", idempotency_key=key)
    first = budget_history("ml", limit=2)
    rest = budget_history("ml", before=first[-1]["number"])
    assert [each["release_id"] for each in (*first, *rest)] == ["c", "b", "a"]
    assert world.unbalanced is None


@on("sqlite-one")
def test_an_output_that_was_changed_is_not_given(world: World) -> None:
    """What stands in its place is not what was kept, whoever put it there."""
    words: dict[str, Any] = {"dp_epsilon": 0.5, "idempotency_key": "r"}
    federated_aggregation_protect(1.0, 9, **words)
    (before,) = rows(world)
    with world.control.begin() as connection:
        connection.execute(sa.update(Release).values(output=before["output"][:-1] + b"?"))
    with pytest.raises(Tampered, match="output of release 'r' is not what was kept"):
        federated_aggregation_protect(1.0, 9, **words)


@on("sqlite-one")
def test_a_row_that_goes_while_its_noise_is_drawn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is given that no row keeps; it stays charged."""
    draw = mechanism.draw

    def taken(*words: Any) -> Any:
        with world.control.begin() as connection:
            connection.execute(sa.delete(Release))
        return draw(*words)

    monkeypatch.setattr(mechanism, "draw", taken)
    with pytest.raises(Tampered, match="row of release 'r' of budget default was changed while"):
        federated_aggregation_protect(1.0, 9, dp_epsilon=0.5, idempotency_key="r")
    assert outcomes() == ["intent"]
    assert show_budgets("default")[0].tightest.spent == 500_000_000
