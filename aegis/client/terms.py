"""What the doors take as further words, by name: a test holds them equal to the doors' signatures."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from aegis.arguments import Long


class Terms(TypedDict, total=False):
    """What `federated_aggregation_protect` takes besides the aggregate and the count."""

    min_participants: int
    dp_epsilon: float | None
    dp_sensitivity: float
    dp_delta: float | None
    mechanism: Literal["laplace", "gaussian"]
    budget: str | None
    per_field: bool
    public_fields: Sequence[str]
    participants: Sequence[str] | None
    threshold_epsilon: float | None
    tenant_id: str | None
    actor: str


class PolicyTerms(TypedDict, total=False):
    """What `register_retention_policy` takes besides the policy's name and its table."""

    timestamp_column: str
    retention_days: int
    action: str
    tenant_column: str | None
    filter_sql: Long | None
    datasource: str
    timestamp_unit: str | None
    zone: str
    period: str | None
    masks: Mapping[str, Any] | None
    marker_column: str | None
    delete_after_days: int | None
    tenant_days: Mapping[str, int] | None
    tenant_session: str | None
    guards: Mapping[str, Any] | None
    archive: Mapping[str, Any] | None
    cascades: Sequence[str]
    after: Sequence[str]
    cron: str
    cron_zone: str
    windows: Sequence[str]
    budget: Mapping[str, int] | None
    parallel: int
    purpose: Long | None
    legal_basis: Long | None
    categories: Sequence[str]
    owner: str | None
    review_by: dt.date | None
    actor: str
