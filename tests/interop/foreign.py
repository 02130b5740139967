"""An environment of its own for the foreign programs, with the newest Python that is found."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

REQUIREMENTS: Final = Path(__file__).parents[2] / "requirements" / "interop.txt"
#: The oldest that the foreign programs run on.
OLDEST: Final = (3, 12)
_NAMES: Final = ("python3.14", "python3.13", "python3.12", "python3")
_VERSION: Final = "import sys, ensurepip; print(*sys.version_info[:2])"


def environment(cache: Path, requirements: Path = REQUIREMENTS) -> Path:
    """Return the `bin` folder of an environment with the foreign programs, made once for these requirements.

    Skips where no Python is new enough.
    """
    python = _newest()
    if python is None:
        pytest.skip(
            f"the foreign programs need Python {'.'.join(map(str, OLDEST))} or newer, and none is here"
        )
    mark = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()[:16]
    place = cache / mark
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            _make(python, place, requirements)
            (place / "ready").touch()
    return place / "bin"


def _make(python: str, place: Path, requirements: Path) -> None:
    _run(python, "-m", "venv", str(place))
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
    _run(str(place / "bin" / "python"), *pip, "-r", str(requirements))


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _newest() -> str | None:
    found = [(version, python) for python in _candidates() if (version := _version(python)) >= OLDEST]
    return max(found)[1] if found else None


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield from filter(None, map(shutil.which, _NAMES))
    yield from map(str, Path.home().glob(".pyenv/versions/3.*/bin/python3"))


def _version(python: str) -> tuple[int, ...]:
    done = subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()
