"""A real Prometheus and a real Alertmanager, and the shipped rules, for the tests."""

import contextlib
import functools
import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aegis.embedded.server import free_port
from tests.workerkit import ROOT, listens, wait_until

PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
RULES: Final = sorted((PROMETHEUS / "rules").glob("*.yml"))
ALERTMANAGER: Final = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
#: Seconds between two scrapes, and two looks at the rules.
TICK: Final = "200ms"
#: What makes a rule wait, and what the tests make of it.
HASTE: Final = {
    " > 900": " > 0",
    "_size offset 1h": "_size offset 1s",
    "[15m]": "[1s]",
    "[10m]": "[2s]",
    " > 20 * 86400": " > 0",
}


def program(name: str) -> str:
    """Return the path of a program of Prometheus's; skips where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine (Debian: prometheus, prometheus-alertmanager)")
    return found


def run(*words: str | Path) -> str:
    """Run one of the programs and return what it printed; it must succeed."""
    done = subprocess.run([program(str(words[0])), *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def rules() -> list[dict[str, Any]]:
    """Return every shipped rule, alerts and recorded figures."""
    return [
        rule
        for file in RULES
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert by its name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def impatient(folder: Path) -> Path:
    """Write the shipped rules into a folder so that an alert fires at once: only their patience differs."""
    for file in RULES:
        text = re.sub(r"^ +(for|interval): .*\n", "", file.read_text("utf-8"), flags=re.MULTILINE)
        for patience, none in HASTE.items():
            text = text.replace(patience, none)
        (folder / file.name).write_text(text, "utf-8")
    return folder


def ask(url: str, path: str, **query: str) -> Any:
    """Get a JSON document."""
    with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)


class Prometheus:
    """A running one."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, text: str) -> list[dict[str, Any]]:
        """Return the series of a query now."""
        found: list[dict[str, Any]] = ask(self.url, "/api/v1/query", query=text)["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """Return the alerts that fire."""
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}

    def fires(self, alert: str) -> None:
        """Wait until an alert fires."""
        wait_until(lambda: alert in self.firing(), f"{alert} fires", 30)

    def ends(self, alert: str) -> None:
        """Wait until it fires no more."""
        wait_until(lambda: alert not in self.firing(), f"{alert} ends", 30)


@contextlib.contextmanager
def _serving(folder: Path, *command: str, url: str) -> Iterator[None]:
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: listens(url), f"{Path(command[0]).name} listens", 30)
            yield
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def prometheus(folder: Path, targets: Mapping[str, str], managers: str | None = None) -> Iterator[Prometheus]:
    """Run a Prometheus with the shipped rules, without their patience.

    Args:
        folder: an empty one.
        targets: host and port of each job.
        managers: host and port of an Alertmanager.

    """
    (folder / "rules").mkdir(parents=True)
    impatient(folder / "rules")
    config: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
    config["global"] |= {"scrape_interval": TICK, "evaluation_interval": TICK, "scrape_timeout": TICK}
    if managers is None:
        del config["alerting"]
    else:
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [managers]
    for job in config["scrape_configs"]:
        job["scrape_timeout"] = job["scrape_interval"] = TICK
        # The names are of containers, which are not here.
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [targets[name]] if (name := job["job_name"]) in targets else []}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = (
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        # What fires before it knows its Alertmanager is sent again.
        "--rules.alert.resend-delay=1s",
        "--log.level=warn",
    )
    with _serving(folder, *command, url=f"http://{address}"):
        wait_until(lambda: _ready(f"http://{address}"), "prometheus is ready", 30)
        yield Prometheus(f"http://{address}")


def _ready(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5):
        return True
    return False


@contextlib.contextmanager
def alertmanager(folder: Path, hooks: Mapping[str, str]) -> Iterator[str]:
    """Run an Alertmanager with the shipped routes and return its host and port.

    Args:
        folder: an empty one.
        hooks: the URL to which each receiver posts.

    """
    folder.mkdir(parents=True)
    config = yaml.safe_load(ALERTMANAGER.read_text("utf-8"))
    for receiver in config["receivers"]:
        if receiver["name"] in hooks:
            receiver["webhook_configs"] = [{"url": hooks[receiver["name"]]}]
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config), "utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = (
        program("prometheus-alertmanager" if shutil.which("prometheus-alertmanager") else "alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=warn",
    )
    with _serving(folder, *command, url=f"http://{address}"):
        yield address
