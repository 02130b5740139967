"""Random digits and numbers, made by the database's cryptographic generator, new in each row."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aegis.db.keyed import leading_number

_UUID: Final = "replace(CAST(gen_random_uuid() AS TEXT), '-', '')"


class _Hex(FunctionElement[str]):
    # Not deterministic: the database makes others for each row.
    inherit_cache = True
    type = sa.String()


def random_hex(digits: int) -> sa.ColumnElement[str]:
    """Return so many random hexadecimal digits, in small letters.

    On PostgreSQL six bits in 32 digits are those of a UUID.
    """
    whole: sa.ColumnElement[str] = _Hex()
    return sa.func.substr(whole, 1, digits, type_=sa.String())


def random_number() -> sa.ColumnElement[int]:
    """Return a random number from 0 to 2^48 - 1, each as likely as any other."""
    return leading_number(_Hex())


@compiles(_Hex, "postgresql")
def _of_uuids(element: _Hex, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return f"({_UUID} || {_UUID})"


@compiles(_Hex, "mysql", "mariadb")
def _of_bytes(element: _Hex, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return "LOWER(HEX(RANDOM_BYTES(32)))"


@compiles(_Hex, "sqlite")
def _of_blob(element: _Hex, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return "lower(hex(randomblob(32)))"
