"""Large aggregates through the task: `python -m benchmarks.updates`.

A service seals an array of float32, a file and a message carry it, a worker protects it with noise and
seals the answer, the service opens that. The memory is the most that a fresh child ever had. What of
the worker's time goes into reading and opening the file, into the release itself (noise, charge, log,
the output that is kept) and into sealing and keeping the answer is measured in a process of its own.
"""

import argparse
import base64
import contextlib
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import psutil
import sqlalchemy as sa

from aegis.client import Client
from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.redis import EmbeddedRedis
from aegis.envelopes import workers_public_key
from aegis.federated import inputs
from aegis.keys import new_client_key
from aegis.operations.system import System, use
from aegis.settings import Settings
from api import federated
from benchmarks.audit import markdown, show
from benchmarks.results import machine
from tests.workerkit import client, wait_until, worker

_MIB: Final = 1024 * 1024
_ROWS: Final = (
    *("sending, s", "in the worker, s", "- reading and opening", "- releasing", "- sealing and keeping"),
    *("fetching, s", "from end to end, s", "in Redis, bytes", "the array, MiB"),
    *("the child at rest, MiB", "the child at most, MiB"),
)
_OPEN: Final = frozenset({"unknown", "accepted"})
_STAGES: Final = ("opening", "releasing", "answering")


@dataclass(kw_only=True)
class Seconds:
    """What one aggregate took."""

    sent: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _STAGES})
    fetched: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    message: int = 0
    rest: float = 0.0
    peak: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """A service, its broker, and the control database."""

    folder: Path
    system: System
    service: Client
    broker: str

    @contextlib.contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        """Run a worker with one child while the block runs; yield the child."""
        settings = self.system.settings
        environ = {"AEGIS_HOME": str(settings.home), "AEGIS_DATABASE_URL": str(settings.database_url)}
        options = ("--concurrency", "1", "--queues", "federated")
        words: dict[str, Any] = {"application": "worker.app", **environ}
        with worker(self.folder / "worker", self.broker, *options, **words) as running:
            (child,) = psutil.Process(running.process.pid).children()
            yield child

    def worked(self, request: str) -> float:
        """Return the seconds between the acceptance of a request and its end."""
        query = "SELECT received_at, finished_at FROM aegis_requests WHERE request_id = :id"
        with self.system.databases.control.connect() as connection:
            begun, ended = connection.execute(sa.text(query), {"id": request}).one()
        return float((ended - begun).total_seconds())


def main(words: Sequence[str] | None = None) -> list[tuple[str, ...]]:
    """Measure, print, and write where that was asked for."""
    given = _arguments(words)
    columns: list[tuple[str, ...]] = [("", *_ROWS)]
    with tempfile.TemporaryDirectory() as temporary, _place(Path(temporary)) as place:
        for numbers, mechanism in itertools.product(given.numbers, ("laplace", "gaussian")):
            columns.append(_column(numbers, mechanism, _measure(place, numbers, mechanism, given.repeats)))
    lines = list(zip(*columns, strict=True))
    title = f"Arrays of float32 through the task, PostgreSQL, medians of {given.repeats}"
    show(title, lines)
    if given.write:
        about = f"`python -m benchmarks.updates --repeats {given.repeats}`"
        parts = ["# Results of large aggregates", about, machine(), f"## {title}", markdown(lines)]
        given.write.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return lines


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--numbers", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", type=Path, help="a Markdown file for the results")
    return parser.parse_args(words)


@contextlib.contextmanager
def _place(folder: Path) -> Iterator[Place]:
    with EmbeddedPostgres(folder / "server") as server, EmbeddedRedis(folder / "redis") as redis:
        settings = Settings(home=folder / "home", database_url=server.create_database("updates"))
        settings.home.mkdir()
        _prepare(settings)
        system = use(settings)
        federated.create_budget("gaussian", epsilon=1000.0, delta=1e-6, composition="zcdp")
        new_client_key(folder / "service.key")
        service = Client(
            redis.url,
            workers_key=workers_public_key(system.worker_key),
            key_file=folder / "service.key",
            database_url=settings.database_url,
            inputs=settings.inputs_url,
            outputs=settings.outputs_url,
        )
        yield Place(folder=folder, system=system, service=service, broker=redis.url)
        service.close()
        system.close()


def _prepare(settings: Settings) -> None:
    system = System(settings)
    system.init_keys()
    system.migrate()
    system.signing_keys.begin("aegis.invalid/updates", actor="benchmark")
    system.close()


def _measure(place: Place, numbers: int, mechanism: str, repeats: int) -> Seconds:
    """Send an aggregate several times under new ids to a worker with a fresh child."""
    value = np.random.default_rng(numbers).standard_normal(numbers, dtype=np.float32)
    terms: Any = {"dp_epsilon": 0.5, "mechanism": mechanism}
    terms |= {"dp_delta": 1e-6, "budget": "gaussian"} if mechanism == "gaussian" else {}
    found, name = Seconds(), f"{numbers}-{mechanism}"
    for repeat in range(repeats):
        found.message = _stages(place, value, f"{name}-alone-{repeat}", terms, found)
    with place.worker() as child:
        found.rest = _memory(child, "VmRSS")
        for repeat in range(repeats):
            _there_and_back(place, value, f"{name}-{repeat}", terms, found)
        found.peak = _memory(child, "VmHWM")
    return found


def _there_and_back(place: Place, value: Any, request: str, terms: Any, found: Seconds) -> None:
    begun = time.perf_counter()
    place.service.protect(value, 100, request_id=request, **terms)
    sent = time.perf_counter()
    wait_until(lambda: place.service.status(request).state not in _OPEN, "it has ended", 300)
    done = time.perf_counter()
    place.service.result(request)
    ended = time.perf_counter()
    found.sent.append(sent - begun)
    found.worked.append(place.worked(request))
    found.fetched.append(ended - done)
    found.whole.append(ended - begun)


def _stages(place: Place, value: Any, request: str, terms: Any, found: Seconds) -> int:
    """Answer a message in this process, stage by stage; return its length in Redis, in bytes."""
    place.service.protect(value, 100, request_id=request, **terms)
    with client(place.broker) as redis:
        (waiting,) = redis.lrange("federated", 0, -1)
        redis.delete("federated")
    message = json.loads(base64.b64decode(json.loads(waiting)["body"]))[1]
    spent = dict.fromkeys(_STAGES, 0.0)
    read, protect = inputs.read, federated.federated_aggregation_protect
    begun = time.perf_counter()
    with (
        patch.object(inputs, "read", _timed(read, spent, "opening")),
        patch.object(federated, "federated_aggregation_protect", _timed(protect, spent, "releasing")),
    ):
        told = federated.protect_request(**message)
    if told["outcome"] != "done":
        raise SystemExit(str(told))
    spent["answering"] = time.perf_counter() - begun - spent["opening"] - spent["releasing"]
    for name, seconds in spent.items():
        found.stages[name].append(seconds)
    return len(waiting)


def _timed(work: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    def timed(*args: Any, **words: Any) -> Any:
        begun = time.perf_counter()
        try:
            return work(*args, **words)
        finally:
            spent[name] += time.perf_counter() - begun

    return timed


def _memory(process: psutil.Process, name: str) -> float:
    """Return a figure of Linux about a process's memory, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def _column(numbers: int, mechanism: str, found: Seconds) -> tuple[str, ...]:
    stages = (found.sent, found.worked, *found.stages.values(), found.fetched, found.whole)
    return (
        f"{numbers:,}, {mechanism}",
        *(f"{statistics.median(stage):.3f}" for stage in stages),
        str(found.message),
        f"{numbers * 4 / _MIB:.0f}",
        f"{found.rest:.0f}",
        f"{found.peak:.0f}",
    )


if __name__ == "__main__":
    main()
