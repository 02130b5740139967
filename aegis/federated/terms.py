"""What a caller states about a release, checked before anything is looked up or drawn."""

import hashlib
import hmac
import math
import operator
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Final, get_args

from aegis.audit.events import canonical
from aegis.errors import UsageError
from aegis.federated.clipped import Clipped
from aegis.federated.mechanism import Mechanism
from aegis.operations.system import System

#: A sensitivity lies between 2^-900 and 2^900, so that a grid's step is an ordinary double.
_SPAN: Final = 2.0**900
_HIGHEST_GAUSSIAN: Final = 1000.0
_LOWEST_DELTA: Final = 1e-40
#: How often a noisy threshold lets an aggregate of too few pass.
SLIPS: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How an aggregate is to be protected; nothing of its values or of how many stand behind it."""

    minimum: int
    #: None: the threshold alone, which is no differential privacy.
    epsilon: float | None
    delta: float | None
    mechanism: Mechanism
    sensitivity: float
    per_field: bool
    threshold_epsilon: float | None
    public_fields: tuple[str, ...]
    account: str | None
    #: declared by the caller, or enforced by clipping
    sensitivity_is: str
    neighbours: str = "add-or-remove"

    @property
    def threshold(self) -> int:
        """From how many a noisy count passes: fewer than the minimum do so at most once in 1/SLIPS."""
        if self.threshold_epsilon is None:
            return self.minimum
        margin = math.log(1 / (2 * SLIPS)) / self.threshold_epsilon
        return self.minimum + math.ceil(margin)

    def digest(self, system: System) -> str:
        """Return a keyed digest: the same release id with other terms is refused."""
        words = {name: repr(word) for name, word in asdict(self).items()}
        return hmac.new(
            system.worker_key.subkey("payload-digest"), b"release" + canonical(words), hashlib.sha256
        ).hexdigest()


def check(terms: Terms, *, floor: int) -> None:
    """Refuse terms that cannot be meant.

    Raises:
        UsageError: names the argument, and what was expected.

    """
    if terms.minimum < floor:
        message = f"min_participants must be at least {floor}: federated.minimum_participants says so"
        raise UsageError(message)
    if terms.epsilon is None:
        _check_without_noise(terms)
        return
    _above_zero("dp_epsilon", terms.epsilon)
    _check_mechanism(terms)
    _above_zero("dp_sensitivity", terms.sensitivity)
    if not 1 / _SPAN <= terms.sensitivity <= _SPAN:
        message = "dp_sensitivity must be between 2^-900 and 2^900: give the aggregate in another unit"
        raise UsageError(message)
    if terms.threshold_epsilon is not None:
        _above_zero("threshold_epsilon", terms.threshold_epsilon)


def _check_without_noise(terms: Terms) -> None:
    given = {
        "dp_delta": terms.delta,
        "budget": terms.account,
        "threshold_epsilon": terms.threshold_epsilon,
    }
    for name, word in given.items():
        if word is not None:
            message = f"{name} belongs to noise: give dp_epsilon too, or leave it out"
            raise UsageError(message)


def _check_mechanism(terms: Terms) -> None:
    if terms.mechanism not in get_args(Mechanism):
        message = f"mechanism must be one of {', '.join(get_args(Mechanism))}"
        raise UsageError(message)
    if terms.mechanism == "laplace":
        if terms.delta is not None:
            message = "laplace noise has no delta: leave dp_delta out, or take mechanism='gaussian'"
            raise UsageError(message)
        return
    if terms.delta is None:
        message = "gaussian noise needs dp_delta, well below 1 / (number of participants), such as 1e-6"
        raise UsageError(message)
    _above_zero("dp_delta", terms.delta)
    if not _LOWEST_DELTA <= terms.delta < 1:
        message = f"dp_delta must be at least {_LOWEST_DELTA} and below 1"
        raise UsageError(message)
    if terms.epsilon is not None and terms.epsilon > _HIGHEST_GAUSSIAN:
        message = f"dp_epsilon of gaussian noise must be at most {_HIGHEST_GAUSSIAN:g}: more protects nobody"
        raise UsageError(message)


def terms_of(
    value: Any,
    *,
    min_participants: Any,
    dp_epsilon: Any,
    dp_delta: Any,
    dp_sensitivity: Any,
    mechanism: Any,
    budget: str | None,
    per_field: bool,
    public_fields: Collection[str],
    threshold_epsilon: Any,
) -> Terms:
    """Return a caller's arguments as terms; a `Clipped` brings its sensitivity with it.

    Raises:
        UsageError: one of them is no number, or none of its kind.

    """
    clipped = value if isinstance(value, Clipped) else None
    return Terms(
        minimum=count("min_participants", min_participants, least=1),
        epsilon=number("dp_epsilon", dp_epsilon),
        delta=number("dp_delta", dp_delta),
        mechanism=mechanism,
        sensitivity=clipped.sensitivity if clipped else number("dp_sensitivity", dp_sensitivity) or 0.0,
        per_field=per_field,
        threshold_epsilon=number("threshold_epsilon", threshold_epsilon),
        public_fields=tuple(public_fields),
        account=budget,
        sensitivity_is="enforced" if clipped and clipped.enforced else "declared",
        neighbours=clipped.neighbours if clipped else "add-or-remove",
    )


def number(name: str, value: Any) -> float | None:
    """Return a real number that was given, or None.

    Raises:
        UsageError: it is something else, such as a truth value or a text.

    """
    if value is None:
        return None
    if type(value) in {int, float} or type(value).__module__ == "numpy":
        try:
            return float(Fraction(float(value)))
        except (TypeError, ValueError, OverflowError):
            pass
    message = f"{name} must be a finite number"
    raise UsageError(message)


def count(name: str, value: Any, *, least: int = 0) -> int:
    """Return a whole number that was given.

    Raises:
        UsageError: it is no whole number, or too small; what it is is not said.

    """
    try:
        if not isinstance(value, bool):
            whole = operator.index(value)
            if whole >= least:
                return whole
    except TypeError:
        pass
    message = f"{name} must be a whole number of at least {least}"
    raise UsageError(message)


def behind(participant_count: Any, participants: Collection[str] | None, counted: int | None) -> int:
    """Return how many people stand behind an aggregate: the least of all that is said about it.

    Args:
        participant_count: as the caller says.
        participants: a reference of each, such as an HMAC of its id; the same one counts once.
        counted: as clipping counted contributions.

    """
    known = [count("participant_count", participant_count)]
    if participants is not None:
        if isinstance(participants, str | bytes) or not isinstance(participants, Sequence | set | frozenset):
            message = "participants must be a list of references, one of each participant"
            raise UsageError(message)
        if not all(isinstance(each, str) and each for each in participants):
            message = "participants must be texts, one reference of each participant"
            raise UsageError(message)
        known.append(len(set(participants)))
    if counted is not None:
        known.append(counted)
    return min(known)


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        message = f"{name} must be a finite number above 0"
        raise UsageError(message)
