"""Every line of a log that is written while something is worked on says what it is."""

import contextlib
import io
import json
import logging
import uuid

import structlog

from aegis.operations.slices import WORKING
from aegis.retention import runs
from api import privacy
from tests.worlds import ACTOR, World, on
from worker import logs


def logged() -> dict[str, str]:
    """Log a line as JSON and return its fields; afterwards logging is as it was."""
    root, written = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    with contextlib.redirect_stderr(written):
        logs.configure("json", logging.INFO)
    logging.getLogger("aegis.anything").warning("A sentence")
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    found: dict[str, str] = json.loads(written.getvalue())
    return found


@on("sqlite-one")
def test_a_line_within_a_slice_names_run_and_policy(world: World) -> None:
    """While a run is worked on each line has both, and after it none has."""
    world.safety_events()
    world.events(range(3), 60)
    world.policy()
    (run,) = privacy.create_retention_runs("r", policies=["p"], actor=ACTOR)
    seen = []
    runs.advance(world.system, run, 60.0, lambda _: seen.append(logged()))
    assert [(line["run"], line["policy"]) for line in seen] == [(run, "p")]
    assert not {"run", "policy", "request"} & set(logged())


def test_a_request_is_named_by_an_id_only() -> None:
    """Its producer chose the id; one that is no UUID may say who somebody is, and stays out."""
    good = str(uuid.uuid4())
    for request, shown in ((good, good), ("ann@example.com", None), (None, None)):
        token = WORKING.set({"run": "r", "policy": "erasure", "request": request})
        assert logged().get("request") == shown
        WORKING.reset(token)
