"""The `aegis` command in a folder of its own, as a person and a program use it."""

import datetime as dt
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import account, worlds
from tests.starter import starter
from tests.workerkit import ROOT

ADD = ("policy", "add", "safety_90", "--table", "safety_events", "--days", "90", "--action", "delete")
APPROVE = ("policy", "approve", "safety_90", "--actor", "legal@example.com")
EXECUTE = ("retention", "run", "--execute")
#: Nobody listens there.
NOWHERE = "redis://:hunter2@127.0.0.1:1/0"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def refusal(self) -> str:
        """The one line on stderr that a refused command leaves, and nothing else."""
        assert "Traceback" not in self.err
        assert not self.out
        (line,) = self.err.splitlines()
        assert line.startswith("aegis: ")
        return line


@dataclass(kw_only=True)
class Shell:
    """A folder with an application's SQLite database, and the command in it."""

    folder: Path
    environment: dict[str, str]
    #: Rows that the application's table ever had, and those of them that came back from an archive.
    born: int = 0
    restored: int = 0
    #: Why the account cannot balance in this test, if it cannot.
    unbalanced: str | None = None

    def __call__(self, *words: str, **variables: str) -> Said:
        """Run `aegis` to its end; keyword arguments are environment variables."""
        environment = {**self.environment, **variables}
        code, out, err = starter().run(words, folder=self.folder, environment=environment)
        return Said(code=code, out=out, err=err)

    def rows(self) -> int:
        """Count the application's rows."""
        with closing(sqlite3.connect(self.folder / "app.db")) as connection:
            return int(connection.execute("SELECT count(*) FROM safety_events").fetchone()[0])

    def policies(self) -> int:
        """Count the registered policies."""
        with closing(sqlite3.connect(self.folder / ".aegis" / "aegis.db")) as connection:
            return int(connection.execute("SELECT count(*) FROM data_retention_policies").fetchone()[0])

    def balance(self) -> None:
        """Assert that the account balances; the commands relay what they did themselves."""
        if self.unbalanced is not None:
            return
        control, app = (
            worlds.engine(f"sqlite:///{self.folder / name}") for name in (".aegis/aegis.db", "app.db")
        )
        account.check(
            control=control,
            sources={"app": app},
            home=self.folder / ".aegis",
            gone={"safety_events": self.born - self.rows()},
            restored={"safety_events": self.restored},
        )
        control.dispose()
        app.dispose()

    def came_back(self, rows: int) -> None:
        """Account for rows that a restore brought back."""
        self.born += rows
        self.restored += rows

    def configure(self) -> None:
        """Name the application's database in `aegis.toml`."""
        url = f"sqlite:///{self.folder / 'app.db'}"
        (self.folder / "aegis.toml").write_text(f'[datasources.app]\nurl = "{url}"\n')

    def make_table(self, ages: list[int]) -> None:
        """Make the application's table with one row of each age in days."""
        now = dt.datetime.now(dt.UTC)
        times = [
            (index % 2, f"{now - dt.timedelta(days=age):%Y-%m-%d %H:%M:%S}") for index, age in enumerate(ages)
        ]
        with closing(sqlite3.connect(self.folder / "app.db")) as connection, connection:
            connection.execute(
                "CREATE TABLE safety_events (id INTEGER PRIMARY KEY, tenant_id TEXT, created_at DATETIME)"
            )
            connection.executemany(
                "INSERT INTO safety_events (tenant_id, created_at) VALUES ('t' || ?, ?)", times
            )
        self.born += len(ages)


def empty(folder: Path) -> Shell:
    """Return the command in that folder, without a setting of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AEGIS_", "PYTHON"))}
    kept |= {"PYTHONPATH": str(ROOT), "AEGIS_BROKER_URL": NOWHERE, "NO_COLOR": "1"}
    return Shell(folder=folder, environment=kept)
