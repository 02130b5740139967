"""Eight deliveries of one release: one noise and one charge, whatever died on the way. Others are caught."""

import secrets
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

from aegis.federated import mechanism, release
from aegis.federated.release import Aggregate
from api import federated
from api.federated import create_budget, federated_aggregation_protect, show_budgets
from tests.worlds import ACTOR, World, on

VALUE: Final = [0.125, 3.0, -7.5]
DELIVERIES: Final = 8
Door = Callable[..., Any]


class DiedError(Exception):
    """The process that had drawn the noise, before it could say so."""


def is_released_once(door: Door, patch: pytest.MonkeyPatch) -> None:
    """Deliver a release that dies with its noise drawn seven times, then lives, then comes once more."""
    create_budget("ml", epsilon=10.0, window_days=30, actor=ACTOR)
    drawn: list[tuple[float, ...]] = []
    draw, ended = Aggregate.drawn, release._ended  # noqa: SLF001

    def noted(aggregate: Aggregate, seed: bytes) -> Any:
        drawn.append(tuple(draw(aggregate, seed)))
        return draw(aggregate, seed)

    def dead(*_: Any) -> bool:
        raise DiedError

    words: dict[str, Any] = {"dp_epsilon": 0.5, "budget": "ml", "idempotency_key": "round-1"}
    patch.setattr(Aggregate, "drawn", noted)
    for delivery in range(DELIVERIES):
        patch.setattr(release, "_ended", ended if delivery == DELIVERIES - 1 else dead)
        try:
            drawn.append(tuple(door(VALUE, 12, **words)))
        except DiedError:
            continue
    drawn.append(tuple(door(VALUE, 12, **words)))
    assert len(drawn) >= DELIVERIES + 2
    spread = np.ptp(np.array(drawn), axis=0).max()
    assert spread == 0, f"deliveries differ by {spread}: their mean has less noise than was promised"
    (budget,) = show_budgets("ml")
    assert budget.tightest.spent == 500_000_000, "the budget was charged again"


@on("sqlite-one")
def test_a_release_is_drawn_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real door passes."""
    is_released_once(federated_aggregation_protect, monkeypatch)
    assert world.unbalanced is None


@on("sqlite-one")
def test_fresh_noise_on_redelivery_is_caught(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A door that draws again for whoever finds a reservation has the charge right, and the noise wrong."""

    def fresh(content: Any, chosen: mechanism.Plan, _seed: bytes) -> Any:
        return mechanism.draw(content, chosen, secrets.token_bytes(32))

    monkeypatch.setattr(release, "mechanism", type("Fresh", (), {"draw": staticmethod(fresh)}))
    with pytest.raises(AssertionError, match="their mean has less noise"):
        is_released_once(federated_aggregation_protect, monkeypatch)
    assert world.unbalanced is None


@on("sqlite-one")
def test_a_door_without_ids_is_caught(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A door that takes each delivery for a release of its own is wrong in both."""

    def forgetful(*value: Any, idempotency_key: str, **words: Any) -> Any:
        del idempotency_key
        return federated.federated_aggregation_protect(*value, **words)

    with pytest.raises(AssertionError, match="their mean has less noise"):
        is_released_once(forgetful, monkeypatch)
    assert world.unbalanced is None
