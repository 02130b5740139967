"""The self-test: a machine on which double precision is not what was proven draws nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from aegis.errors import OperationFailed
from aegis.federated import elementary, mechanism, noise, selftest
from aegis.federated.values import flatten


def off_by_bits(function: Callable[..., Any], share: float) -> Callable[..., Any]:
    """Return a function whose every result is wrong by a share of it."""

    def wrong(*words: Any) -> Any:
        made = function(*words)
        return tuple(each * (1 + share) for each in made) if isinstance(made, tuple) else made * (1 + share)

    return wrong


def test_this_machine_passes() -> None:
    """It is asked once in a process."""
    selftest.check()
    selftest.check.__wrapped__()


@pytest.mark.parametrize(
    ("owner", "name", "share"),
    [
        (elementary, "energy", 2.0**-46),
        (elementary, "cos_sin", 2.0**-47),
        (noise, "energy", 2.0**-44),
        (noise, "cos_sin", 2.0**-44),
    ],
)
def test_a_function_that_is_off_in_its_last_bits_is_noticed(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, share: float
) -> None:
    """A few units more than what is allowed, in the functions or in what noise makes of them."""
    monkeypatch.setattr(owner, name, off_by_bits(getattr(owner, name), share))
    with pytest.raises(OperationFailed, match="no noise is drawn"):
        selftest.check.__wrapped__()


def test_nothing_is_drawn_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An aggregate is refused there, and not released without noise or with another one."""
    monkeypatch.setattr(noise, "energy", off_by_bits(noise.energy, 2.0**-44))
    selftest.check.cache_clear()
    flat = flatten(1.0)
    plan = mechanism.plan(flat, mechanism="laplace", epsilon=1.0, delta=None, sensitivity=1.0)
    try:
        with pytest.raises(OperationFailed, match="no noise is drawn"):
            mechanism.draw(flat, plan, bytes(32))
    finally:
        monkeypatch.undo()
        selftest.check.cache_clear()
