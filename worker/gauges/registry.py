"""All that beat tells, joined to the doors that know it."""

from typing import Any

from prometheus_client import CollectorRegistry

from api import audit, budgets, catalog, letters, log, privacy, standing
from worker.gauges.audit import AuditCollector
from worker.gauges.broker import BrokerCollector
from worker.gauges.budgets import BudgetCollector
from worker.gauges.catalogs import CatalogCollector
from worker.gauges.ledger import LedgerCollector
from worker.gauges.policies import PolicyCollector
from worker.gauges.remnants import RemnantCollector
from worker.gauges.requests import AgeCollector, RequestCollector
from worker.gauges.runs import RunCollector
from worker.gauges.schedules import ScheduleCollector
from worker.gauges.sources import SourceCollector
from worker.gauges.witnesses import WitnessCollector


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
        RunCollector(standing.unfinished_runs),
        RequestCollector(standing.open_requests),
        AgeCollector(standing.ended_requests),
        ScheduleCollector(standing.policy_agenda),
        SourceCollector(standing.source_standings),
        WitnessCollector(log.witnesses),
        RemnantCollector(standing.overdue_copies, standing.overdue_purges),
    ):
        registry.register(collector)
    return registry
