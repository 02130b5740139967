"""Processes forked from a server of one thread that has imported Aegis: a new interpreter costs a second."""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg  # noqa: F401 - for whoever is forked, as all of these

import aegis.client  # noqa: F401 - the same
import api.archives
import api.audit
import api.budgets
import api.erasure
import api.privacy  # noqa: F401 - the same
from tests import worlds  # noqa: F401 - the same


def forking() -> ForkServerContext:
    """Return what makes such processes; those of all tests have one server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def run_script(
    script: str, words: Sequence[str], environ: Mapping[str, str], out: Path, errors: Path
) -> None:
    """Run a script in a forked process, as `python -c` with nothing but this environment."""
    os.environ.clear()
    os.environ.update(environ)
    for stream, path in ((sys.stdout, out), (sys.stderr, errors)):
        with path.open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = ["-c", *words]
    exec(script, {"__name__": "__main__"})  # noqa: S102 - the test's own
