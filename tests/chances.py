"""Statistics for the tests of noise, without scipy: tails, bounds for a share, and exact distributions.

Each test declares its level beforehand and pins its keys: a run gives the same answer every time, and a
correct sampler fails with that probability once, when the key is chosen, and never again.
"""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: What a correct sampler's statistic falls under by chance, once and for all.
ALPHA: Final = 1e-6
_FEWEST: Final = 30.0


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """Return P(χ² ≥ statistic): the regularized upper incomplete gamma function."""
    shape, point = degrees / 2, statistic / 2
    if point <= 0:
        return 1.0
    front = math.exp(shape * math.log(point) - point - math.lgamma(shape))
    if point < shape + 1:
        return 1.0 - front * _gamma_series(shape, point)
    return front / _fraction(point + 1 - shape, lambda n: (n * (shape - n), point + 2 * n + 1 - shape))


def clopper_pearson(hits: int, trials: int, alpha: float) -> tuple[float, float]:
    """Return bounds of a share, each of which is wrong with probability ≤ alpha."""
    lower = 0.0 if hits == 0 else _solve(lambda p: _beta(hits, trials - hits + 1, p) <= alpha)
    upper = 1.0 if hits == trials else _solve(lambda p: _beta(hits + 1, trials - hits, p) <= 1 - alpha)
    return lower, upper


def kolmogorov(sample: NDArray[np.int64], cdf: Callable[[NDArray[np.int64]], NDArray[np.float64]]) -> float:
    """Return a bound of the p value of the largest distance from a cdf.

    By Dvoretzky, Kiefer, Wolfowitz and Massart; it holds for discrete distributions too, at every n.
    """
    values, counts = np.unique(sample, return_counts=True)
    reached = np.cumsum(counts) / sample.size
    distance = np.max(np.abs(reached - cdf(values)))
    return min(1.0, 2 * math.exp(-2 * sample.size * float(distance) ** 2))


def goodness(sample: NDArray[np.int64], cdf: Callable[[NDArray[np.int64]], NDArray[np.float64]]) -> float:
    """Return the p value of Pearson's χ² in bins of about the same, large enough, expectation."""
    edges = edges_of(cdf, 200, span=int(np.max(np.abs(sample))) + 2)
    shares = np.diff(np.concatenate([[0.0], cdf(edges), [1.0]]))
    while sample.size * shares[-1] < _FEWEST:
        edges, shares = edges[:-1], np.append(shares[:-2], shares[-2] + shares[-1])
    counts = np.bincount(np.searchsorted(edges, sample, side="left"), minlength=shares.size)
    expected = sample.size * shares
    return chi_squared_tail(float(np.sum((counts - expected) ** 2 / expected)), shares.size - 1)


def together(
    one: NDArray[np.int64], other: NDArray[np.int64], cdf: Callable[[NDArray[np.int64]], NDArray[np.float64]]
) -> float:
    """Return the p value of χ² for independence: pairs in cells whose probabilities are known exactly."""
    edges = edges_of(cdf, 12, span=int(max(np.max(np.abs(one)), np.max(np.abs(other)))) + 2)
    shares = np.diff(np.concatenate([[0.0], cdf(edges), [1.0]]))
    cells = np.searchsorted(edges, one, side="left") * shares.size + np.searchsorted(
        edges, other, side="left"
    )
    expected = one.size * np.outer(shares, shares).ravel()
    counts = np.bincount(cells, minlength=expected.size)
    return chi_squared_tail(float(np.sum((counts - expected) ** 2 / expected)), expected.size - 1)


def edges_of(
    cdf: Callable[[NDArray[np.int64]], NDArray[np.float64]], bins: int, *, span: int
) -> NDArray[np.int64]:
    """Return up to `bins` - 1 integers that split a distribution into shares of 1/bins or more."""
    edges: list[int] = []
    reached = 0.0
    for wanted in np.arange(1, bins) / bins:
        edge = _quantile(cdf, max(float(wanted), reached + 1 / bins), span)
        here = float(cdf(np.array([edge]))[0])
        if 1 - here < 1 / bins / 2:
            break
        if here > reached:
            edges.append(edge)
            reached = here
    return np.array(edges, dtype=np.int64)


def laplace_cdf(scale: float) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    """Return P(round(Laplace(scale)) ≤ k), in closed form."""

    def cdf(k: NDArray[np.int64]) -> NDArray[np.float64]:
        edge = (np.asarray(k, dtype=np.float64) + 0.5) / scale
        return np.where(edge < 0, 0.5 * np.exp(np.minimum(edge, 0)), 1 - 0.5 * np.exp(-np.maximum(edge, 0)))

    return cdf


def gaussian_cdf(scale: float) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    """Return P(round(Normal(0, scale)) ≤ k), by erfc."""

    def cdf(k: NDArray[np.int64]) -> NDArray[np.float64]:
        edges = (np.asarray(k, dtype=np.float64) + 0.5) / (scale * math.sqrt(2))
        return np.array([0.5 * math.erfc(-edge) for edge in edges.ravel()]).reshape(edges.shape)

    return cdf


def gaussian_delta(epsilon: float, noise: float) -> Decimal:
    """Return the exact δ of the Gaussian mechanism of `noise` · Δ (Balle and Wang 2018, theorem 8).

    In decimals, with enough of them that nothing cancels: no code and no formula is shared with Aegis's own.
    """
    with localcontext() as context:
        context.prec = 80 + int(epsilon)
        eps, sigma = Decimal(epsilon), Decimal(noise)
        far, near = eps * sigma + 1 / (2 * sigma), eps * sigma - 1 / (2 * sigma)
        return _upper_tail(near) - eps.exp() * _upper_tail(far)


def _upper_tail(point: Decimal) -> Decimal:
    """Return P(Normal(0, 1) ≥ point) by the series of Φ whose terms are all positive (Marsaglia 2004)."""
    with localcontext() as context:
        context.prec += int(point * point / 4) + 20
        term = total = abs(point)
        n = 1
        while term > total * Decimal(10) ** -context.prec:
            n += 2
            term *= point * point / n
            total += term
        pi = _pi(context.prec)
        half = total * (-point * point / 2).exp() / (2 * pi).sqrt()
        return Decimal("0.5") - half.copy_sign(point)


def _pi(digits: int) -> Decimal:
    """Return π by Machin's formula, with whole numbers."""
    one: int = 10 ** (digits + 10)

    def arctan(n: int) -> int:
        term = total = one // n
        k = 1
        while term:
            term //= -n * n
            k += 2
            total += term // k
        return total

    return Decimal(4 * (4 * arctan(5) - arctan(239))) / one


def _quantile(cdf: Callable[[NDArray[np.int64]], NDArray[np.float64]], wanted: float, span: int) -> int:
    low, high = -span, span
    while low < high:
        middle = (low + high) // 2
        if float(cdf(np.array([middle]))[0]) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low


def _gamma_series(shape: float, point: float) -> float:
    term = total = 1 / shape
    n = shape
    while term > total * 1e-17:
        n += 1
        term *= point / n
        total += term
    return total


def _fraction(first: float, at: Callable[[int], tuple[float, float]]) -> float:
    """Return the value of first + a₁/(b₁ + a₂/(b₂ + …)) by Lentz's method."""
    value = first or 1e-300
    up, down = value, 0.0
    for n in range(1, 100_000):
        a, b = at(n)
        down = 1 / ((b + a * down) or 1e-300)
        up = (b + a / up) or 1e-300
        value *= up * down
        if abs(up * down - 1) < 1e-15:
            break
    return value


def _beta(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function I_x(a, b), which is P(Binomial(a+b-1, x) ≥ a)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)

    def at(n: int) -> tuple[float, float]:
        m = n // 2
        if n % 2:
            return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0
        return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0

    return math.exp(front) / (a * _fraction(1.0, at))


def _solve(below: Callable[[float], bool]) -> float:
    """Return the largest share for which a monotone condition holds."""
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low
