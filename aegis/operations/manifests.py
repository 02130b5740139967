"""The manifest of an archive: what it holds, in plain JSON, under a MAC of the workers' key."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from aegis.audit.events import canonical
from aegis.errors import Tampered

NAME: Final = "manifest.json"


def write(body: Mapping[str, Any], key: bytes) -> bytes:
    """Return the manifest's bytes: canonical JSON with its MAC."""
    return canonical({**body, "mac": _mac(body, key)})


def read(data: bytes, key: bytes, *, archive: str, digest: str | None) -> dict[str, Any]:
    """Return a manifest's content.

    Args:
        data: the file.
        key: of the MAC.
        archive: the one whose manifest it must be.
        digest: the SHA-256 that the control database has of it.

    Raises:
        Tampered: it is not the manifest that was written.

    """
    body: dict[str, Any] = {}
    try:
        body = json.loads(data)
        mac = str(body.pop("mac"))
        genuine = hmac.compare_digest(mac.encode(), _mac(body, key).encode())
    except (ValueError, KeyError, AttributeError, TypeError):
        genuine = False
    if not genuine or body.get("archive") != archive or digest_of(data) != digest:
        message = f"the manifest of archive {archive} is not the one that was written; nothing was changed"
        raise Tampered(message)
    return body


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a manifest's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def _mac(body: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical(body), "sha256").hexdigest()
