"""The residual scan of Aegis's own stores: the control database, the key store, and what stands in Redis."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import redis

from aegis.db.blocks import block_of
from aegis.db.engines import CONTROL, Databases
from aegis.db.searchable import Searchable
from aegis.erasure.residual.finding import Finder, Sought, anybodys
from aegis.erasure.residual.hits import Hit, Hits
from aegis.erasure.residual.scanning import Scan
from aegis.errors import Refused, Unreachable

_CHUNK: Final = 500
#: Messages of tasks carry their arguments so.
_BODY: Final = re.compile(rb'"body": ?"((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)"')
_REDIS: Final = Searchable(label="redis", schema=None, name="redis", columns=("key", "value"), key=("key",))


@dataclass(frozen=True, kw_only=True)
class RedisSearched:
    """What was found in one database of Redis."""

    #: Of the table `redis`; its columns are `key` and `value`, each key digested.
    hits: tuple[Hit, ...]
    #: What is there and was not searched, in words.
    left_out: tuple[str, ...]


def own_scans(databases: Databases, sought: Sought, digest: Callable[[str], str]) -> dict[str, Scan]:
    """Return the scans of Aegis's own databases, by what each is called."""
    engines = {CONTROL: databases.control, "key store": databases.keys}
    return {label: Scan(engine, label, sought, digest=digest) for label, engine in engines.items()}


def search_redis(
    client: redis.Redis,
    sought: Sought,
    digest: Callable[[str], str],
    on_stretch: Callable[[], None] = lambda: None,
) -> RedisSearched:
    """Search every key and value of one database of Redis: queues, messages not yet done, results.

    Args:
        client: a connection to it that decodes nothing.
        sought: everybody who is looked for.
        digest: makes of a key what can be shown.
        on_stretch: is called after some of the values.

    Raises:
        Unreachable: it does not answer.
        Refused: its rules do not let Aegis read everything.

    """
    finder = Finder(sought, anybodys, digest)
    found, unread = Hits(), set[str]()
    try:
        values = _values(client, unread)
        while some := list(islice(values, _CHUNK)):
            found.add(finder.hits(_REDIS, block_of(some)))
            on_stretch()
    except (redis.ConnectionError, redis.TimeoutError) as error:
        message = f"Redis does not answer ({type(error).__name__}); check that it runs and its login"
        raise Unreachable(message) from None
    except redis.ResponseError as error:
        message = f"Redis refuses to be read ({type(error).__name__}); allow Aegis ~* and +@read"
        raise Refused(message) from None
    return RedisSearched(hits=tuple(found), left_out=tuple(f"keys of type {kind}" for kind in sorted(unread)))


def _values(client: Any, unread: set[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield every value with its key."""
    for key in client.scan_iter(count=_CHUNK):
        kind = client.type(key).decode()
        # A key that has expired since has no type.
        if kind not in {*_READ, "none"}:
            unread.add(kind)
        for value in _READ.get(kind, _nothing)(client, key):
            yield key, value
            yield from ((key, base64.b64decode(body)) for body in _BODY.findall(value))


def _nothing(_client: Any, _key: bytes) -> Iterable[bytes]:
    return ()


def _string(client: Any, key: bytes) -> Iterable[bytes]:
    return [client.get(key) or b""]


def _list(client: Any, key: bytes) -> Iterator[bytes]:
    start = 0
    while some := client.lrange(key, start, start + _CHUNK - 1):
        yield from some
        start += len(some)


def _hash(client: Any, key: bytes) -> Iterator[bytes]:
    for pair in client.hscan_iter(key, count=_CHUNK):
        yield from pair


def _set(client: Any, key: bytes) -> Iterator[bytes]:
    yield from client.sscan_iter(key, count=_CHUNK)


def _sorted_set(client: Any, key: bytes) -> Iterator[bytes]:
    yield from (member for member, _ in client.zscan_iter(key, count=_CHUNK))


def _stream(client: Any, key: bytes) -> Iterator[bytes]:
    start = b"-"
    while some := client.xrange(key, min=start, count=_CHUNK):
        yield from (part for _, pairs in some for pair in pairs.items() for part in pair)
        start = b"(" + some[-1][0]


_READ: Final[Mapping[str, Callable[[Any, bytes], Iterable[bytes]]]] = {
    "string": _string,
    "list": _list,
    "hash": _hash,
    "set": _set,
    "zset": _sorted_set,
    "stream": _stream,
}
