"""Ways to add noise to numbers: numpy's own, which is unsafe, Aegis's, and those of other libraries.

Each makes a function from an array of doubles to noisy numbers, at a sensitivity of 1 for all of them
together. What is made once for many releases (a measurement, a mechanism) is made before it is measured.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from aegis.federated import calibration, mechanism, selftest
from aegis.federated.values import flatten

Floats = NDArray[np.float64]
Kind = Literal["laplace", "gaussian"]
Make = Callable[[Kind, int], Callable[[Floats], Any]]

EPSILON: Final = 0.5
DELTA: Final = 1e-5
#: OpenDP's grid, where it is not the finest: 2^-14 of the sensitivity, about what Aegis takes.
_COARSE: Final = -14


@dataclass(frozen=True, kw_only=True)
class Maker:
    """One way."""

    name: str
    #: Which of its noise withstands the attack on the last bits: tests/interop/test_noise_oracles.py.
    safe: frozenset[Kind]
    make: Make


def scale_of(kind: Kind) -> float:
    """Return the scale that everybody takes."""
    if kind == "laplace":
        return calibration.laplace_scale(EPSILON, 1.0)
    return calibration.gaussian_sigma(EPSILON, DELTA, 1.0)


def _numpy(kind: Kind, _count: int) -> Callable[[Floats], Any]:
    generator, scale = np.random.default_rng(), scale_of(kind)
    draw = generator.laplace if kind == "laplace" else generator.normal
    return lambda values: values + draw(0.0, scale, len(values))


def _aegis(kind: Kind, count: int) -> Callable[[Floats], Any]:
    selftest.check()

    def release(values: Floats) -> Any:
        flat = flatten(float(values[0]) if count == 1 else values)
        delta = DELTA if kind == "gaussian" else None
        plan = mechanism.plan(flat, mechanism=kind, epsilon=EPSILON, delta=delta, sensitivity=1.0)
        return mechanism.draw(flat, plan, os.urandom(32))

    return release


def _opendp(*, coarse: bool) -> Make:
    def make(kind: Kind, count: int) -> Callable[[Floats], Any]:
        from opendp import prelude as dp  # noqa: PLC0415 - a peer may be missing

        dp.enable_features("contrib")
        atom = dp.atom_domain(T=float, nan=False)
        laplace = kind == "laplace"
        if count == 1:
            space = (atom, dp.absolute_distance(T=float))
        else:
            metric = dp.l1_distance(T=float) if laplace else dp.l2_distance(T=float)
            space = (dp.vector_domain(atom, size=count), metric)
        measure = dp.m.make_laplace if laplace else dp.m.make_gaussian
        grid = {"k": _COARSE} if coarse else {}
        released = measure(*space, scale=scale_of(kind), **grid)
        return lambda values: released(float(values[0]) if count == 1 else values)

    return make


def _pydp(kind: Kind, _count: int) -> Callable[[Floats], Any]:
    from pydp.algorithms import numerical_mechanisms as mechanisms  # noqa: PLC0415 - a peer may be missing

    if kind == "laplace":
        made = mechanisms.LaplaceMechanism(EPSILON, 1.0)
    else:
        made = mechanisms.GaussianMechanism(EPSILON, DELTA, 1.0)
    return lambda values: [made.add_noise(value) for value in values.tolist()]


def _diffprivlib(kind: Kind, _count: int) -> Callable[[Floats], Any]:
    from diffprivlib import mechanisms  # noqa: PLC0415 - a peer may be missing

    if kind == "laplace":
        made = mechanisms.Laplace(epsilon=EPSILON, sensitivity=1.0)
    else:
        made = mechanisms.GaussianAnalytic(epsilon=EPSILON, delta=DELTA, sensitivity=1.0)
    return lambda values: [made.randomise(value) for value in values.tolist()]


_NONE: Final[frozenset[Kind]] = frozenset()
_BOTH: Final[frozenset[Kind]] = frozenset({"laplace", "gaussian"})
NUMPY: Final = Maker(name="numpy, raw", safe=_NONE, make=_numpy)
AEGIS: Final = Maker(name="Aegis", safe=_BOTH, make=_aegis)
MAKERS: Final = (
    NUMPY,
    AEGIS,
    Maker(name="OpenDP", safe=_BOTH, make=_opendp(coarse=False)),
    Maker(name="OpenDP, grid of 2^-14", safe=_BOTH, make=_opendp(coarse=True)),
    Maker(name="PyDP", safe=frozenset({"laplace"}), make=_pydp),
    Maker(name="diffprivlib", safe=_NONE, make=_diffprivlib),
)
