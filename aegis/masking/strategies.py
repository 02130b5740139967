"""Every strategy by its name, and how a policy writes one.

Each says what it is (anonymous or pseudonymous, deterministic, idempotent, injective, whether it needs a key,
what columns it takes, how long its output is) and compiles to ONE expression and one predicate; where
databases differ, `aegis.db` knows how. Another strategy is another class and another line here.

A policy writes a strategy as its name (`null`, `surrogate`) or as a name with its argument
(`{"constant": "removed"}`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.errors import InvalidPolicy
from aegis.masking.addresses import TruncateIp
from aegis.masking.calendars import ShiftDate, TruncateDate
from aegis.masking.constants import Constant, Default, Empty, Null, Redact
from aegis.masking.documents import JsonDelete, JsonSet
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind
from aegis.masking.numbers import Generalize, Noise
from aegis.masking.strategy import Strategy
from aegis.masking.texts import Partial, ScrubText
from aegis.masking.tokens import Hmac, HmacEmail, RandomToken, Surrogate, SurrogateEmail


class Preserve(Strategy):
    """The value stays as it is, because somebody decided so."""

    name = "preserve"
    outcome = "unchanged"
    takes = frozenset(Kind)
    deterministic = True
    idempotent = True
    injective = True

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write what stands there."""
        del key
        return column

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise everything."""
        del column
        return sa.true()


def _json_set(argument: Any) -> Strategy:
    return JsonSet(argument, strategy_of)


#: Strategies that are written as their name alone.
PLAIN: Final[Mapping[str, Callable[[], Strategy]]] = {
    Null.name: Null,
    Default.name: Default,
    Empty.name: Empty,
    Redact.name: Redact,
    Surrogate.name: Surrogate,
    SurrogateEmail.name: SurrogateEmail,
    RandomToken.name: RandomToken,
    Hmac.name: Hmac,
    HmacEmail.name: HmacEmail,
    TruncateIp.name: TruncateIp,
    ScrubText.name: ScrubText,
    Preserve.name: Preserve,
}
#: Strategies that are written with an argument.
WITH_ARGUMENT: Final[Mapping[str, Callable[[Any], Strategy]]] = {
    Constant.name: Constant,
    Redact.name: Redact,
    Hmac.name: Hmac,
    HmacEmail.name: HmacEmail,
    Partial.name: Partial,
    Generalize.name: Generalize,
    Noise.name: Noise,
    TruncateDate.name: TruncateDate,
    ShiftDate.name: ShiftDate,
    TruncateIp.name: TruncateIp,
    JsonSet.name: _json_set,
    JsonDelete.name: JsonDelete,
}


#: A longer word is no misspelt name: it could be the value that somebody wanted to hide.
_LONGEST: Final = 30


def strategy_of(spec: Any) -> Strategy:
    """Return the strategy that a policy writes so.

    Raises:
        InvalidPolicy: there is no such strategy, or its argument is missing or wrong.

    """
    if spec is None:
        return Null()
    if isinstance(spec, str) and spec in PLAIN:
        return PLAIN[spec]()
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((name, argument),) = spec.items()
        if name in WITH_ARGUMENT:
            return WITH_ARGUMENT[name](argument)
    known = ", ".join([*PLAIN, *(f"{name}: VALUE" for name in WITH_ARGUMENT if name not in PLAIN)])
    shown = f" {spec!r}" if isinstance(spec, str) and len(spec) < _LONGEST else ""
    message = f"there is no strategy{shown}; a column is masked with one of: {known}"
    raise InvalidPolicy(message)
