"""How a pause grows while there is a reason, and goes when there is none."""

from hypothesis import given
from hypothesis import strategies as st

from aegis.operations.throttle import FIRST, Throttle, naps
from aegis.settings import ThrottleSettings


class Told:
    """Figures that are told one after the other."""

    def __init__(self, *figures: dict[str, float]) -> None:
        self._figures = list(figures)
        self.unmeasured: set[str] = set()

    def read(self) -> dict[str, float]:
        """Return the next ones; the last for ever."""
        return self._figures.pop(0) if len(self._figures) > 1 else dict(self._figures[0])


def throttle(*figures: dict[str, float], longest: float = 5, clock: list[float] | None = None) -> Throttle:
    """A throttle that looks at these figures after every batch."""
    limits = ThrottleSettings(longest_pause_seconds=longest, look_milliseconds=0)
    times = iter(clock or range(10_000))
    return Throttle(limits, Told(*figures), pause_share=0.1, clock=lambda: next(times))


BUSY = {"lock_waits": 3.0}
WELL = {"lock_waits": 2.0}


def test_it_doubles_up_to_the_longest_and_halves_again() -> None:
    """Doubling while the figure is at its threshold, halving when it is below, then none."""
    one = throttle(*[dict(BUSY) for _ in range(9)], *[dict(WELL) for _ in range(9)], longest=1)
    pauses = [one.after(0.0) for _ in range(18)]
    assert pauses[:6] == [FIRST, 0.1, 0.2, 0.4, 0.8, 1]
    assert pauses[9:13] == [0.5, 0.25, 0.125, 0.0625]
    assert pauses[-1] == 0
    assert one.reason is None


def test_the_usual_pause_is_a_share_of_the_batch() -> None:
    """Without a reason only the share of the batch's own time; a reason never makes it shorter."""
    assert throttle(dict(WELL)).after(2.0) == 0.2
    assert throttle(dict(BUSY)).after(2.0) == 0.2
    assert throttle(dict(BUSY)).reason is None


def test_the_log_is_a_rate() -> None:
    """A position says nothing; its way between two looks does."""
    one = throttle({"wal_megabytes": 1000.0}, {"wal_megabytes": 1010.0}, {"wal_megabytes": 2000.0})
    one.after(0.0)
    assert one.reason is None
    one.after(0.0)
    assert one.reason is None
    one.after(0.0)
    assert one.reason == "wal_megabytes_per_second"


def test_a_threshold_of_zero_is_off() -> None:
    """What is switched off holds nothing back, whatever its figure."""
    one = throttle({"vacuums": 5.0, "snapshot_seconds": 1e9})
    assert (one.after(0.0), one.reason) == (0, None)


@given(st.floats(0, 100))
def test_naps_are_short_and_make_up_the_pause(pause: float) -> None:
    """No piece is longer than a second, together they are the pause."""
    pieces = naps(pause)
    assert max(pieces) <= 1
    assert abs(sum(pieces) - pause) < 1e-6
