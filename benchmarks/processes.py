"""Processes of the benchmarks' own: fresh ones, which do not import everything again each time."""

import multiprocessing
from typing import Final

FRESH: Final = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["benchmarks.measuring", "benchmarks.recording", "benchmarks.verifying"])
