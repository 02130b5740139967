"""The GitHub Action: its files by their schemas, and its steps really run, as a runner runs them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.containers import ROOT
from tests.repeats import LONG
from tests.schemas import against_builtin

FOLDER = ROOT / "deploy/github"
ACTION: dict[str, Any] = yaml.safe_load((FOLDER / "action.yml").read_text("utf-8"))
WORKFLOW: dict[str, Any] = yaml.safe_load((FOLDER / "workflow.yml").read_text("utf-8"))
INSTALL, CHECK = ACTION["runs"]["steps"]
SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, email text);
CREATE TABLE events (
    id int PRIMARY KEY, user_id int REFERENCES users, created_at timestamptz NOT NULL, note text
);
INSERT INTO users VALUES (1, 'dave@example.com');
INSERT INTO events VALUES (1, 1, now() - interval '1 year', 'x'), (2, 1, now(), 'y');
"""
DATAMAP = """subjects: {user: {table: users, key: id, identifiers: {email: email}}}
tables:
  users: {row: anonymize, columns: {email: surrogate}}
  events: {row: delete, via: user_id}
"""
POLICIES = "policies: {events_90: {datasource: app, table: events, days: 90, action: delete}}\n"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A job that has run the action."""

    code: int
    log: str
    summary: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """A runner with the application's checkout, and a database that its migrations built."""

    folder: Path
    url: str

    def migrate(self, statement: str) -> None:
        """Change the schema, as a pull request does."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def step(self, step: dict[str, Any], **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run a step as a runner does: its words with the inputs in them, its variables, its folder."""
        given = {name: said["default"] for name, said in ACTION["inputs"].items()} | inputs

        def filled(text: str) -> str:
            return re.sub(r"\${{ inputs\.([a-z-]+) }}", lambda found: given[found[1]], text)

        assert step["shell"] == "bash"
        return subprocess.run(
            [
                shutil.which("bash") or "",
                "--noprofile",
                "--norc",
                "-eo",
                "pipefail",
                "-c",
                filled(step["run"]),
            ],
            cwd=self.folder / filled(step.get("working-directory", ".")),
            env={
                "PATH": os.environ["PATH"],
                "GITHUB_ACTION_PATH": str(FOLDER),
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                "GITHUB_OUTPUT": str(self.folder / "output"),
                "RUNNER_TEMP": str(self.folder / "temp"),
                "AEGIS_DATASOURCES__APP__URL": self.url,
                **{name: os.environ[name] for name in ("PIP_CERT",) if name in os.environ},
                **{name: filled(text) for name, text in step.get("env", {}).items()},
            },
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def __call__(self, **inputs: str) -> Ended:
        """Run the step that checks."""
        for name in ("summary", "output"):
            (self.folder / name).write_text("", "utf-8")
        done = self.step(CHECK, datasource="app", **inputs)
        return Ended(
            code=done.returncode,
            log=done.stdout + done.stderr,
            summary=(self.folder / "summary").read_text("utf-8"),
            output=(self.folder / "output").read_text("utf-8"),
        )


@pytest.fixture
def job(tmp_path: Path, new_database: Callable[[str, str], str]) -> Job:
    """A job whose data map and policies are as they should be; Aegis is installed."""
    made = Job(folder=tmp_path, url=new_database("postgresql", "empty"))
    made.migrate(SCHEMA)
    (tmp_path / "temp/aegis/bin").mkdir(parents=True)
    (tmp_path / "temp/aegis/bin/aegis").symlink_to(Path(sys.executable).with_name("aegis"))
    named = '[datasources.app]\nurl = "postgresql://app@db.internal/app"\ndatamap = "app.datamap.yaml"\n'
    for name, text in (("aegis.toml", named), ("app.datamap.yaml", DATAMAP), ("policies.yaml", POLICIES)):
        (tmp_path / name).write_text(text, "utf-8")
    return made


def test_its_files_are_what_github_reads() -> None:
    """Action and workflow are valid by GitHub's schemas; the workflow gives the action what it knows."""
    against_builtin("vendor.github-actions", FOLDER / "action.yml")
    against_builtin("vendor.github-workflows", FOLDER / "workflow.yml")
    against_builtin("custom.github-workflows-require-timeout", FOLDER / "workflow.yml")
    (used,) = [step for step in WORKFLOW["jobs"]["aegis"]["steps"] if "aegis" in step.get("uses", "")]
    assert "/deploy/github@" in used["uses"]
    assert used["with"].keys() <= ACTION["inputs"].keys()
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert f"AEGIS_DATASOURCES__{used['with']['datasource'].upper()}__URL" in WORKFLOW["jobs"]["aegis"]["env"]


def test_all_is_well(job: Job) -> None:
    """What is decided passes, and the summary says how many rows each policy would take; none is shown."""
    ended = job(policies="policies.yaml")
    assert ended.code == 0, ended.log
    assert ended.output == "code=0\n"
    assert "| Data map | ✓ |\n| Retention policies | ✓ |\n" in ended.summary
    assert re.search(r"events_90 +events +\S+ \S+ UTC +1 +would go", ended.summary)
    assert "dave@example.com" not in ended.summary + ended.log
    assert "::error" not in ended.log


def test_a_new_column_fails_the_pull_request(job: Job) -> None:
    """A migration adds a column that nobody has decided on: a finding, with the line to add."""
    job.migrate("ALTER TABLE users ADD nickname text")
    ended = job(catalog="true")
    assert ended.code == 1, ended.log
    assert ended.output == "code=1\n"
    assert "| Data map | ✗ see below |\n| Catalog | ✗ see below |\n" in ended.summary
    assert "+ users: {columns: {nickname: TODO}}" in ended.summary
    assert "::error title=Aegis::Data map:" in ended.log


def test_a_policy_that_no_longer_fits_fails_the_pull_request(job: Job) -> None:
    """A migration renames the column that tells a row's age: what would be refused is a finding."""
    job.migrate("ALTER TABLE events RENAME created_at TO happened_at")
    ended = job(policies="policies.yaml")
    assert ended.code == 1, ended.log
    assert "| Data map | ✓ |\n| Retention policies | ✗ see below |\n" in ended.summary
    assert "created_at" in ended.summary


def test_a_database_that_does_not_answer_is_no_success(job: Job) -> None:
    """Nobody can tell: another code than a finding's, and the summary is written."""
    away = Job(folder=job.folder, url="postgresql://app:x@127.0.0.1:1/app")
    ended = away()
    assert ended.code == 5, ended.log
    assert ended.output == "code=5\n"
    assert "| Data map | ? could not be told |" in ended.summary


@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="installs every package anew: LONG_TESTS=1")
def test_it_installs_what_the_lock_says(job: Job) -> None:
    """The first step installs the checkout that the action came with; then the second finds it."""
    (job.folder / "temp/aegis/bin/aegis").unlink()
    done = job.step(INSTALL)
    assert done.returncode == 0, done.stderr
    assert job().code == 0
