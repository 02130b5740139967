"""Tasks of the catalog."""

from typing import Any

from celery import shared_task

from aegis.operations.table import CATALOG_SCAN
from api import catalog


@shared_task(name=CATALOG_SCAN)
def scan() -> list[dict[str, Any]]:
    """Count the columns that nobody has decided on, in each data source."""
    return [
        {
            "operation": "catalog.scan",
            "outcome": "done" if review.reason is None else "failed",
            "datasource": review.datasource,
            "undecided": review.undecided,
        }
        for review in catalog.look_at_catalogs()
    ]
