"""Ways to make the same rows go. Each is prepared, and then measured while it runs."""

import os
import resource
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import sqlalchemy as sa

from aegis.operations import system
from aegis.operations.pace import Pace
from aegis.retention import cutoffs, definition, target, walkers
from aegis.settings import RetentionSettings, Settings, ThrottleSettings
from api import privacy
from benchmarks.copies import TENANTS, Copy
from benchmarks.processes import FRESH

#: Rows of a batch of those who count rows.
ROWS: Final = 5000
#: tenant → days: no two of the first thirty are the same.
TENANT_DAYS: Final[Mapping[str, int]] = {f"t{number}": 60 + number for number in range(TENANTS)}


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a contender took."""

    #: When it began, by the clock that all processes share.
    began: float
    seconds: float
    #: The most bytes of memory of one process, where it has its own.
    memory: int | None = None
    #: The seconds of these that its batches took; the rest is counting before the first and after the last.
    batches: float | None = None


class Contender(Protocol):
    """One way."""

    @property
    def name(self) -> str:
        """What the table of results calls it."""

    def missing(self) -> str | None:
        """Say why it cannot take part here; None when it can."""

    def prepare(self, copy: Copy) -> None:
        """Do what is not measured."""

    def run(self, copy: Copy) -> Work:
        """Make the rows go, and say what it took."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement, once, or again and again until it finds no row."""

    name: str
    sql: str
    repeated: bool = False

    def missing(self) -> str | None:
        """Take part everywhere."""

    def prepare(self, copy: Copy) -> None:
        """Nothing is needed."""

    def run(self, copy: Copy) -> Work:
        """Do it, each time in its own transaction."""
        statement = sa.text(self.sql.format(table=copy.table, rows=ROWS))
        values = {"cutoff": copy.cutoff, "now": copy.moment(0)}
        values = {name: value for name, value in values.items() if f":{name}" in self.sql}
        began = time.monotonic()
        while True:
            with copy.app.begin() as connection:
                gone = connection.execute(statement, values).rowcount
            if not (self.repeated and gone):
                return Work(began=began, seconds=time.monotonic() - began)


@dataclass(frozen=True, kw_only=True)
class InTurn:
    """A small loop for each tenant: the usual way to give each days of its own."""

    name: str = "each tenant in turn, by LIMIT 5000"

    def missing(self) -> str | None:
        """Take part everywhere."""

    def prepare(self, copy: Copy) -> None:
        """Nothing is needed."""

    def run(self, copy: Copy) -> Work:
        """Delete a tenant's rows, each batch in its own transaction, and go on with the next one."""
        table = copy.table
        rows = f"SELECT id FROM {table} WHERE tenant = :tenant AND created_at < :cutoff LIMIT {ROWS}"  # noqa: S608
        statement = sa.text(f"DELETE FROM {table} WHERE id = ANY(ARRAY({rows}))")  # noqa: S608 - our own name
        began = time.monotonic()
        for tenant, days in TENANT_DAYS.items():
            gone = ROWS
            while gone == ROWS:
                with copy.app.begin() as connection:
                    values = {"tenant": tenant, "cutoff": copy.moment(days)}
                    gone = connection.execute(statement, values).rowcount
        return Work(began=began, seconds=time.monotonic() - began)


@dataclass(frozen=True, kw_only=True)
class Nobody:
    """Nothing at all, for a while: what the application's own statements take."""

    name: str = "nobody deletes"
    seconds: float = 2.0

    def missing(self) -> str | None:
        """Take part everywhere."""

    def prepare(self, copy: Copy) -> None:
        """Nothing is needed."""

    def run(self, copy: Copy) -> Work:  # noqa: ARG002 - as the others
        """Wait."""
        began = time.monotonic()
        time.sleep(self.seconds)
        return Work(began=began, seconds=self.seconds)


NOBODY: Final = Nobody()
BY_TENANT: Final = InTurn()
RAW: Final = Statement(name="one raw DELETE", sql="DELETE FROM {table} WHERE created_at < :cutoff")
RAW_UPDATE: Final = Statement(
    name="one raw UPDATE",
    sql="UPDATE {table} SET body = NULL WHERE created_at < :cutoff AND body IS NOT NULL",
)
RAW_TENANTS: Final = Statement(
    name="one raw DELETE",
    sql="DELETE FROM {table} WHERE created_at < CAST(:now AS timestamptz)"
    " - make_interval(days => 60 + CAST(substr(tenant, 2) AS int))",
)
SENTRY: Final = Statement(
    name="= ANY(ARRAY(... LIMIT 5000)), Sentry's shape",
    sql="DELETE FROM {table} WHERE id = ANY(ARRAY(SELECT id FROM {table} WHERE created_at < :cutoff"
    " LIMIT {rows}))",
    repeated=True,
)
#: What people write on MariaDB, which has no LIMIT inside of IN.
DELETE_LIMIT: Final = Statement(
    name="DELETE ... LIMIT 5000",
    sql="DELETE FROM {table} WHERE created_at < :cutoff LIMIT {rows}",
    repeated=True,
)
IN_LIMIT: Final = Statement(
    name="id IN (SELECT id ... LIMIT 5000)",
    sql="DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE created_at < :cutoff LIMIT {rows})",
    repeated=True,
)


@dataclass(frozen=True, kw_only=True)
class Bare:
    """Aegis's own walker and pace without header, mark, journal, audit event: what those cost."""

    name: str = "the same batches, without mark, journal and audit"

    def missing(self) -> str | None:
        """Take part everywhere."""

    def prepare(self, copy: Copy) -> None:
        """Nothing is needed."""

    def run(self, copy: Copy) -> Work:
        """Walk and delete, and remember nothing."""
        limits = copy.settings.retention
        pace = Pace.of(limits, copy.dialect)
        policy = definition.Definition(name="bare", table=copy.table, retention_days=copy.days)
        with copy.app.connect() as connection:
            table = target.read_target(connection, copy.table, policy)
            walker = walkers.choose(connection, table)
        ends = cutoffs.cutoffs_for(policy, copy.now, table)
        mark: Mapping[str, Any] | None = {}
        first = time.monotonic()
        while mark is not None:
            began = time.monotonic()
            with copy.app.begin() as connection:
                portion = walker.cut(connection, mark, pace.size, ends.latest)
                where = sa.and_(portion.within, table.expired(ends))
                connection.execute(sa.delete(table.layout.table).where(where))
            mark = portion.mark
            pace.worked(time.monotonic() - began)
        return Work(began=first, seconds=time.monotonic() - first)


@dataclass(frozen=True, kw_only=True)
class Aegis:
    """Aegis, in as many processes as it is given."""

    name: str = "Aegis"
    workers: int = 1
    #: With the pauses and the throttle that are in force where nothing else is said.
    gentle: bool = False
    #: What its policy says beyond the table and the days.
    policy: Mapping[str, Any] = field(default_factory=dict)

    def missing(self) -> str | None:
        """Take part everywhere."""

    def prepare(self, copy: Copy) -> None:
        """Register the policy; approval is off in here."""
        settings = copy.settings
        if self.gentle:
            settings = replace(settings, retention=RetentionSettings(), throttle=ThrottleSettings())
        system.use(settings)
        system.current().migrate_source("app")
        words = {"retention_days": copy.days, "parallel": self.workers, **self.policy}
        privacy.register_retention_policy(copy.table, copy.table, **words)

    def run(self, copy: Copy) -> Work:
        """Create a run and let every worker advance it; they are there before the clock starts."""
        (run,) = privacy.create_retention_runs(str(uuid.uuid4()), policies=[copy.table])
        system.current().close()
        return self._together(system.current().settings, run)

    def _together(self, settings: Settings, run: str) -> Work:
        results: Any = FRESH.SimpleQueue()
        ready = FRESH.Barrier(self.workers)
        arguments = (settings, run, ready, results)
        others = [FRESH.Process(target=_advance, args=arguments, daemon=True) for _ in range(self.workers)]
        for process in others:
            process.start()
        for process in others:
            process.join()
        if results.empty() or any(process.exitcode for process in others):
            message = f"{self.name} did not come to its end"
            raise SystemExit(message)
        began, ended, memory, batches = zip(*(results.get() for _ in others), strict=True)
        first = min(began)
        return Work(began=first, seconds=max(ended) - first, memory=max(memory), batches=max(batches))


def _advance(settings: Settings, run: str, ready: Any, results: Any) -> None:
    """Advance a run to its end; a worker's own process."""
    system.use(settings)
    ready.wait()
    began, batches = time.monotonic(), 0.0
    while (report := privacy.advance_run(run, 3600.0))["outcome"] in {"more", "busy", "retry"}:
        batches += sum(report["batch_seconds"])
        time.sleep(0.0 if report["more"] else 0.01)
    if report["outcome"] != "done":
        raise SystemExit(str(report))
    batches += sum(report["batch_seconds"])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    results.put((began, time.monotonic(), memory, batches))


@dataclass(frozen=True, kw_only=True)
class PtArchiver:
    """Percona's pt-archiver, in bulk: Debian's percona-toolkit."""

    name: str = "pt-archiver --bulk-delete"

    def missing(self) -> str | None:
        """Look for the program."""
        return None if shutil.which("pt-archiver") else "no pt-archiver on PATH (Debian: percona-toolkit)"

    def prepare(self, copy: Copy) -> None:
        """Nothing is needed."""

    def run(self, copy: Copy) -> Work:
        """Run the program to its end."""
        url = copy.app.url
        source = f"h={url.host},P={url.port},D={url.database},t={copy.table},u={url.username}"
        words = ["--source", f"{source},p={url.password}", "--where", f"created_at < '{copy.cutoff}'"]
        words += ["--purge", "--bulk-delete", "--limit", str(ROWS), "--commit-each", "--no-check-charset"]
        began = time.monotonic()
        # Only the one who waits for a process itself is told its memory.
        process = subprocess.Popen([str(shutil.which("pt-archiver")), *words])
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            message = f"{self.name} failed"
            raise SystemExit(message)
        return Work(began=began, seconds=time.monotonic() - began, memory=used.ru_maxrss * 1024)
