"""The doors of erasure: what would happen to everything that a data source has of one person."""

from collections.abc import Sequence
from typing import Any

from aegis.erasure import plan
from aegis.erasure.people import USER
from aegis.erasure.plan import Plan
from aegis.operations.system import current

from .arguments import door


@door
def plan_erasure(
    key: Sequence[Any],
    *,
    subject: str = USER,
    datasource: str = "default",
    tenant: str | None = None,
) -> Plan:
    """Plan the erasure of one person: exact counts of one snapshot; nothing is changed.

    Args:
        key: one value for each column of the subject's key; text where it was typed.
        subject: the kind of person, as the data map names it.
        datasource: as aegis.toml names it.
        tenant: refuse a person of any other one.

    Raises:
        ValueError: nobody has that key, a name is unknown, or the source has no data map.
        PermissionError: the person is another tenant's.
        aegis.errors.Refused: the data map leaves something open, or rows are hidden.

    """
    system = current()
    name = system.settings.source_name(datasource)
    return plan.make(system, key, subject=subject, datasource=name, tenant=tenant)
