"""Which turn over its portion a batch is."""

import pytest

from aegis.retention.turns import EIGHTHS, LAST, Turns

SIZE = 800


def test_a_dense_portion_takes_every_turn() -> None:
    """Some rows, more of them, the rest; then the next portion begins with the first turn again."""
    turns = Turns(possible=True)
    assert turns.turn({"at": "x"}) == 0
    assert turns.following({"at": "x"}, 100, SIZE) == 1
    assert turns.turn({"at": "x", "turn": 1}) == 1
    assert turns.following({"at": "x", "turn": 1}, 200, SIZE) == LAST
    assert turns.following({"at": "x", "turn": LAST}, 500, SIZE) is None
    assert turns.turn({"at": "y"}) == 0
    assert EIGHTHS[LAST] == 8


def test_among_few_rows_there_is_one_turn() -> None:
    """A first turn that finds few rows has the last one behind it; later portions are done at once."""
    turns = Turns(possible=True)
    assert turns.following({}, 49, SIZE) == LAST
    assert turns.following({"turn": LAST}, 1, SIZE) is None
    assert turns.turn({"at": "y"}) == LAST
    assert turns.following({"at": "y"}, 399, SIZE) is None
    assert turns.turn({"at": "z"}) == LAST


def test_a_portion_in_which_half_was_due_brings_the_turns_back() -> None:
    """It was done at once; the next one is not."""
    turns = Turns(possible=True)
    turns.following({}, 0, SIZE)
    assert turns.following({"at": "x"}, 400, SIZE) is None
    assert turns.turn({"at": "y"}) == 0


def test_only_the_first_turn_tells_how_dense_a_portion_is() -> None:
    """Later turns find fewer rows, since most are masked by then: the next portion begins with the first."""
    turns = Turns(possible=True)
    assert turns.following({"at": "x", "turn": 1}, 1, SIZE) == LAST
    assert turns.turn({"at": "y"}) == 0


@pytest.mark.parametrize("mark", [{}, {"at": "x", "turn": 1}])
def test_nothing_to_win(mark: dict[str, object]) -> None:
    """One batch does all of a portion, also behind a mark that was made when there was something to win."""
    turns = Turns(possible=False)
    assert turns.turn(mark) == LAST
    assert turns.following(mark, SIZE, SIZE) is None
    assert turns.turn({"at": "y"}) == LAST
