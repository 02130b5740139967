"""Make the picture of the dashboard, in two minutes, with `prometheus`: `python -m docs.dashboard_picture`.

A real Prometheus scrapes the worker and beat of a real `aegis demo`, and answers the queries of the shipped
dashboard (deploy/grafana). What it answers is drawn by docs/dashboard_drawing.py: there is no Grafana in it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from aegis.embedded.server import free_port
from docs.dashboard_drawing import Answer, Panel, drawn

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "pictures" / "dashboard.svg"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "dashboards" / "aegis.json"
#: Panels of the page that are drawn, in the page's order.
SHOWN: Final = (
    "Rows past their time",
    "Requests past their date",
    "Oldest open request",
    "Runs that wait for a person",
    "Audit log",
    "Alerts",
    "Policies",
    "Rows past their time, by policy",
    "Rows gone or masked in 24 hours",
    "Leaves of the audit log",
    "Privacy budgets",
)
#: What stands in a query in place of what somebody chooses.
_CHOSEN: Final = {"$policy": ".*", "$source": ".*"}
_JOBS: Final = {"aegis-worker": "metrics_port", "aegis-beat": "beat_metrics_port"}
#: The demo's last sentence but one; its servers still run.
_END: Final = "Every account balances."


def panels() -> list[Panel]:
    """Return the panels that are drawn, as the dashboard has them."""
    page = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [Panel.of(panel) for panel in page if panel["title"] in SHOWN and panel["type"] != "row"]


def made() -> str:
    """Run the demo under a Prometheus and return the picture."""
    with tempfile.TemporaryDirectory() as place, _demo(Path(place)) as lines:
        begun, config = time.time(), Path(place) / ".aegis-demo" / "aegis.toml"
        if not any("Registering" in line for line in lines):
            message = "the demo did not begin"
            raise SystemExit(message)
        worker = tomllib.loads(config.read_text("utf-8"))["worker"]
        targets = {job: f"127.0.0.1:{worker[port]}" for job, port in _JOBS.items()}
        with _prometheus(Path(place), targets) as url:
            if not any(_END in line for line in lines):
                message = "the demo did not come to its end"
                raise SystemExit(message)
            return drawn([(panel, _asked(url, panel, begun, time.time())) for panel in panels()])


def _asked(url: str, panel: Panel, begun: float, ended: float) -> list[Answer]:
    answers = []
    for query in panel.queries:
        expr = query.expr
        for name, value in _CHOSEN.items():
            expr = expr.replace(name, value)
        words = {"query": expr, "start": f"{begun:.3f}", "end": f"{ended:.3f}", "step": "1"}
        with urlopen(f"{url}/api/v1/query_range?{urlencode(words)}", timeout=30) as answer:  # noqa: S310
            found = json.load(answer)["data"]["result"]
        answers += [Answer.of(query, series) for series in found]
    return answers


@contextmanager
def _demo(place: Path) -> Iterator[Iterator[str]]:
    """Run a demo there; what it prints is told line by line."""
    command = [sys.executable, "-u", "-m", "aegis.home", "demo"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AEGIS_")}
    with subprocess.Popen(command, cwd=place, env=plain, stdout=subprocess.PIPE, text=True) as demo:  # noqa: S603
        try:
            yield iter(demo.stdout or ())
        finally:
            demo.terminate()
            demo.communicate()


@contextmanager
def _prometheus(place: Path, targets: dict[str, str]) -> Iterator[str]:
    """Run a Prometheus that looks each second, with the shipped rules."""
    config: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "deploy" / "prometheus" / "rules" / "*.yml")],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ],
    }
    file, address = place / "prometheus.yml", f"127.0.0.1:{free_port()}"
    file.write_text(yaml.safe_dump(config), "utf-8")
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={place / 'data'}"]
    command += [f"--web.listen-address={address}", "--log.level=error"]
    with subprocess.Popen(command) as process:  # noqa: S603 - an installed program
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(made(), "utf-8")
