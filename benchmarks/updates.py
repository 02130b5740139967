"""Large aggregates through the task: `python -m benchmarks.updates`.

A service seals an array of float32, a file and a message carry it, a worker protects it with noise and
seals the answer, the service opens that. The memory is the most that a fresh child ever had. What of
the worker's time goes into reading and opening the file, into the release itself (noise, charge, log,
the output that is kept) and into sealing and keeping the answer is measured in a process of its own.
"""

import argparse
import base64
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

from aegis.federated import inputs
from api import federated
from benchmarks import services
from benchmarks.program import arguments, finish, progress
from benchmarks.sections import Section
from benchmarks.services import Service
from tests.workerkit import client, wait_until

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


def main(words: Sequence[str] | None = None) -> list[Section]:
    """Measure, print, and write where that was asked for."""
    parser = arguments(__doc__, repeats=5)
    parser.add_argument("--numbers", type=int, nargs="+", default=[1_000_000, 10_000_000])
    given = parser.parse_args(words)
    return finish("updates", words, _sections(given), given.write)


def _sections(given: argparse.Namespace) -> Iterator[Section]:
    columns: list[tuple[str, ...]] = [("", *_ROWS)]
    with tempfile.TemporaryDirectory() as temporary, services.start(Path(temporary)) as place:
        federated.create_budget("gaussian", epsilon=1000.0, delta=1e-6, composition="zcdp")
        for numbers, mechanism in itertools.product(given.numbers, ("laplace", "gaussian")):
            progress(f"arrays of {numbers:,}, {mechanism}")
            columns.append(_column(numbers, mechanism, _measure(place, numbers, mechanism, given.repeats)))
    title = f"Arrays of float32 through the task, PostgreSQL, medians of {given.repeats}"
    yield Section(title=title, lines=list(zip(*columns, strict=True)))


def _measure(place: Service, numbers: int, mechanism: str, repeats: int) -> Seconds:
    """Send an aggregate several times under new ids to a worker with a fresh child."""
    value = np.random.default_rng(numbers).standard_normal(numbers, dtype=np.float32)
    terms: Any = {"dp_epsilon": 0.5, "mechanism": mechanism}
    terms |= {"dp_delta": 1e-6, "budget": "gaussian"} if mechanism == "gaussian" else {}
    found, name = Seconds(), f"{numbers}-{mechanism}"
    for repeat in range(repeats):
        found.message = _stages(place, value, f"{name}-alone-{repeat}", terms, found)
    with place.worker("federated") as child:
        found.rest = _memory(child, "VmRSS")
        for repeat in range(repeats):
            _there_and_back(place, value, f"{name}-{repeat}", terms, found)
        found.peak = _memory(child, "VmHWM")
    return found


def _there_and_back(place: Service, value: Any, request: str, terms: Any, found: Seconds) -> None:
    begun = time.perf_counter()
    place.client.protect(value, 100, request_id=request, **terms)
    sent = time.perf_counter()
    wait_until(lambda: place.client.status(request).state not in _OPEN, "it has ended", 300)
    done = time.perf_counter()
    place.client.result(request)
    ended = time.perf_counter()
    found.sent.append(sent - begun)
    found.worked.append(place.worked(request))
    found.fetched.append(ended - done)
    found.whole.append(ended - begun)


def _stages(place: Service, value: Any, request: str, terms: Any, found: Seconds) -> int:
    """Answer a message in this process, stage by stage; return its length in Redis, in bytes."""
    place.client.protect(value, 100, request_id=request, **terms)
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
