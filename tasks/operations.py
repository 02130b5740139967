"""Tasks that keep everything else going."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from celery import shared_task

from aegis.errors import AegisError
from aegis.operations.table import ERASE, RECONCILE
from api import archives, audit, erasure, federated, letters, log, privacy
from tasks.sending import send
from tasks.waking import wake

_LOG = logging.getLogger(__name__)


@shared_task(name=RECONCILE)
def reconcile() -> dict[str, Any]:
    """Send again what nobody works on although somebody should; forget and destroy what is past its time.

    What hinders one of these, such as a data source that is away, hinders no other.
    """
    due = privacy.due_runs()
    erasures = erasure.due_erasures()
    wake(due)
    wake(erasures, ERASE)
    hindered = [name for name, tend in _TENDED.items() if not _done(name, tend)]
    outcome = "hindered" if hindered else "done"
    return {"operation": "operations.reconcile", "outcome": outcome, "runs": [*due, *erasures]}


#: What is past its time, and what sees to it.
_TENDED: Final[Mapping[str, Callable[[], object]]] = {
    "journals": audit.prune_journals,
    "purges": privacy.look_after_purges,
    "archives": archives.tend_archives,
    "the key store": log.tend_key_store,
    "releases": federated.tend_releases,
    "copies": lambda: erasure.ask_due_copies(send),
    "dead letters": letters.tend_dead_letters,
}


def _done(name: str, tend: Callable[[], object]) -> bool:
    try:
        tend()
    except AegisError as error:
        _LOG.error("What is due of %s cannot be seen to now: %s", name, error)
        return False
    return True
