"""The shipped application with the tasks of the tests."""

from aegis.settings import load_settings
from tests.workerkit import ROUTES
from worker.app import build_app

app = build_app(load_settings(), imports=("tests.workerkit_tasks", "tests.workerkit_forks"), routes=ROUTES)
