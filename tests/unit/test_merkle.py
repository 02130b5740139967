"""RFC 6962 trees: every proof checks out, and no other does."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.audit.tlog import merkle, tiles
from aegis.errors import Tampered

LEAVES = [merkle.leaf_hash(str(number).encode()) for number in range(700)]
SIZES = st.integers(min_value=1, max_value=len(LEAVES))


def naive_root(hashes: list[bytes]) -> bytes:
    """Return the root as the RFC defines it, by recursion."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    left, right = naive_root(hashes[:middle]), naive_root(hashes[middle:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def node(level: int, index: int) -> bytes:
    """Read a node from all leaves at hand."""
    return naive_root(LEAVES[index << level : (index + 1) << level])


def test_known_answers() -> None:
    """The roots of Certificate Transparency's own test vectors."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    inputs.append("606162636465666768696a6b6c6d6e6f")
    hashes = [merkle.leaf_hash(bytes.fromhex(text)) for text in inputs]
    assert merkle.root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (
        merkle.root_of(hashes[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert merkle.root_of(hashes).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(size=st.integers(min_value=0, max_value=len(LEAVES)))
def test_roots(size: int) -> None:
    """The root read from nodes and the root of hashes at hand are that of the definition."""
    expected = naive_root(LEAVES[:size])
    assert merkle.root_of(LEAVES[:size]) == expected
    assert merkle.root(size, node) == expected


@given(size=SIZES, data=st.data())
def test_inclusion(size: int, data: st.DataObject) -> None:
    """A leaf's path leads to the root; that of another leaf, a longer and a shorter one do not."""
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    path, expected = merkle.inclusion(index, size, node), naive_root(LEAVES[:size])
    assert merkle.root_from_inclusion(index, size, LEAVES[index], path) == expected
    assert merkle.root_from_inclusion(index, size, merkle.leaf_hash(b"other"), path) != expected
    with pytest.raises(Tampered, match="expected an audit path of"):
        merkle.root_from_inclusion(index, size, LEAVES[index], [*path, expected])
    if path:
        with pytest.raises(Tampered, match="expected an audit path of"):
            merkle.root_from_inclusion(index, size, LEAVES[index], path[:-1])


@pytest.mark.parametrize(("old", "new"), [(3, 5), (5, 6), (4, 5)])
def test_no_proof_shows_nothing(old: int, new: int) -> None:
    """Whatever roots are named, nothing between two sizes proves nothing."""
    with pytest.raises(Tampered, match="was rewritten"):
        merkle.check_consistency(old, naive_root(LEAVES[:old]), new, naive_root(LEAVES[:new]), [])


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_no_such_leaf(index: int) -> None:
    """An index outside the tree is refused."""
    with pytest.raises(Tampered, match="below the tree's size 5"):
        merkle.root_from_inclusion(index, 5, LEAVES[0], [])


@given(sizes=st.tuples(SIZES, SIZES), data=st.data())
def test_consistency(sizes: tuple[int, int], data: st.DataObject) -> None:
    """A larger tree is shown to begin with a smaller one; one changed hash anywhere is noticed."""
    old, new = sorted(sizes)
    proof = merkle.consistency(old, new, node)
    roots = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
    merkle.check_consistency(old, roots[0], new, roots[1], proof)
    with pytest.raises(Tampered):
        merkle.check_consistency(old, bytes(32), new, roots[1], proof)
    with pytest.raises(Tampered):
        merkle.check_consistency(old, roots[0], new, bytes(32), proof)
    with pytest.raises(Tampered):
        merkle.check_consistency(old, roots[0], new, roots[1], [*proof, bytes(32)])
    if proof:
        place = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
        wrong = [*proof[:place], bytes(32), *proof[place + 1 :]]
        with pytest.raises(Tampered):
            merkle.check_consistency(old, roots[0], new, roots[1], wrong)
        with pytest.raises(Tampered):
            merkle.check_consistency(old, roots[0], new, roots[1], proof[:-1])


def test_every_small_tree() -> None:
    """Each pair of sizes, and each leaf, of trees up to 33 leaves: what is shown checks out, and no more."""
    roots = [naive_root(LEAVES[:size]) for size in range(34)]
    for new in range(34):
        for old in range(new + 1):
            proof = merkle.consistency(old, new, node)
            merkle.check_consistency(old, roots[old], new, roots[new], proof)
            with pytest.raises(Tampered):
                merkle.check_consistency(old, roots[old], new, roots[new], [*proof, roots[new]])
        for index in range(new):
            path = merkle.inclusion(index, new, node)
            assert merkle.root_from_inclusion(index, new, LEAVES[index], path) == roots[new]


def test_a_proof_is_for_trees_of_its_size() -> None:
    """Said to be of a tree of 64 leaves, with a root that it does lead to, it lacks a step and is refused."""
    roots = [naive_root(LEAVES[:size]) for size in range(33)]
    for new in range(2, 33):
        for old in range(1, new):
            proof = merkle.consistency(old, new, node)
            with pytest.raises(Tampered, match=f"size 64 does not begin with the tree of size {old}:"):
                merkle.check_consistency(old, roots[old], 64, roots[new], proof)


def test_every_range_of_small_trees() -> None:
    """Each range of trees up to 17 leaves gives the root with what lies outside; with one hash more, none."""
    for size in range(18):
        expected = naive_root(LEAVES[:size])
        for low in range(size + 1):
            for high in range(low, size + 1):
                proof = merkle.outside(low, high, size, node)
                assert merkle.root_from_range(low, LEAVES[low:high], size, proof) == expected
                with pytest.raises(Tampered, match=f"expected {len(proof)} hashes"):
                    merkle.root_from_range(low, LEAVES[low:high], size, [*proof, expected])


@pytest.mark.parametrize(("low", "count"), [(-1, 1), (5, 1), (6, 0), (4, 2)])
def test_a_range_outside_the_tree(low: int, count: int) -> None:
    """It is refused, whatever the proof."""
    with pytest.raises(
        Tampered, match=f"expected a range inside the tree, got leaves {low} to {low + count} of 5"
    ):
        merkle.root_from_range(low, LEAVES[:count], 5, [])


def test_every_tree_begins_with_the_empty_one() -> None:
    """Which has one root, and needs no proof."""
    merkle.check_consistency(0, merkle.EMPTY, 3, naive_root(LEAVES[:3]), [])
    for old_root, proof in ((LEAVES[0], []), (merkle.EMPTY, [LEAVES[0]])):
        with pytest.raises(Tampered, match="sizes 0 and 3: not one history"):
            merkle.check_consistency(0, old_root, 3, naive_root(LEAVES[:3]), proof)
    with pytest.raises(Tampered, match="at least -1 leaves"):
        merkle.check_consistency(-1, merkle.EMPTY, 3, naive_root(LEAVES[:3]), [])


def test_a_shorter_tree_is_no_continuation() -> None:
    """A tree that has lost leaves does not begin with what it was."""
    with pytest.raises(Tampered, match="at least 7 leaves"):
        merkle.check_consistency(7, LEAVES[0], 6, LEAVES[0], [])


@given(size=SIZES, data=st.data())
def test_ranges(size: int, data: st.DataObject) -> None:
    """A range of leaves and what lies outside give the root; a leaf that is changed or missing does not."""
    low = data.draw(st.integers(min_value=0, max_value=size))
    high = data.draw(st.integers(min_value=low, max_value=size))
    proof, expected = merkle.outside(low, high, size, node), naive_root(LEAVES[:size])
    assert merkle.root_from_range(low, LEAVES[low:high], size, proof) == expected
    if low < high:
        changed = [bytes(32), *LEAVES[low + 1 : high]]
        assert merkle.root_from_range(low, changed, size, proof) != expected
        # One leaf less needs another proof; by chance of the same length, it leads elsewhere.
        with contextlib.suppress(Tampered):
            assert merkle.root_from_range(low, LEAVES[low : high - 1], size, proof) != expected


@given(parts=st.lists(st.integers(min_value=1, max_value=300), min_size=1, max_size=6))
def test_tiles_grow_as_the_tree_does(parts: list[int]) -> None:
    """However the leaves arrive, the tiles are the same, and the tree read from them is the tree."""
    store: dict[tuple[int, int], bytes] = {}
    size = 0
    for part in parts:
        fresh = LEAVES[size : size + part]
        partial = {level: store[level, number] for level, (number, _) in tiles.rightmost(size).items()}
        store |= tiles.grow(size, partial, fresh)
        size += len(fresh)
        widths = {
            level: len(store[level, number]) // 32 for level, (number, _) in tiles.rightmost(size).items()
        }
        assert widths == {level: width for level, (_, width) in tiles.rightmost(size).items()}
    assert store == tiles.grow(0, {}, LEAVES[:size])
    read = tiles.reader(lambda level, number: store[level, number])
    assert merkle.root(size, read) == naive_root(LEAVES[:size])
    assert merkle.inclusion(size - 1, size, read) == merkle.inclusion(size - 1, size, node)


def test_the_example_of_the_specification() -> None:
    """A tree of 70,000 leaves has the partial tiles that tlog-tiles names."""
    assert tiles.rightmost(70_000) == {0: (273, 112), 1: (1, 17), 2: (0, 1)}
    assert tiles.rightmost(256) == {1: (0, 1)}
    assert tiles.path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tiles.path("entries", 273, 112) == "tile/entries/273.p/112"


def test_a_leaf_ends_tiles_of_two_levels() -> None:
    """The 65,536th leaf fills the tiles of levels 0 and 1, and begins one of level 2."""
    almost = merkle.EMPTY * 255
    changed = tiles.grow(65_535, {0: almost, 1: almost}, [merkle.EMPTY])
    assert set(changed) == {(0, 255), (1, 0), (2, 0)}
    assert changed[2, 0] == merkle.root_of(tiles.hashes_of(changed[1, 0]))


def test_a_reader_remembers_so_many_tiles() -> None:
    """It keeps the last 512: the newest is not fetched again, the oldest is."""
    fetched: list[int] = []

    def fetch(_level: int, number: int) -> bytes:
        fetched.append(number)
        return merkle.EMPTY * tiles.WIDTH

    read = tiles.reader(fetch)
    for number in (*range(513), 512, 0):
        read(0, number * tiles.WIDTH)
    assert fetched == [*range(513), 0]


def test_a_tile_that_lacks_hashes_is_named() -> None:
    """A tile that was cut short gives no root, but its path."""
    read = tiles.reader(lambda _level, _number: b"".join(LEAVES[:3]))
    with pytest.raises(Tampered, match="tile/0/000 lacks hashes: expected 4"):
        merkle.root(4, read)


@given(entries=st.lists(st.binary(max_size=300), max_size=20))
def test_bundles(entries: list[bytes]) -> None:
    """Entries come back from their bundle; one that is cut short is refused."""
    packed = tiles.bundle(entries)
    assert tiles.entries_of(packed) == entries
    if packed:
        with pytest.raises(Tampered, match="ends inside an entry"):
            tiles.entries_of(packed[:-1])
        with pytest.raises(Tampered, match="ends inside an entry"):
            tiles.entries_of(packed + b"\0")
