"""Tasks that keep everything else going."""

from typing import Any

from celery import shared_task

from aegis.operations.table import ERASE, RECONCILE
from api import archives, audit, erasure, federated, letters, log, privacy
from tasks.sending import send
from tasks.waking import wake


@shared_task(name=RECONCILE)
def reconcile() -> dict[str, Any]:
    """Send again what nobody works on although somebody should; forget and destroy what is past its time."""
    due = privacy.due_runs()
    erasures = erasure.due_erasures()
    wake(due)
    wake(erasures, ERASE)
    audit.prune_journals()
    privacy.look_after_purges()
    archives.tend_archives()
    log.tend_key_store()
    federated.tend_releases()
    asked = erasure.ask_due_copies(send)
    letters.tend_dead_letters()
    done = {"operation": "operations.reconcile", "outcome": "done"}
    return {**done, "runs": [*due, *erasures], "copies": asked}
