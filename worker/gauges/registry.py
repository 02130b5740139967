"""All that beat tells, joined to the doors that know it."""

from typing import Any

from prometheus_client import CollectorRegistry

from api import audit, budgets, catalog, letters, privacy
from worker.gauges.audit import AuditCollector
from worker.gauges.broker import BrokerCollector
from worker.gauges.budgets import BudgetCollector
from worker.gauges.catalogs import CatalogCollector
from worker.gauges.ledger import LedgerCollector
from worker.gauges.policies import PolicyCollector


def registry_of(scheduler: Any) -> CollectorRegistry:
    """Return a registry with all of them; nothing is read before the first scrape.

    Args:
        scheduler: beat's own, which knows when it last looked for due runs.

    """
    # Beat must start, and say so, while the database is away: nothing is described by reading it.
    registry = CollectorRegistry(auto_describe=False)
    for collector in (
        LedgerCollector(audit.ledger, lambda: getattr(scheduler, "last_tick", None)),
        PolicyCollector(privacy.policy_figures),
        AuditCollector(audit.audit_backlog),
        BudgetCollector(budgets.show_budgets),
        BrokerCollector(letters.broker_load),
        CatalogCollector(catalog.catalog_reviews),
    ):
        registry.register(collector)
    return registry
