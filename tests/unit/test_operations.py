"""The pure parts of the seam: marks, pace, states, and the journal's MAC."""

import datetime as dt
import decimal
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.db.journal import Entry
from aegis.errors import OperationFailed, Tampered
from aegis.operations.marks import MarkBox
from aegis.operations.pace import Pace
from aegis.operations.states import CLAIMABLE, FINAL, STUCK, State, may_follow, sources_of

KEY = bytes(range(32))
#: What a primary key can be made of.
PART = (
    st.integers()
    | st.text(st.characters(codec="utf-8"))
    | st.uuids()
    | st.datetimes()
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.dates()
    | st.times()
    | st.decimals(allow_nan=False)
    | st.binary()
    | st.booleans()
    | st.none()
)


class TestMarks:
    """A mark comes back as it was, and only to who may read it."""

    @given(st.lists(PART))
    def test_round_trip(self, key: list[Any]) -> None:
        """Every kind of key value keeps its type and value."""
        box = MarkBox(KEY, "run", 0)
        opened = box.open(box.seal({"key": key, "sweep": 1}))
        assert opened == {"key": key, "sweep": 1}
        assert [type(part) for part in opened["key"]] == [type(part) for part in key]

    def test_sealed(self) -> None:
        """The bytes say nothing, and the same mark never looks the same twice."""
        box = MarkBox(KEY, "run", 0)
        one, two = (box.seal({"key": ["anna@example.com"]}) for _ in range(2))
        assert b"anna" not in one
        assert one != two
        assert box.open(None) == {}

    @pytest.mark.parametrize(
        "other", [MarkBox(KEY, "run", 1), MarkBox(KEY, "nur", 0), MarkBox(bytes(32), "run", 0)]
    )
    def test_of_another_shard(self, other: MarkBox) -> None:
        """A mark of another shard, run or worker key does not open."""
        with pytest.raises(Tampered, match="does not open"):
            other.open(MarkBox(KEY, "run", 0).seal({"key": [1]}))

    def test_what_cannot_be_kept(self) -> None:
        """A key of a type that would not read back is refused."""
        with pytest.raises(OperationFailed, match="timedelta"):
            MarkBox(KEY, "run", 0).seal({"key": [dt.timedelta(1)]})


class TestPace:
    """Batches aim at a time."""

    @given(
        size=st.integers(1, 10**6),
        largest=st.integers(1, 10**6),
        seconds=st.lists(st.floats(0, 1000), min_size=1, max_size=20),
    )
    def test_never_more_than_double_or_half(self, size: int, largest: int, seconds: list[float]) -> None:
        """The size stays between 1 and the largest, and moves by at most a factor of two."""
        pace = Pace(size=min(size, largest), target_seconds=0.05, largest=largest)
        for spent in seconds:
            before = pace.size
            pace.worked(spent)
            assert 1 <= pace.size <= min(largest, max(2 * before, 1))
            assert pace.size >= min(before // 2, largest)

    def test_finds_the_size_that_fits(self) -> None:
        """At 100,000 rows a second and 50 ms, it settles at 5,000 rows."""
        pace = Pace(size=200, target_seconds=0.05, largest=50_000)
        for _ in range(20):
            pace.worked(pace.size / 100_000)
        assert pace.size == 5_000

    def test_what_no_size_changes(self) -> None:
        """What a batch costs without rows does not keep the size down; no batch takes twice the aim."""
        pace = Pace(size=200, floor=200, target_seconds=0.05, largest=50_000)
        for _ in range(20):
            pace.worked(0.045 + pace.size / 100_000)
        assert 4_500 <= pace.size <= 5_500
        slow = Pace(size=200, floor=200, target_seconds=0.05, largest=50_000)
        for _ in range(20):
            slow.worked(0.2 + slow.size / 100_000)
        assert slow.size == 200, "time goes elsewhere, and more rows at once would not be noticed"

    def test_refused(self) -> None:
        """Each refusal halves, down to one row; then there is nothing smaller."""
        pace = Pace(size=9, target_seconds=0.05, largest=100)
        sizes = []
        while pace.refused():
            sizes.append(pace.size)
        assert sizes == [4, 2, 1]


class TestStates:
    """What may follow what."""

    @given(st.sampled_from(State), st.sampled_from(State))
    def test_both_views_agree(self, one: State, other: State) -> None:
        """`sources_of` is `may_follow` read backwards; a state may repeat itself."""
        assert (one in sources_of(other)) == may_follow(one, other)
        assert may_follow(one, one)

    @pytest.mark.parametrize("final", sorted(FINAL))
    def test_nothing_follows_the_end(self, final: State) -> None:
        """Done, failed and cancelled stay."""
        assert [state for state in State if may_follow(final, state)] == [final]

    def test_everybody_gets_to_an_end(self) -> None:
        """From every state some path leads to done, and stuck ones need a person first."""
        for state in State:
            reached, before = {state}, set[State]()
            while reached != before:
                before = set(reached)
                reached |= {after for one in before for after in State if may_follow(one, after)}
            assert State.DONE in reached or state in FINAL
        assert not STUCK & CLAIMABLE
        assert not FINAL & CLAIMABLE


BATCH = Entry(
    run="019e0000-0000-7000-8000-000000000000",
    shard=0,
    number=3,
    rows=17,
    mark=b"m",
    counts={"held": 2},
    event_id="e",
    entry=b'{"v":1}',
    sealed=None,
)


class TestMac:
    """A journal row is Aegis's own, or it is found out."""

    def test_never_changes(self) -> None:
        """Rows that wait in a journal while Aegis is upgraded still fit."""
        assert (
            BATCH.authenticated(KEY).hex()
            == "000396035a4ed57183db0206bcf498b91eee65e8f686ed999488d8b43658c0a5"
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"run": "x"},
            {"shard": 1},
            {"number": 4},
            {"rows": 18},
            {"counts": {}},
            {"event_id": "f"},
            {"entry": None},
            {"entry": b'{"v":1} '},
            {"sealed": b""},
        ],
    )
    def test_covers_what_the_log_takes(self, change: dict[str, Any]) -> None:
        """Each field in turn; an empty value is not an absent one."""
        sealed = Entry(**vars(BATCH) | {"mac": BATCH.authenticated(KEY)})
        sealed.check(KEY)
        with pytest.raises(Tampered, match="was not written by Aegis with this worker key"):
            Entry(**vars(sealed) | change).check(KEY)


def test_kinds_of_key_values_are_distinct() -> None:
    """Values that look alike as text are told apart."""
    box = MarkBox(KEY, "run", 0)
    number = uuid.UUID(int=1)
    parts = [str(number), number, decimal.Decimal("1.0"), "1.0", dt.date(2020, 1, 1), "2020-01-01"]
    assert box.open(box.seal({"key": parts}))["key"] == parts
