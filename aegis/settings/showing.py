"""Settings and URLs as they may be printed: without any secret."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aegis.settings.model import Settings

_SECRET = re.compile("([^&=]*(?:pass|pwd|secret|token|key)[^&=]*)=[^&]*", re.IGNORECASE)


def masked(url: str) -> str:
    """Return the URL with every secret in it replaced, fit to be printed."""
    parts = urlsplit(url)
    if parts.password is not None:
        url = url.replace(parts.netloc, f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}", 1)
    head, mark, query = url.partition("?")
    return head + mark + _SECRET.sub(r"\1=***", query)


def describe(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain data with every secret masked."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {name: plain(item) for name, item in value.items()}
        if isinstance(value, Path):
            return str(value)
        return masked(value) if isinstance(value, str) and "://" in value else value

    return {
        name: plain(value)
        for name, value in [
            *((f.name, getattr(settings, f.name)) for f in dataclasses.fields(settings)),
            ("database_url", settings.control.url),
            ("keys_url", settings.keys.url),
            ("archives", dataclasses.replace(settings.archives, url=settings.archives_url)),
            ("erasure", dataclasses.replace(settings.erasure, tombstones=settings.tombstones_url)),
            (
                "federated",
                dataclasses.replace(
                    settings.federated, outputs=settings.outputs_url, inputs=settings.inputs_url
                ),
            ),
        ]
    }
