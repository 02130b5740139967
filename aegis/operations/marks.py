"""Sealed boxes. Marks tell where a shard goes on, and are sealed because a key can be an e-mail address."""

import base64
import datetime as dt
import decimal
import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from aegis.errors import OperationFailed, Tampered

_NONCE: Final = 12

_WRITERS: Final[Mapping[type, tuple[str, Callable[[Any], str]]]] = {
    dt.datetime: ("datetime", dt.datetime.isoformat),
    dt.date: ("date", dt.date.isoformat),
    dt.time: ("time", dt.time.isoformat),
    decimal.Decimal: ("decimal", str),
    uuid.UUID: ("uuid", str),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
}
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
    "bytes": base64.b64decode,
}


class Box:
    """Seals and opens plain data with AES-256-GCM-SIV, bound to what it is about."""

    def __init__(self, key: bytes, about: str, what: str) -> None:
        self._cipher = AESGCMSIV(key)
        self._about = about.encode()
        self._what = what

    def seal(self, data: Mapping[str, Any]) -> bytes:
        """Return the data as bytes that only Aegis's workers read."""
        nonce = secrets.token_bytes(_NONCE)
        plain = json.dumps(data, default=_write).encode()
        return nonce + self._cipher.encrypt(nonce, plain, self._about)

    def open(self, sealed: bytes | None) -> dict[str, Any]:
        """Return the data; nothing when nothing was sealed yet.

        Raises:
            Tampered: the bytes are about something else, or sealed with another key.

        """
        if sealed is None:
            return {}
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._about)
        except InvalidTag:
            message = f"the {self._what} does not open with the worker key"
            raise Tampered(message) from None
        data: dict[str, Any] = json.loads(plain, object_hook=_read)
        return data


class MarkBox(Box):
    """Seals and opens the marks of one shard."""

    def __init__(self, key: bytes, run: str, shard: int) -> None:
        super().__init__(key, f"{run}/{shard}", f"mark of shard {run}/{shard}")


def _write(value: Any) -> dict[str, str]:
    if type(value) not in _WRITERS:
        message = (
            f"a key of type {type(value).__name__} cannot be kept in a mark; the table is not supported yet"
        )
        raise OperationFailed(message)
    name, write = _WRITERS[type(value)]
    return {"$" + name: write(value)}


def _read(item: dict[str, Any]) -> Any:
    if len(item) == 1:
        ((name, value),) = item.items()
        if name.startswith("$"):
            return _READERS[name[1:]](value)
    return item
