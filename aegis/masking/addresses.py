"""The strategy that makes internet addresses less exact: truncate_ip."""

from typing import Any, Final

import sqlalchemy as sa

from aegis.db.addresses import network, network_of_text
from aegis.db.readings import same
from aegis.errors import InvalidPolicy
from aegis.masking.keys import MaskKey
from aegis.masking.kinds import Kind, kind_of
from aegis.masking.strategy import Strategy, fields

#: The unspecified address: what a text becomes that is no address.
NOWHERE: Final = "0.0.0.0"  # noqa: S104 - nothing is bound to it
_USUAL: Final = {"v4": 24, "v6": 48}
_ALLOWED: Final = {"v4": range(8, 25, 8), "v6": range(16, 65, 16)}


class TruncateIp(Strategy):
    """An internet address becomes its network: of IPv4 the first 24 bits, of IPv6 the first 48.

    In text the network's first address is written, and `0.0.0.0` for a text that is no address, with its port
    or prefix for example. PostgreSQL's `inet` and `cidr` hold the network with its length, and never a
    smaller one than before. An IPv4 address that is mapped into IPv6 counts as IPv4.
    """

    name = "truncate_ip"
    outcome = "anonymous"
    takes = frozenset({Kind.TEXT, Kind.ADDRESS})
    deterministic = True
    idempotent = True
    injective = False

    def __init__(self, argument: Any = None) -> None:
        given = {} if argument is None else fields(argument, self.name, names=("v4", "v6"))
        self._bits: dict[str, int] = {**_USUAL, **given}
        for family, bits in self._bits.items():
            if bits not in _ALLOWED[family]:
                allowed = ", ".join(map(str, _ALLOWED[family]))
                message = f"truncate_ip: {family} keeps {allowed} bits: {{truncate_ip: {{v4: 16, v6: 32}}}}"
                raise InvalidPolicy(message)

    @property
    def spec(self) -> Any:
        """The name, and how many bits stay unless they are the usual ones."""
        return self.name if self._bits == _USUAL else {self.name: dict(self._bits)}

    @property
    def label(self) -> str:
        """The name, and how many bits stay unless they are the usual ones."""
        if self._bits == _USUAL:
            return self.name
        return f"{self.name} (v4 /{self._bits['v4']}, v6 /{self._bits['v6']})"

    @property
    def longest(self) -> int | None:
        """The longer of both families' networks."""
        groups = self._bits["v6"] // 16
        return max(len("255.255.255.0"), groups * len("ffff:") + 1)

    def expression(self, column: sa.ColumnElement[Any], key: MaskKey | None = None) -> sa.ColumnElement[Any]:
        """Write the network."""
        del key
        v4, v6 = self._bits["v4"], self._bits["v6"]
        if kind_of(column) is Kind.ADDRESS:
            return network(column, v4, v6)
        return network_of_text(column, v4, v6, NOWHERE)

    def recognises(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Recognise a network."""
        if kind_of(column) is Kind.ADDRESS:
            return column.is_not_distinct_from(self.expression(column))
        return same(column, self.expression(column))
