"""The functions that SQLite lacks, in Python; each connection of Aegis is given them.

All are deterministic, take NULL for NULL, and return NULL for a value that they cannot read.
"""

import datetime as dt
import decimal
import functools
import hashlib
import ipaddress
import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

_TIME: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<time>(?P<gap>[ T])\d\d:\d\d(?::\d\d)?(?P<fraction>\.\d{1,6})?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?"
)
_NO_DOCUMENT: Final = "{}"
_UNREADABLE: Final = (ValueError, TypeError, OverflowError, ArithmeticError, RecursionError)


def register(connection: sqlite3.Connection) -> None:
    """Give a connection every function."""
    for name, function in FUNCTIONS.items():
        places = function.__code__.co_argcount
        connection.create_function(name, places, _readable(function), deterministic=True)


def _readable(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*values: Any) -> Any:
        if values[0] is None:
            return None
        try:
            return function(*values)
        except _UNREADABLE:
            return None

    return call


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@functools.lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _hmac(text: Any, inner: str, outer: str) -> str:
    """RFC 2104 with both pads made beforehand."""
    return hashlib.sha256(
        bytes.fromhex(outer) + hashlib.sha256(bytes.fromhex(inner) + _bytes(text)).digest()
    ).hexdigest()


def _leading(digits: str) -> int:
    return int(digits[:12], 16)


def _found(text: Any, pattern: str) -> bool:
    return _compiled(pattern).search(str(text)) is not None


def _replaced(text: Any, pattern: str, word: str) -> str:
    return _compiled(pattern).sub(lambda _: word, str(text))


def _floor(number: Any, step: str) -> float | int:
    value, size = decimal.Decimal(str(number)), decimal.Decimal(step)
    return _plain((value / size).to_integral_value(decimal.ROUND_FLOOR) * size)


def _moved(number: Any, units: int, unit: str) -> float | int:
    return _plain(decimal.Decimal(str(number)) + units * decimal.Decimal(unit))


def _plain(number: decimal.Decimal) -> float | int:
    return int(number) if number == number.to_integral_value() else float(number)


def _network(text: str, prefix: int) -> str:
    network = ipaddress.ip_network(f"{text}/{prefix}", strict=False)
    return str(network.network_address)


def _beginning(text: str, unit: str) -> str | None:
    """Return the first instant of a UTC day, month or year, written as the text is."""
    read = _read(text)
    if read is None:
        return None
    day, shape = read
    first = {"year": day.replace(month=1, day=1), "month": day.replace(day=1), "day": day}[unit]
    zeros = re.sub(r"\d", "0", shape["time"] or "")
    return f"{first.date().isoformat()}{zeros}{_zone(shape)}"


def _shifted(text: str, days: int) -> str | None:
    read = _read(text)
    if read is None:
        return None
    at, shape = read
    moved = at + dt.timedelta(days=days)
    if not shape["time"]:
        return moved.date().isoformat()
    digits = len(shape["fraction"] or ".") - 1
    fraction = f".{moved.microsecond:06}"[: digits + 1] if digits else ""
    seconds = moved.strftime("%H:%M:%S" if shape["time"].count(":") > 1 else "%H:%M")
    return f"{moved.date().isoformat()}{shape['gap']}{seconds}{fraction}{_zone(shape)}"


def _read(text: Any) -> tuple[dt.datetime, Mapping[str, str | None]] | None:
    """Return a time in UTC, and how it was written; None when it is none."""
    form = _TIME.fullmatch(text) if isinstance(text, str) else None
    if form is None:
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment, form.groupdict()


def _zone(shape: Mapping[str, str | None]) -> str:
    zone = shape["zone"]
    return "+00:00" if zone not in {None, "Z"} else zone or ""


def _document(text: Any) -> str:
    """Return a document in which every key stands once and as itself; `{}` for what is none."""
    if not isinstance(text, str):
        return _NO_DOCUMENT
    try:
        read = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
        plain = json.dumps(read, ensure_ascii=False) if "\\" in text else text
        plain.encode()
    except _UNREADABLE:
        return _NO_DOCUMENT
    return plain


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError
    return read


def _refuse(word: str) -> None:
    raise ValueError(word)


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "aegis_hmac": _hmac,
    "aegis_leading": _leading,
    "aegis_found": _found,
    "aegis_replaced": _replaced,
    "aegis_floor": _floor,
    "aegis_moved": _moved,
    "aegis_network": _network,
    "aegis_beginning": _beginning,
    "aegis_shifted": _shifted,
    "aegis_document": _document,
}
