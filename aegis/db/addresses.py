"""Networks of internet addresses, from text and from PostgreSQL's own types.

A text is an address only in the forms of RFC 4291 without zone, port and prefix. An IPv4 address that is
mapped into IPv6 counts as IPv4.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aegis.db.compiling import parts
from aegis.db.patterns import whole

_BYTE: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])"
_V4: Final = f"(?:{_BYTE}[.]){{3}}{_BYTE}"
_GROUP: Final = "[0-9A-Fa-f]{1,4}"
_MAPPED: Final = "::[Ff][Ff][Ff][Ff]:"


class _Network(FunctionElement[str]):
    inherit_cache = True
    type = sa.Text()


class _Masked(FunctionElement[Any]):
    inherit_cache = True


def network_of_text(text: sa.ColumnElement[Any], v4: int, v6: int, otherwise: str) -> sa.ColumnElement[Any]:
    """Return the first address of the network that an address written as text lies in.

    Args:
        text: the address.
        v4: the bits of an IPv4 network, a multiple of 8.
        v6: the bits of an IPv6 network, a multiple of 8.
        otherwise: what a text becomes that is no address.

    """
    bare = sa.func.substr(text, len("::ffff:") + 1, type_=sa.Text())
    return sa.case(
        (whole(text, _V4), _Network(text, *_prefix(v4, 32))),
        (whole(text, f"{_MAPPED}{_V4}"), _Network(bare, *_prefix(v4, 32))),
        (whole(text, _v6()), _Network(text, *_prefix(v6, 128))),
        else_=sa.bindparam(None, otherwise, sa.String(), unique=True),
    )


def network(column: sa.ColumnElement[Any], v4: int, v6: int) -> sa.ColumnElement[Any]:
    """Return the network that an `inet` or `cidr` of PostgreSQL lies in, never a smaller one than it was."""
    return _Masked(column, *(sa.literal(bits, sa.Integer()) for bits in (v4, 96 + v4, v6)))


def _prefix(bits: int, of: int) -> list[sa.ColumnElement[Any]]:
    """Return a prefix's length, its length in hexadecimal digits, and the digits of the whole address."""
    return [sa.literal(number, sa.Integer()) for number in (bits, bits // 4, of // 4)]


def _v6() -> str:
    """Return the pattern of an IPv6 address: eight groups, or fewer around `::`."""
    forms = [f"(?:{_GROUP}:){{7}}{_GROUP}", f"(?:{_GROUP}:){{6}}{_V4}"]
    for left in range(8):
        head = f"(?:{_GROUP}:){{{left - 1}}}{_GROUP}" if left else ""
        most = 7 - left
        forms += [f"{head}::(?:{_tail(most)})?" if most else f"{head}::"]
    return "|".join(forms)


def _tail(most: int) -> str:
    groups = f"(?:{_GROUP}:){{0,{most - 1}}}{_GROUP}"
    return groups if most < 2 else f"(?:{_GROUP}:){{0,{most - 2}}}{_V4}|{groups}"  # noqa: PLR2004 - it stands for two groups


@compiles(_Network, "postgresql")
def _by_inet(element: _Network, compiler: SQLCompiler, **options: Any) -> str:
    text, bits, *_ = parts(element, compiler, options)
    return f"host(network(set_masklen(CAST(CAST({text} AS TEXT) AS INET), {bits})))"


@compiles(_Network, "mysql", "mariadb")
def _by_digits(element: _Network, compiler: SQLCompiler, **options: Any) -> str:
    text, _, kept, digits = parts(element, compiler, options)
    return f"INET6_NTOA(UNHEX(RPAD(LEFT(HEX(INET6_ATON({text})), {kept}), {digits}, '0')))"


@compiles(_Network, "sqlite")
def _by_python(element: _Network, compiler: SQLCompiler, **options: Any) -> str:
    text, bits, *_ = parts(element, compiler, options)
    return f"aegis_network({text}, {bits})"


@compiles(_Masked, "postgresql")
def _no_smaller(element: _Masked, compiler: SQLCompiler, **options: Any) -> str:
    column, v4, mapped, v6 = parts(element, compiler, options)
    address = f"CAST({column} AS INET)"
    bits = (
        f"CASE WHEN family({address}) = 4 THEN {v4} "
        f"WHEN {address} <<= INET '::ffff:0:0/96' THEN {mapped} ELSE {v6} END"
    )
    return f"network(set_masklen({address}, LEAST(masklen({address}), {bits})))"
