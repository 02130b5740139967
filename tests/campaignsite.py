"""The system of the fault campaign: two workers and two beats as processes, behind a proxy that meddles."""

import contextlib
import dataclasses
import itertools
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import sqlalchemy as sa

from aegis.client import Client
from aegis.embedded import EmbeddedPostgres, EmbeddedRedis
from aegis.envelopes import workers_public_key
from aegis.keys import new_client_key
from aegis.operations.system import System, current, use
from aegis.operations.table import ROUTES
from aegis.settings import load_settings
from api import budgets, privacy
from tests import worlds
from tests.campaigntables import ASKER, MAPS, POLICIES, TABLES
from tests.hostshim import Shim
from tests.meddler import Meddler
from tests.workerkit import WorkerProcess

#: What a service calls the campaign's budget, and releases of a tenth that it lets through.
BUDGET: Final = "campaign"
RELEASES: Final = 30
CONFIG: Final = """
home = "{home}"
database_url = "{control}"
[datasources.app]
url = "{app}"
datamap = "{home}/app.datamap.yaml"
[datasources.shop]
url = "{shop}"
datamap = "{home}/shop.datamap.yaml"
[archives]
url = "{disk}/archives"
[audit.exports.lines]
format = "jsonl"
to = "{disk}/audit.jsonl"
cursor = "{disk}/audit.cursor"
[audit.exports.tiles]
format = "tiles"
to = "{disk}/tiles"
[retention]
soft_landing_hours = 0
batch_milliseconds = 5
first_batch_rows = 20
largest_batch_rows = 40
slice_seconds = 2.0
count_seconds = 3
[throttle]
lock_waits = 0
active_sessions = 0
longest_pause_seconds = 1.0
[operations]
lease_seconds = 3.0
resend_seconds = 2.0
[worker]
visibility_timeout_seconds = 20
hard_time_limit_seconds = 18
"""
#: The names of the exports.
EXPORTS: Final = ("lines", "tiles")
WORKERS: Final = {"worker-0": set(ROUTES.values()) - {"seal"}, "worker-1": set(ROUTES.values())}
BEATS: Final = ("beat-0", "beat-1")
#: Longest wait for processes; only a finding takes so long, on a machine on which much else runs.
PATIENCE: Final = 300.0
#: The only one that seals.
SEALER: Final = "worker-1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A request; sent again with the same id it is the same."""

    kind: str
    id: str
    send: Callable[[], Any]
    #: Whose erasure it is.
    member: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Held:
    """A legal hold, or a stop, that is in force."""

    kind: str
    #: Returns what must not change by Aegis's doing.
    look: Callable[[], Any]
    seen: Any


@dataclasses.dataclass(kw_only=True)
class Site:
    """Everything that runs, and what was asked of it."""

    folder: Path
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    meddler: Meddler
    #: None: no compiler made it.
    shim: Shim | None
    client: Client
    #: By name, past the proxy.
    sources: dict[str, sa.Engine]
    control: sa.Engine
    processes: dict[str, WorkerProcess] = dataclasses.field(default_factory=dict)
    asked: list[Asked] = dataclasses.field(default_factory=list)
    #: Members that can still be erased.
    members: list[int] = dataclasses.field(default_factory=list)
    #: One at a time.
    held: Held | None = None
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    #: What was released, as it was first seen.
    released: dict[str, Any] = dataclasses.field(default_factory=dict)
    #: Runs whose archives were compared.
    archived: set[str] = dataclasses.field(default_factory=set)
    #: What went wrong, with processes and otherwise.
    findings: list[str] = dataclasses.field(default_factory=list)
    _numbers: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(1))
    _lives: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(1))
    _passing: list[threading.Timer] = dataclasses.field(default_factory=list)

    def number(self) -> int:
        """Return a number that was not used."""
        return next(self._numbers)

    def later(self, seconds: float, undo: Callable[[], object]) -> None:
        """Let a misfortune pass by itself."""
        self._passing.append(threading.Timer(seconds, undo))
        self._passing[-1].start()

    def calm(self) -> None:
        """Let every misfortune pass, those that last too."""
        for timer in self._passing:
            timer.join()
        self._passing.clear()
        self.meddler.calm()
        if self.shim:
            self.shim.calm()

    # -- processes -----------------------------------------------------------------------

    def start(self) -> None:
        """Start every process that does not run; one that had been ready and ended by itself is a finding."""
        for name in (*WORKERS, *BEATS):
            earlier = self.processes.get(name)
            if earlier is not None and earlier.alive:
                continue
            if earlier is not None:
                ready = " ready." in earlier.log or "beat: Starting" in earlier.log
                # Celery calls itself ready before it looks whether every child could start: it ends where one
                # was killed until then.
                ready = ready and "Could not start worker processes" not in earlier.log
                self.counts["ended before it was ready"] += not ready
                if ready:
                    self.findings.append(f"{name} ended by itself, see {earlier.log_path}")
                earlier.stop()
            self.processes[name] = self._process(name)

    def wait_until_ready(self) -> None:
        """Wait until all are at work."""
        for name, process in self.processes.items():
            process.wait_for(" ready." if name in WORKERS else "beat: Starting", PATIENCE)

    def kill(self, name: str) -> None:
        """Kill a process and its children; the next `start` replaces it."""
        gone = self.processes.pop(name, None)
        if gone is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(gone.process.pid)
            main.suspend()
            everybody = [main, *main.children()]
            for process in everybody:
                process.kill()
        gone.stop()

    def kill_all(self) -> None:
        """Kill every process."""
        for name in [*self.processes]:
            self.kill(name)

    def children(self, name: str) -> list[psutil.Process]:
        """Return a worker's pool."""
        process = self.processes.get(name)
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(process.process.pid).children() if process else []
        return []

    def see_off(self, name: str, process: WorkerProcess) -> None:
        """Wait for the end of a process that was told to end; one that does not end in peace is a finding."""
        # A second signal would be a harder one; this one lets Python say where it is.
        try:
            process.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.process.send_signal(signal.SIGABRT)
        if code := process.stop():
            self.findings.append(f"{name} ended with {code} when it was told to, see {process.log_path}")

    def leave(self) -> None:
        """Tell everybody to end, and see that they do so in peace."""
        for process in self.processes.values():
            if process.alive:
                process.process.terminate()
        for name, process in self.processes.items():
            self.see_off(name, process)
        self.processes.clear()

    def _process(self, name: str) -> WorkerProcess:
        words = ("--loglevel", "INFO")
        command: tuple[str, ...] = ("beat", *words)
        if queues := WORKERS.get(name):
            quiet = ("--without-mingle", "--without-gossip", "--concurrency", "2", "-n", f"{name}@here")
            command = ("worker", *words, *quiet, "--queues", ",".join(sorted(queues)))
        return WorkerProcess(
            self.folder / "processes" / f"{next(self._lives):04}-{name}",
            self.redis.url,
            command=command,
            environ={
                "AEGIS_CONFIG": str(self.folder / "aegis.toml"),
                "AEGIS_HOME": str(self.folder / "home"),
                "AEGIS_WORKER__TICK_SECONDS": "0.2",
                "PYTHONFAULTHANDLER": "1",
                **(self.shim.environ(name) if self.shim else {}),
            },
            application="worker.app",
        )


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Site]:
    """Prepare the databases, policies and the budget in an empty folder; processes are started later."""
    with contextlib.ExitStack() as undo:
        postgres = undo.enter_context(EmbeddedPostgres(folder / "postgres"))
        redis = undo.enter_context(EmbeddedRedis(folder / "redis"))
        meddler = undo.enter_context(Meddler(postgres.port))
        shim = Shim.build(folder / "host")
        direct = {name: postgres.create_database(name) for name in ("control", *MAPS)}
        behind = {
            name: url.replace(f":{postgres.port}/", f":{meddler.port}/") for name, url in direct.items()
        }
        home = folder / "home"
        home.mkdir()
        for name, text in MAPS.items():
            (home / f"{name}.datamap.yaml").write_text(text, "utf-8")
        (folder / "aegis.toml").write_text(CONFIG.format(home=home, disk=disk_of(folder), **behind), "utf-8")
        sources = {name: worlds.engine(direct[name]) for name in MAPS}
        for name, engine in sources.items():
            with engine.begin() as connection:
                connection.exec_driver_sql(TABLES[name])
        aegis = _prepared(folder)
        undo.callback(lambda: current().close())
        new_client_key(folder / "service.key")
        client = Client(
            redis.url,
            workers_key=workers_public_key(aegis.worker_key),
            key_file=folder / "service.key",
            database_url=direct["control"],
        )
        undo.callback(client.close)
        site = Site(
            folder=folder,
            postgres=postgres,
            redis=redis,
            meddler=meddler,
            shim=shim,
            client=client,
            sources=sources,
            control=worlds.engine(direct["control"]),
        )
        undo.callback(site.kill_all)
        yield site


def disk_of(folder: Path) -> Path:
    """Return where exports and archives are written, on a disk that can be full."""
    return folder / "host" / "disk"


def _prepared(folder: Path) -> System:
    os.environ["AEGIS_CONFIG"] = str(folder / "aegis.toml")
    with contextlib.closing(System(load_settings())) as fresh:
        fresh.init_keys()
        fresh.migrate()
        fresh.signing_keys.begin("logs.example.com/campaign", actor="tests")
        for name in MAPS:
            fresh.migrate_source(name)
    aegis = use(load_settings())
    for name, (table, words) in POLICIES.items():
        privacy.register_retention_policy(name, table, retention_days=30, **words)
        privacy.approve_retention_policy(name, ASKER.email)
    budgets.create_budget(BUDGET, epsilon=RELEASES / 10, actor=ASKER.email)
    return aegis
