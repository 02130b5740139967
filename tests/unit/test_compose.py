"""docker-compose.yml against the code that its containers run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis.settings import load_settings
from cli.main import main

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


@pytest.mark.parametrize("service", ["setup", "worker", "beat"])
def test_every_variable_of_a_service_is_a_setting(service: str, tmp_path: Path) -> None:
    """The settings load from the environment as it stands; an unknown variable would be refused."""
    environment = {name: str(value) for name, value in COMPOSE["services"][service]["environment"].items()}
    settings = load_settings(environment, tmp_path)
    assert settings.worker.metrics_host == "0.0.0.0"  # noqa: S104 - the container's own network
    assert settings.keys.url != settings.control.url


@pytest.mark.parametrize("service", ["worker", "beat"])
def test_every_command_is_a_verb_of_aegis(service: str) -> None:
    """A container's command is one that the command line knows."""
    (verb,) = COMPOSE["services"][service]["command"]
    assert main.get_command(None, verb) is not None  # type: ignore[arg-type] # no context is needed


def test_ports_that_are_published_are_those_that_are_served(tmp_path: Path) -> None:
    """Worker and beat publish their metrics on the host's loopback only."""
    worker = load_settings({}, tmp_path).worker
    served = {"worker": worker.metrics_port, "beat": worker.beat_metrics_port}
    for service, port in served.items():
        assert COMPOSE["services"][service]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_every_secret_and_volume_that_is_used_is_declared() -> None:
    """No service names a secret or a volume that the file does not define."""
    for service in COMPOSE["services"].values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        named = [volume.partition(":")[0] for volume in service.get("volumes", [])]
        assert {name for name in named if not name.startswith(".")} <= set(COMPOSE["volumes"])
