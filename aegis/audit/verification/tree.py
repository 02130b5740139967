"""The tree, recomputed from its leaf hashes and compared with every tile that is stored.

It is read once from left to right; of each level only the tile that is growing is remembered.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

import sqlalchemy as sa

from aegis.audit import head
from aegis.audit.tlog import merkle, tiles
from aegis.audit.tlog.merkle import HASH_BYTES
from aegis.audit.tlog.tiles import HEIGHT, WIDTH, Place
from aegis.audit.verification.findings import Findings, Kind, Progress, Said, Tell
from aegis.db.rawrows import Fetcher
from aegis.db.tables import AuditTile

#: Tiles of level 0 that are read at once: half a megabyte.
_PORTION: Final = 64
_FULL_BYTES: Final = WIDTH * HASH_BYTES
#: How the hashes of a full tile, and of each level above them, fall into pairs.
_PAIRS: Final = [Struct(f"{2 * HASH_BYTES}s" * (WIDTH >> height)) for height in range(1, HEIGHT + 1)]
#: Tiles too many that are named.
_NAMED: Final = 10


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The tree over the leaf hashes that are stored."""

    size: int
    root: bytes
    #: Reads its nodes: the recomputed ones where other ones are stored.
    node: merkle.Node
    #: Tiles of level 0 in which the leaf hashes are not those of the tree that was signed.
    doubtful: frozenset[int]


def recompute(
    connection: sa.Connection, size: int, signed: bytes | None, findings: Findings, tell: Tell
) -> Tree:
    """Recompute the tree from its tiles of level 0; name every tile that is another one.

    Args:
        connection: of the control database.
        size: leaves of the tree.
        signed: the root that a trusted key signed for this size, if there is one.
        findings: takes what is found.
        tell: is told how far it has come.

    """
    growth = _Growth(connection)
    for number, data in _leaf_tiles(connection, size, findings, tell):
        growth.put(number, data, whole=size >= (number + 1) * WIDTH)
    growth.end()
    node = tiles.reader(growth.fetch)
    root = merkle.root(size, node)
    if signed in {None, root}:
        doubtful: frozenset[int] = frozenset()
        growth.name_changed(findings)
    else:
        doubtful = growth.name_doubtful(findings) or _last(size)
    _name_superfluous(connection, size, findings)
    return Tree(size=size, root=root, node=node, doubtful=doubtful)


@dataclass(kw_only=True)
class _Changed:
    """A tile that is another one than the hashes below it make."""

    stored: bytes
    recomputed: bytes

    @property
    def places(self) -> list[int]:
        """Where they differ."""
        steps = range(0, len(self.recomputed), HASH_BYTES)
        differ = [self.stored[at : at + HASH_BYTES] != self.recomputed[at : at + HASH_BYTES] for at in steps]
        return [place for place, other in enumerate(differ) if other]


@dataclass
class _Growth:
    """The levels above the leaf hashes while they grow."""

    connection: sa.Connection
    #: Level → the hashes of its rightmost tile so far.
    _growing: dict[int, bytearray] = field(default_factory=dict)
    #: Level → the number of that tile.
    _numbers: dict[int, int] = field(default_factory=dict)
    #: Tiles of level 0 that are not as wide as they have to be, made so.
    _mended: dict[Place, bytes] = field(default_factory=dict)
    _changed: dict[Place, _Changed] = field(default_factory=dict)

    def put(self, number: int, data: tuple[bytes, bytes], *, whole: bool) -> None:
        """Take the next tile of level 0, as it is stored and as wide as it has to be."""
        stored, wide = data
        if stored != wide:
            self._mended[0, number] = wide
        if whole:
            self._push(1, _root(wide))

    def _push(self, level: int, node: bytes) -> None:
        growing = self._growing.setdefault(level, bytearray())
        growing += node
        if len(growing) == _FULL_BYTES:
            self._close(level)
            self._push(level + 1, _root(bytes(growing)))
            growing.clear()

    def _close(self, level: int) -> None:
        """Compare a tile with the stored one."""
        number, made = self._numbers.get(level, 0), bytes(self._growing[level])
        stored = head.tile(self.connection, level, number)
        if stored != made:
            self._changed[level, number] = _Changed(stored=stored, recomputed=made)
        self._numbers[level] = number + 1

    def end(self) -> None:
        """Compare the tiles that are not full."""
        for level, growing in self._growing.items():
            if growing:
                self._close(level)

    def fetch(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile as they have to be."""
        changed = self._changed.get((level, number))
        if changed:
            return changed.recomputed
        return self._mended.get((level, number)) or head.tile(self.connection, level, number)

    def name_changed(self, findings: Findings) -> None:
        """Name each tile above the leaf hashes that differs: these are the signed ones."""
        for (level, number), changed in self._changed.items():
            _add(findings, (level, number), expected=changed.recomputed, got=changed.stored)

    def name_doubtful(self, findings: Findings) -> frozenset[int]:
        """Name the lowest tiles that do not fit those above: the leaf hashes are not the signed ones."""
        doubtful = set()
        for (level, number), changed in self._changed.items():
            for place in changed.places:
                below = (level - 1, number * WIDTH + place)
                if below in self._changed:
                    continue
                at = slice(place * HASH_BYTES, (place + 1) * HASH_BYTES)
                _add(findings, below, expected=changed.stored[at], got=changed.recomputed[at])
                if level == 1:
                    doubtful.add(below[1])
        return frozenset(doubtful)


def _leaf_tiles(
    connection: sa.Connection, size: int, findings: Findings, tell: Tell
) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
    """Yield the number of each tile of level 0, and its hashes as stored and as wide as they have to be."""
    first, after = sa.bindparam("first", type_=sa.BigInteger), sa.bindparam("after", type_=sa.BigInteger)
    within = (AuditTile.level == 0) & (AuditTile.number >= first) & (AuditTile.number < after)
    fetch = Fetcher(connection, sa.select(AuditTile.number, AuditTile.hashes).where(within))
    count = -(-size // WIDTH)
    for start in range(0, count, _PORTION):
        after_last = min(start + _PORTION, count)
        rows: dict[int, bytes] = {row[0]: row[1] for row in fetch({"first": start, "after": after_last})}
        for number in range(start, after_last):
            yield number, _fitted(number, rows.get(number), min(WIDTH, size - number * WIDTH), findings)
        tell(Progress(phase="tree", done=min(after_last * WIDTH, size), total=size))


def _fitted(number: int, stored: bytes | None, width: int, findings: Findings) -> tuple[bytes, bytes]:
    hashes, needed = stored or b"", width * HASH_BYTES
    if len(hashes) != needed:
        findings.add(
            Kind.TILE,
            leaf=number * WIDTH,
            column=tiles.path(0, number),
            expected=Said(text=f"{width} leaf hashes"),
            got=Said(text="no tile" if stored is None else f"{len(hashes)} bytes"),
        )
    # Zeros keep the leaves to the right in their places.
    return hashes, hashes[:needed].ljust(needed, b"\0")


def _root(hashes: bytes) -> bytes:
    """Return the root of a full tile."""
    begun, level = hashlib.sha256(b"\x01"), hashes
    for pairs in _PAIRS:
        above = bytearray()
        for pair in pairs.unpack(level):
            # To copy what the first byte makes takes less than to begin anew.
            node = begun.copy()
            node.update(pair)
            above += node.digest()
        level = bytes(above)
    return level


def _last(size: int) -> frozenset[int]:
    """Return the number of the tile of level 0 that no tile above speaks for."""
    return frozenset({size // WIDTH} if size % WIDTH else ())


def _name_superfluous(connection: sa.Connection, size: int, findings: Findings) -> None:
    """Name tiles that the tree does not have."""
    counts, level, hashes = {}, 0, size
    while hashes:
        counts[level] = -(-hashes // WIDTH)
        level, hashes = level + 1, hashes >> HEIGHT
    right = [(AuditTile.level == of) & (AuditTile.number >= count) for of, count in counts.items()]
    outside = sa.or_(AuditTile.level >= level, AuditTile.level < 0, AuditTile.number < 0, *right)
    query = sa.select(AuditTile.level, AuditTile.number).where(outside)
    for row in connection.execute(query.order_by(AuditTile.level, AuditTile.number).limit(_NAMED)):
        path = tiles.path(row.level, abs(row.number))
        findings.add(Kind.TILE, column=path, expected=Said(text="no such tile"), got=Said(text="a tile"))


def _add(findings: Findings, place: Place, *, expected: bytes, got: bytes) -> None:
    """Name a tile, or the tile that belongs to a hash."""
    level, number = place
    leaf = number << HEIGHT * (level + 1)
    findings.add(Kind.TILE, leaf=leaf, column=tiles.path(level, number), expected=expected, got=got)
