"""Sums that came out of secure aggregation: residues of whole steps, lifted to what they stand for.

Secure aggregation adds its participants' numbers modulo some m, so that nobody sees a single one of them.
Aegis does not do it; it takes the sum. That each participant cut its contribution before it was masked is
what the participants say: nothing of it can be seen in the sum, so the result says `enforced=False`.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aegis.errors import Refused, UsageError
from aegis.federated.clipped import Clipped, Grid, Neighbours, Norm, check_room, check_terms

#: Modulo 1 nothing is told apart; what is above the largest leaves no room for a sum.
_SMALLEST: Final = 2
_LARGEST: Final = 1 << 62


def from_modular_sum(
    residues: ArrayLike,
    *,
    modulus: int,
    exponent: int,
    bound: float,
    norm: Norm,
    participants: int,
    neighbours: Neighbours = "add-or-remove",
) -> Clipped:
    """Return the sum whose residues modulo `modulus` are given, each lifted to the one nearest to zero.

    n contributions of at most L = ⌊bound / 2^exponent⌋ steps sum to at most n·L in each coordinate, up or
    down. These are told apart modulo m if and only if 2·n·L + 1 ≤ m.

    Args:
        residues: whole numbers from 0 to below the modulus, in the shape of a contribution.
        modulus: 2^k, or any other number; at most 2^62.
        exponent: a step of the participants' grid is 2^exponent.
        bound: the norm that each participant cut its contribution to.
        norm: "l1" or "l2".
        participants: how many contributions are in the sum.
        neighbours: as for `clip_contributions`.

    Raises:
        UsageError: a residue is no whole number, or not below the modulus.
        Refused: a sum could have wrapped around unseen, or some participant did not cut what it sent.

    """
    check_terms(norm, neighbours)
    grid = Grid.of(bound, exponent)
    if isinstance(participants, bool) or not isinstance(participants, int) or participants < 1:
        message = "participants is a whole number above 0"
        raise UsageError(message)
    check_room(participants, grid)
    widest = participants * grid.limit
    _check_modulus(modulus, widest)
    return Clipped(
        steps=_lifted(np.asarray(residues), modulus, widest),
        exponent=exponent,
        bound=float(bound),
        norm=norm,
        participants=participants,
        neighbours=neighbours,
        enforced=False,
    )


def _check_modulus(modulus: int, widest: int) -> None:
    if not _SMALLEST <= modulus <= _LARGEST:
        message = f"a modulus is between 2 and 2^62; got {modulus}"
        raise UsageError(message)
    if 2 * widest + 1 > modulus:
        message = (
            f"modulo {modulus} a sum of so many participants can wrap around unseen: it needs "
            "2 · participants · bound / 2^exponent + 1 or more; choose a larger modulus or exponent"
        )
        raise Refused(message)


def _lifted(residues: NDArray[Any], modulus: int, widest: int) -> NDArray[np.int64]:
    if residues.dtype.kind not in "iu" or not residues.size:
        message = f"residues are whole numbers, at least one; got {residues.size} of type {residues.dtype}"
        raise UsageError(message)
    if residues.min() < 0 or residues.max() >= modulus:
        message = f"a residue is not between 0 and {modulus - 1}, the modulus less one"
        raise UsageError(message)
    lifted = residues.astype(np.int64)
    lifted[...] = np.where(lifted > (modulus - 1) // 2, lifted - modulus, lifted)
    if np.abs(lifted).max() > widest:
        message = (
            "the sum is larger than its participants could have made it: a contribution was not cut, "
            "or modulus, exponent or bound are not those that the participants used"
        )
        raise Refused(message)
    return lifted
