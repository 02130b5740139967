"""What gets into the image, and which locks it is made from: deploy/Dockerfile, .dockerignore."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.containers import ROOT

DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_what_is_sent_to_the_builder_is_what_the_wheel_is_made_of() -> None:
    """All is left out but the wheel's folders, its metadata and the locks; the folders are pyproject's."""
    first, *lines = [line for line in _lines(ROOT / ".dockerignore") if not line.startswith("#")]
    assert first == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    target = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    metadata = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "pyproject.toml"}
    assert let_in == {*target["only-include"], *metadata, "requirements"}
    assert all((ROOT / name).exists() for name in let_in)


@pytest.mark.parametrize("lock", ["build", "full"])
def test_a_lock_of_the_image_has_the_versions_that_are_tested(lock: str) -> None:
    """What the image is built with, and may have in addition, the tests run with where they have it."""
    tested, own = _versions("dev"), _versions(lock)
    assert {name: own[name] for name in own.keys() & tested.keys()} == {
        name: tested[name] for name in own.keys() & tested.keys()
    }
    assert len(own.keys() & tested.keys()) > 4


def test_the_image_has_every_extra_that_production_may_use() -> None:
    """`LOCK=full` is the lock of runtime, and every extra but those for a laptop, tests and comparisons."""
    assert _versions("runtime").items() <= _versions("full").items()
    extras = PROJECT["project"]["optional-dependencies"]
    for extra in extras.keys() - {"embedded", "flower", "peers", "dev"}:
        for requirement in extras[extra]:
            assert re.split("[^A-Za-z0-9-]", requirement)[0].lower() in _versions("full"), extra


def test_the_image_is_not_root_and_runs_what_is_installed_by_hash() -> None:
    """The last user is a number other than 0, which Kubernetes can tell; every package comes by its hash."""
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"
    installs = re.findall(r"pip (?:--python \S+ )?install (.*?)(?:&&|\n[A-Z])", DOCKERFILE, re.DOTALL)
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-deps" in install for install in installs)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line]


def _versions(lock: str) -> dict[str, str]:
    text = (ROOT / f"requirements/{lock}.txt").read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
