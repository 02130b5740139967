"""What a worker and beat make sure of before they start; else they end, with a sentence and an exit code.

A worker that cannot do its work would take message after message out of the queues, for nothing. What is only
away (a database, the broker) is waited for.
"""

import logging
import sys
from typing import Any, Final

from celery import signals

from aegis.doctor.broker import refuse_unfit_broker
from aegis.errors import AegisError, Interrupted
from aegis.operations.system import System
from aegis.settings import Settings

#: The modules of our own tasks: whoever registers them works on the control database.
_OURS: Final = "tasks"

log = logging.getLogger(__name__)


def connect() -> None:
    """Check every worker and beat of this process from now on."""
    signals.celeryd_init.connect(_before_worker)
    signals.worker_ready.connect(_when_ready)
    signals.beat_init.connect(_before_beat)


def _before_worker(instance: Any, **_: Any) -> None:
    _check(instance.app)


def _before_beat(sender: Any, **_: Any) -> None:
    _check(sender.app)
    _tell(sender.app)


def _when_ready(sender: Any, **_: Any) -> None:
    # The broker may have been away before.
    _tell(sender.app)


def _check(app: Any) -> None:
    try:
        refuse_unfit_broker(app.settings, _prepare(app.settings) if _OURS in app.conf.imports else None)
        # With a fault in a producer every message would be refused.
        app.signing.senders  # noqa: B018
    except AegisError as error:
        _end(error)


def _tell(app: Any) -> None:
    try:
        for finding in refuse_unfit_broker(app.settings):
            log.warning("Broker %s. %s", finding.text, finding.cure)
    except AegisError as error:
        _end(error)


def _prepare(settings: Settings) -> str:
    """Make sure of keys and databases; return the id of the worker key."""
    system = System(settings)
    try:
        system.prepare()
    except Interrupted as error:
        log.warning("%s; its tasks wait for it", error)
    finally:
        # No connection may be there when the pool is forked.
        system.close()
    return system.worker_key.key_id


def _end(error: AegisError) -> None:
    print(f"aegis: {error}", file=sys.stderr)  # noqa: T201 - a worker may have no log yet
    raise SystemExit(error.exit_code) from None
