"""Persons who must stand nowhere, and the search for them in every spelling."""

import base64
import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis
import sqlalchemy as sa

#: Stands in every name, so that part of one is found too.
FAMILY: Final = "Quillfeather"
ANYBODY: Final = "somebody"
#: Each value of a person has one of these in it: where none is, nobody need be looked for.
COMMON: Final = (".7f3a", FAMILY, "49 30 55", "493055")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody, with values that are nobody else's."""

    #: What the person is in the test; its own word, so that a hit says whose it is.
    role: str
    number: int

    @property
    def email(self) -> str:
        """An address."""
        return f"{self.role}.7f3a@canary.example"

    @property
    def name(self) -> str:
        """A name with a letter that is not ASCII, for it is escaped differently."""
        return f"K\u00e1ra {self.role} {FAMILY}"

    @property
    def phone(self) -> str:
        """A number with blanks; the last digits are everybody's, for Base64 blurs the end of a text."""
        return f"+49 30 55{self.number:02d} 7341"

    @property
    def text(self) -> str:
        """A sentence about the person."""
        return f"{self.name} ({self.email}, {self.phone}) has objected"

    @property
    def values(self) -> tuple[str, ...]:
        """Everything to look for."""
        local, _, _ = self.email.partition("@")
        return (self.email, local, self.name, self.phone, self.phone.replace(" ", ""))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Bytes that were found somewhere."""

    name: str
    content: bytes = field(repr=False)
    #: Roles that may stand here, each with its reason.
    by_design: Mapping[str, str] = field(default_factory=dict)


def search(places: Iterable[Place], persons: Iterable[Person]) -> list[str]:
    """Return `place: role spelling`, for each hit that is not by design."""
    needles = [
        (person.role, needle) for person in persons for value in person.values for needle in spellings(value)
    ]
    needles += [(ANYBODY, needle) for needle in spellings(FAMILY)]
    hints = [hint for part in COMMON for hint in spellings(part)]
    found: dict[str, str] = {}
    for place in places:
        lower = place.content.lower()
        if not any(_stands(hint, place.content, lower) for hint in hints):
            continue
        for role, needle in needles:
            by_design = role in place.by_design or (role == ANYBODY and place.by_design)
            if not by_design and _stands(needle, place.content, lower):
                found.setdefault(f"{place.name}: {role}", needle[0])
    return sorted(f"{where} ({how})" for where, how in found.items())


def _stands(needle: tuple[str, bytes], content: bytes, lower: bytes) -> bool:
    how, letters = needle
    # Base64 tells letters apart, so it is looked for as it is.
    return letters in (content if how == "base64" else lower)


def spellings(value: str) -> Iterator[tuple[str, bytes]]:
    """Yield the ways in which a text can stand in bytes."""
    plain = value.encode()
    yield "plain", plain.lower()
    yield "JSON", json.dumps(value)[1:-1].encode().lower()
    yield "URL", urllib.parse.quote(value, safe="").encode().lower()
    yield "hex", plain.hex().encode()
    yield "UTF-16", value.lower().encode("utf-16-le")
    for text in (plain, json.dumps(value)[1:-1].encode()):
        for before in range(3):
            yield "base64", _middle(text, before)


def _middle(text: bytes, before: int) -> bytes:
    """Return the letters of Base64 that do not depend on what stands around the text."""
    encoded = base64.b64encode(bytes(before) + text)
    first, last = -(-before * 8 // 6), (before + len(text)) * 8 // 6
    return encoded[first:last]


def of_database(name: str, engine: sa.Engine, leave_out: Iterable[str] = ()) -> Iterator[Place]:
    """Yield every table of a database, every column of it."""
    look = sa.inspect(engine)
    left_out = set(leave_out)
    for schema in [None, *({"aegis"} & set(look.get_schema_names()))]:
        for table in look.get_table_names(schema=schema):
            if table not in left_out:
                label = f"{schema}.{table}" if schema else table
                with engine.connect() as connection:
                    rows = connection.execute(sa.text(f"SELECT * FROM {label}")).all()  # noqa: S608
                yield Place(name=f"{name}.{label}", content=b"\n".join(map(_row, rows)))


def _row(row: Iterable[Any]) -> bytes:
    return b"\x1f".join(_bytes(value) for value in row)


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def of_folder(name: str, folder: Path, leave_out: Iterable[Path] = ()) -> Iterator[Place]:
    """Yield every file below a folder, and the names of all."""
    left_out = set(leave_out)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path not in left_out]
    yield Place(name=f"{name}: names of files", content="\n".join(map(str, files)).encode())
    for path in files:
        yield Place(name=f"{name}/{path.relative_to(folder)}", content=path.read_bytes())


def of_redis(name: str, url: str) -> Iterator[Place]:
    """Yield every key of Redis with its whole value."""
    client: Any = redis.Redis.from_url(url, protocol=2)
    for key in client.keys("*"):
        kind = client.type(key).decode()
        if kind == "none":  # it was consumed, or expired, since it was listed
            continue
        read: dict[str, Any] = {
            "string": client.get,
            "list": lambda key: client.lrange(key, 0, -1),
            "hash": client.hgetall,
            "set": client.smembers,
            "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        }
        value = read[kind](key)
        yield Place(name=f"{name} {key.decode()}", content=key + b"\n" + _flat(value))
    client.close()


def _flat(value: Any) -> bytes:
    if isinstance(value, Mapping):
        return b"\n".join(_flat(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set):
        return b"\n".join(map(_flat, value))
    return _bytes(value)
