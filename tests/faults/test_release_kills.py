"""SIGKILL in each step of a release: the same bytes for one charge; and eight who ask at the same time."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import pytest

from aegis.federated import ledger, mechanism, outputs, release
from aegis.operations.system import use
from aegis.settings import Settings
from api.audit import get_audit_events
from api.federated import federated_aggregation_protect, show_budgets
from tests.forks import forking
from tests.worlds import World, on

#: Only a failing test waits so long.
PATIENCE: Final = 60.0
VALUE: Final = np.arange(20_000, dtype=np.float32)
_draw, _keep = mechanism.draw, outputs.keep
_finish = release._finish  # noqa: SLF001


def die(*_: object, **__: object) -> NoReturn:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def die_with_noise(*words: Any) -> NoReturn:
    """Draw, tell the test what was drawn, and die before anything of it is kept."""
    Path("drawn").write_bytes(_draw(*words).tobytes())
    die()


def die_behind_the_file(*words: Any) -> NoReturn:
    """Keep the large output, and die before a row names it."""
    _keep(*words)
    die()


def die_behind_the_commit(*words: Any) -> NoReturn:
    """Release, tell the test what was released, and die before the caller gets it."""
    value, _ = _finish(*words)
    Path("drawn").write_bytes(value.tobytes())
    die()


#: What a process does in the place of a step, in their order.
STEPS: Final[Mapping[str, tuple[Any, str, Callable[..., Any]]]] = {
    "nothing is charged": (ledger, "charge", die),
    "it is charged, and not committed": (release, "store", die),
    "the noise is drawn": (mechanism, "draw", die_with_noise),
    "the file is written": (outputs, "keep", die_behind_the_file),
    "it is released, and nobody was told": (release, "_finish", die_behind_the_commit),
}


def protect() -> Any:
    """Ask for the release of the tests."""
    return federated_aggregation_protect(VALUE, 9, dp_epsilon=0.5, idempotency_key="round-1")


def work(settings: Settings, folder: str, step: str) -> None:
    """Release, and die in a step of it."""
    os.chdir(folder)
    owner, name, instead = STEPS[step]
    setattr(owner, name, instead)
    use(settings)
    protect()


def ask(settings: Settings, folder: str, number: int) -> None:
    """Release, and tell the test what came."""
    use(settings)
    Path(folder, f"asked-{number}").write_bytes(protect().tobytes())


@on("sqlite-one", "postgresql-one")
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_release_is_finished_with_its_own_noise(world: World, step: str, tmp_path: Path) -> None:
    """Whoever asks again gets the bytes that the dead process drew, and one charge stands in the budget."""
    child = forking().Process(target=work, args=(world.settings, str(tmp_path), step))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL
    released = protect()
    drawn = tmp_path / "drawn"
    if drawn.exists():
        assert released.tobytes() == drawn.read_bytes()
    assert protect().tobytes() == released.tobytes()
    (budget,) = show_budgets("default")
    assert budget.tightest.spent == 500_000_000
    events = [event["outcome"] for event in get_audit_events(action="federated:release")]
    assert events == ["success", "intent"]
    assert world.unbalanced is None


@on("sqlite-one", "postgresql-one")
def test_eight_who_ask_at_once_get_the_same_bytes(world: World, tmp_path: Path) -> None:
    """A message that is delivered again while the first is at work changes nothing."""
    children = [
        forking().Process(target=ask, args=(world.settings, str(tmp_path), number)) for number in range(8)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
        assert child.exitcode == 0
    assert len({path.read_bytes() for path in tmp_path.glob("asked-*")}) == 1
    assert len(list(tmp_path.glob("asked-*"))) == 8
    (budget,) = show_budgets("default")
    assert budget.tightest.spent == 500_000_000
    events = [event["outcome"] for event in get_audit_events(action="federated:release")]
    assert events == ["success", "intent"]
