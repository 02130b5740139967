"""Noise, its scale and its cost, beside programs of others; and the attack on the last bits, for all of them.

`pip install -e .[peers]` brings them; they are large, so what is missing is skipped and says so.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

from aegis.federated import calibration, noise
from aegis.federated.composition import NANO, Spend, cost
from benchmarks.noisemakers import EPSILON, MAKERS, Kind, Maker
from tests.chances import ALPHA, gaussian_cdf, goodness, kolmogorov, laplace_cdf
from tests.noiseaudit import Floats, fineness, sharpest
from tests.repeats import LONG

KEY: Final = bytes(range(32))
#: Theirs is slow.
MANY: Final = 200_000 if LONG else 20_000
CASES: Final = [(0.01, 1e-9), (0.5, 1e-5), (1.0, 1e-6), (4.0, 1e-2), (8.0, 1e-3)]
#: What others import may warn of its own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def dp() -> Any:
    """OpenDP."""
    prelude = pytest.importorskip("opendp.prelude", reason="OpenDP is not installed: .[peers]")
    prelude.enable_features("contrib")
    return prelude


@pytest.fixture
def accounting() -> Any:
    """Google's dp-accounting."""
    return pytest.importorskip("dp_accounting", reason="dp-accounting is not installed: .[peers]")


@pytest.mark.parametrize(("kind", "cdf"), [("laplace", laplace_cdf), ("gaussian", gaussian_cdf)])
def test_opendp_draws_the_same_distribution(dp: Any, kind: str, cdf: Any) -> None:
    """Its whole numbers and ours fit one distribution where rounded and discrete noise are nearly one."""
    scale = 1000.0
    metric = dp.l1_distance(T=int) if kind == "laplace" else dp.l2_distance(T=int)
    make = dp.m.make_laplace if kind == "laplace" else dp.m.make_gaussian
    theirs = np.array(make(dp.vector_domain(dp.atom_domain(T=int)), metric, scale=scale)([0] * MANY))
    ours = getattr(noise, kind)(KEY, scale, MANY)
    for draws in (theirs, ours):
        assert goodness(draws, cdf(scale)) > ALPHA
        assert kolmogorov(draws, cdf(scale)) > ALPHA


@pytest.mark.parametrize(("epsilon", "delta"), CASES)
def test_opendp_finds_our_scale_enough(dp: Any, epsilon: float, delta: float) -> None:
    """By its own accounting our Laplace scale has at most ε, and our sigma the rho that we charge."""
    space = (dp.atom_domain(T=float, nan=False), dp.absolute_distance(T=float))
    scale = calibration.laplace_scale(epsilon, 3.0)
    assert dp.m.make_laplace(*space, scale=scale * (1 + 1e-12)).map(3.0) <= epsilon
    sigma = calibration.gaussian_sigma(epsilon, delta, 1.0)
    spend = Spend(mechanism="gaussian", epsilon=epsilon, delta=delta, noise=sigma)
    rho = dp.m.make_gaussian(*space, scale=sigma).map(1.0)
    assert cost("zcdp", None, spend) == pytest.approx(rho * NANO, rel=1e-9, abs=1.0)


@pytest.mark.parametrize(("epsilon", "delta"), CASES)
def test_dp_accounting_finds_the_same_sigma(accounting: Any, epsilon: float, delta: float) -> None:
    """Its calibration of the Gaussian and ours differ by less than a millionth."""
    ours = calibration.gaussian_sigma(epsilon, delta, 1.0)
    assert accounting.get_sigma_gaussian(epsilon, delta) == pytest.approx(ours, rel=1e-6)
    assert accounting.get_epsilon_gaussian(ours * (1 + 1e-9), delta) <= epsilon * (1 + 1e-9)


@pytest.mark.parametrize("order", [2, 8, 32])
@pytest.mark.parametrize("kind", ["laplace", "gaussian"])
def test_dp_accounting_finds_the_same_cost(accounting: Any, kind: Any, order: int) -> None:
    """What an account of Rényi differential privacy is charged is what its accountant counts."""
    for scale in (0.7, 2.0, 14.0):
        event = {"laplace": accounting.LaplaceDpEvent, "gaussian": accounting.GaussianDpEvent}[kind](scale)
        theirs = accounting.rdp.RdpAccountant([order]).compose(event)._rdp[0]  # noqa: SLF001
        delta = 1e-6 if kind == "gaussian" else None
        spend = Spend(mechanism=kind, epsilon=1 / scale, delta=delta, noise=scale)
        assert cost("rdp", order, spend) == pytest.approx(theirs * NANO, rel=1e-9, abs=1.0)


@pytest.mark.parametrize("kind", ["laplace", "gaussian"])
@pytest.mark.parametrize("maker", MAKERS, ids=lambda it: it.name)
def test_the_last_bits(maker: Maker, kind: Kind) -> None:
    """Last bits of numpy, of diffprivlib and of PyDP's Gaussian tell 0 from 1 far beyond ε; others' do not.

    PyDP rounds Laplace noise to a grid of 2^-40 of its scale, and a Gaussian to one that is finer than
    doubles near the input are.
    """
    try:
        release = maker.make(kind, MANY)
    except ImportError as error:
        pytest.skip(f"{maker.name} is not installed: {error}")
    found = _told_by_bits(release)
    if kind in maker.safe:
        assert found <= EPSILON
    else:
        assert found > 2 * EPSILON


def _told_by_bits(release: Callable[[Floats], Any]) -> float:
    one, other = (np.asarray(release(np.full(MANY, x)), dtype=np.float64) for x in (0.0, 1.0))
    assert math.isfinite(float(one.sum() + other.sum()))
    return sharpest(one, other, [fineness(0, 0.5), fineness(0.5, 1), fineness(-0.5, 0), fineness(1, 1.5)])
