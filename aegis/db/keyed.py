"""HMAC-SHA256 (RFC 2104) computed by the database, without an extension.

The key is never bound: only its two pads are, each the key filled up to a block and crossed with its
constant.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aegis.db.compiling import parts


class _Hmac(FunctionElement[str]):
    inherit_cache = True
    type = sa.String()


class _HalfHmac(FunctionElement[str]):
    inherit_cache = True
    type = sa.String()


class _Leading(FunctionElement[int]):
    inherit_cache = True
    type = sa.BigInteger()


def hmac_hex(text: sa.ColumnElement[Any], inner: bytes, outer: bytes) -> sa.ColumnElement[str]:
    """Return the HMAC of a text's UTF-8, as 64 hexadecimal digits.

    Args:
        text: what is authenticated.
        inner: 64 bytes, the key crossed with 0x36.
        outer: 64 bytes, the key crossed with 0x5c.

    """
    return _Hmac(text, _bound(inner), _bound(outer))


def half_hmac_hex(text: sa.ColumnElement[Any], inner: bytes, outer: bytes) -> sa.ColumnElement[str]:
    """Return the first 32 of the digits that `hmac_hex` returns."""
    return _HalfHmac(text, _bound(inner), _bound(outer))


def leading_number(digits: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Return the first 12 hexadecimal digits of a text as a number, from 0 to 2^48 - 1."""
    return _Leading(digits)


def _bound(pad: bytes) -> sa.BindParameter[str]:
    # As digits: not every driver tells bytes from a text in a character set.
    return sa.bindparam(None, pad.hex(), sa.String(), unique=True)


@compiles(_HalfHmac)
def _cut(element: _HalfHmac, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(_Hmac(*element.clauses), **options)}, 1, 32)"


@compiles(_HalfHmac, "postgresql")
def _cut_before(element: _HalfHmac, compiler: SQLCompiler, **options: Any) -> str:
    # Digits that are not wanted are not written first.
    return f"encode(substr({_sha256(element, compiler, options)}, 1, 16), 'hex')"


@compiles(_Hmac, "postgresql")
def _by_sha256(element: _Hmac, compiler: SQLCompiler, **options: Any) -> str:
    return f"encode({_sha256(element, compiler, options)}, 'hex')"


def _sha256(element: _Hmac | _HalfHmac, compiler: SQLCompiler, options: dict[str, Any]) -> str:
    text, inner, outer = parts(element, compiler, options)
    message = f"decode({inner}, 'hex') || convert_to(CAST({text} AS TEXT), 'UTF8')"
    return f"sha256(decode({outer}, 'hex') || sha256({message}))"


@compiles(_Hmac, "mysql", "mariadb")
def _by_sha2(element: _Hmac, compiler: SQLCompiler, **options: Any) -> str:
    text, inner, outer = parts(element, compiler, options)
    message = f"CONCAT(UNHEX({inner}), CONVERT({text} USING utf8mb4))"
    return f"SHA2(CONCAT(UNHEX({outer}), UNHEX(SHA2({message}, 256))), 256)"


@compiles(_Hmac, "sqlite")
def _by_python(element: _Hmac, compiler: SQLCompiler, **options: Any) -> str:
    return f"aegis_hmac({', '.join(parts(element, compiler, options))})"


@compiles(_Leading, "postgresql")
def _by_bits(element: _Leading, compiler: SQLCompiler, **options: Any) -> str:
    (digits,) = parts(element, compiler, options)
    return f"CAST(CAST('x' || substr({digits}, 1, 12) AS BIT(48)) AS BIGINT)"


@compiles(_Leading, "mysql", "mariadb")
def _by_base(element: _Leading, compiler: SQLCompiler, **options: Any) -> str:
    (digits,) = parts(element, compiler, options)
    return f"CAST(CONV(SUBSTR({digits}, 1, 12), 16, 10) AS SIGNED)"


@compiles(_Leading, "sqlite")
def _by_number(element: _Leading, compiler: SQLCompiler, **options: Any) -> str:
    (digits,) = parts(element, compiler, options)
    return f"aegis_leading({digits})"
