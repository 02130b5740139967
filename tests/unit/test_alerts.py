"""The shipped rules, routes and the runbook fit each other, and what promtool and amtool say of them."""

import re
from typing import Final

import pytest
import yaml

from tests.monitoring import ALERTMANAGER, PROMETHEUS, RULES, alerts, rules, run
from tests.workerkit import ROOT

RUNBOOK: Final = (ROOT / "docs" / "runbook.md").read_text("utf-8")
RUNNING: Final = (ROOT / "docs" / "running.md").read_text("utf-8")
#: What a receiver groups by, or what tells one fault from another.
LABELS: Final = re.compile(r"\b(aegis_[a-z_]+|aegis:[a-z_:]+)")
#: What prometheus_client adds to the name of a histogram.
PARTS: Final = re.compile(r"_(bucket|count|sum)$")


def documented() -> dict[str, str]:
    """Return every metric of the documentation's table, and which process tells it."""
    found: dict[str, str] = {}
    for line in RUNNING.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("| `aegis_"):
            found |= dict.fromkeys(re.findall(r"`(aegis_[a-z_]+)", cells[1]), cells[2])
    return found


def metrics_of(text: str) -> set[str]:
    """Return the metrics that an expression reads, also through recorded figures."""
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    found: set[str] = set()
    for name in LABELS.findall(text):
        found |= metrics_of(recorded[name]) if ":" in name else {PARTS.sub("", name)}
    return found


def entries() -> dict[str, str]:
    """Return every entry of the runbook by its alert."""
    parts = re.split(r"^#### (\w+)\n", RUNBOOK.partition("## What the doctor")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_what_promtool_says() -> None:
    """The configuration and every rule are what this Prometheus takes."""
    run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    assert "FAILED" not in run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *RULES)


def test_the_rules_fire_and_end() -> None:
    """Every alert has a case of promtool in which it fires; many one in which it does not."""
    cases = sorted((PROMETHEUS / "tests").glob("*.yml"))
    run("promtool", "test", "rules", *cases)
    fired = {
        check["alertname"]
        for case in cases
        for test in yaml.safe_load(case.read_text("utf-8"))["tests"]
        for check in test["alert_rule_test"]
        if check["exp_alerts"]
    }
    assert fired == set(alerts())


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_says_what_to_do(name: str) -> None:
    """It has a severity, a summary, and a link to its entry in the runbook, which tells the same severity."""
    alert = alerts()[name]
    severity = alert["labels"]["severity"]
    assert severity in {"page", "ticket", "none"}
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"].endswith(f"}}}}docs/runbook.md#{name.lower()}")
    assert f"**{severity}** · " in entries()[name]
    assert "```console\n$ aegis " in entries()[name]
    assert "\nIt ends " in entries()[name]


def test_the_runbook_has_no_other_entries() -> None:
    """Every entry is that of an alert, and every place that it points to is there."""
    assert set(entries()) == set(alerts())
    for file, anchor in re.findall(r"\]\(([a-z-]*(?:\.md)?)#([^)]+)\)", RUNBOOK):
        text = (ROOT / "docs" / (file or "runbook.md")).read_text("utf-8")
        titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}, anchor


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_reads_what_is_told(rule: dict[str, str]) -> None:
    """Every metric of a rule stands in the documentation's table."""
    assert metrics_of(rule["expr"]) - {"aegis"} <= set(documented())


@pytest.mark.parametrize("name", sorted(set(alerts()) - {"AegisBeatSilent"}))
def test_an_alert_says_whose_figures_it_reads(name: str) -> None:
    """The label `from` is the process that tells them: without it the alert is blind, and quiet."""
    told = {documented()[metric] for metric in metrics_of(alerts()[name]["expr"])}
    assert told == {alerts()[name]["labels"]["from"]}


@pytest.mark.parametrize(
    ("severity", "receiver"), [("page", "page"), ("ticket", "ticket"), ("none", "nobody")]
)
def test_who_hears_of_it(severity: str, receiver: str) -> None:
    """A page goes to whoever is on call, a ticket to a queue, and what is for nobody to nobody."""
    words = ("--config.file", ALERTMANAGER, "--verify.receivers", receiver, f"severity={severity}")
    run("amtool", "config", "routes", "test", *words)


def test_what_amtool_says() -> None:
    """The configuration is what this Alertmanager takes, and names no alert that is not there."""
    run("amtool", "check-config", ALERTMANAGER)
    assert set(re.findall(r"Aegis\w+", ALERTMANAGER.read_text("utf-8"))) - {"Aegis"} <= set(alerts())
