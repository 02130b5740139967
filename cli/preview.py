"""What a policy would do, as people and programs read it."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from aegis.operations.states import PolicyState
from aegis.retention import sessions
from aegis.retention.branches import every
from aegis.retention.cron import next_instant
from aegis.retention.estimates import Estimate
from aegis.retention.preview import Preview
from cli import masks, output

#: Tenants that are listed one by one; the rest is summed.
MOST_TENANTS: Final = 20
#: Months that are listed one by one; the rest is summed.
_MOST_MONTHS: Final = 24
#: A transaction that has been open for longer is named.
_OLD_SECONDS: Final = 60.0
#: Why rows stay, as people read it.
STAYS: Final[Mapping[str, str]] = {
    "held": "under a legal hold",
    "kept": "under a minimum period",
    "null_clock": "without a timestamp",
    "younger": "not past their time",
    "condition": "outside the condition",
    "other_tenant": "of other tenants",
    "condition_or_other_tenant": "outside the condition or of other tenants",
    "done": "masked already",
    "due": "past their time, arrived too late for the run",
}


def next_run(preview: Preview) -> dt.datetime | None:
    """Return the next scheduled instant; None for a policy that is disabled."""
    policy = preview.policy
    if policy.state not in {PolicyState.APPROVED, PolicyState.PENDING}:
        return None
    return next_instant(policy.cron, policy.cron_zone, dt.datetime.now(dt.UTC))


def document(preview: Preview, tenant: str | None) -> dict[str, Any]:
    """Return a preview as plain data."""
    policy, layout = preview.policy, preview.target.layout
    return {
        "policy": policy.name,
        "version": policy.version,
        "state": policy.state,
        "digest": policy.digest,
        "datasource": policy.datasource,
        "table": layout.label,
        "action": policy.action,
        "tenant": tenant,
        "seen": seen_as(preview, tenant),
        "retention_days": policy.retention_days,
        "period": policy.period,
        "cutoff": preview.cutoff,
        "cutoffs": _own_cutoffs(preview),
        "clock": preview.target.clock.meaning(),
        "condition": policy.filter_sql,
        "rows": preview.rows,
        **masks.document(preview),
        "total": preview.total,
        "share": str(share(preview)),
        "held": preview.held,
        "null_clock": preview.null_clock,
        "stays": dict(preview.stays),
        "sample": preview.sample and vars(preview.sample) | {"share": str(preview.sample.share)},
        "tenants": dict(preview.tenants),
        "months": dict(preview.spread.months),
        "matrix": {tenant: dict(months) for tenant, months in preview.spread.matrix.items()},
        "other_tenants": preview.spread.other_tenants,
        "estimate": preview.estimate and estimated(preview.estimate),
        "technique": preview.walker,
        "partitions": preview.partitions,
        "references": [{"from": item.label, "on_delete": item.on_delete} for item in layout.references],
        "along": preview.along,
        "unindexed": preview.unindexed,
        "snapshot_seconds": preview.snapshot_seconds,
        "triggers": triggers(preview),
        "row_security": list(layout.row_security),
        "next_run": next_run(preview),
    }


def show(preview: Preview, tenant: str | None) -> None:
    """Print a preview in full."""
    layout = preview.target.layout
    references = [f"{item.label} ON DELETE {item.on_delete}" for item in layout.references]
    more = [
        *estimate_facts(preview.estimate),
        ("technique", preview.walker),
        ("partitions", preview.partitions),
        ("referred to by", ", ".join(references) or "no foreign key"),
        ("go along", _along(preview)),
        ("no index on", ", ".join(preview.unindexed) or None),
        ("open snapshot", _snapshot(preview)),
        ("triggers", ", ".join(triggers(preview)) or "none"),
        ("row security", ", ".join(layout.row_security) or "none"),
        ("next run", schedule(preview)),
        ("digest", preview.policy.digest),
    ]
    _print(preview, [*_essentials(preview, tenant), *more])
    if preview.tenants:
        output.say()
        _tenants(preview)
    if preview.spread.months:
        output.say()
        _months(preview)


def _snapshot(preview: Preview) -> str | None:
    """Return what an old open transaction means for a run; None where there is none."""
    age = preview.snapshot_seconds or 0.0
    if age < _OLD_SECONDS:
        return None
    return f"{output.span(age)} old: until it ends, rows that go stay in the files and are passed over again"


def show_essentials(preview: Preview) -> None:
    """Print what an approver must have seen."""
    _print(preview, _essentials(preview, None))


def _print(preview: Preview, pairs: Iterable[tuple[str, str | None]]) -> None:
    output.say(f"Policy {preview.policy.name}, version {preview.policy.version}: {preview.policy.state}\n")
    output.facts((name, value) for name, value in pairs if value is not None)


def _essentials(preview: Preview, tenant: str | None) -> list[tuple[str, str | None]]:
    policy = preview.policy
    label = preview.target.layout.label
    days = policy.period or output.counted(policy.retention_days, "day")
    return [
        *[(masks.WOULD.get(name, name), _of(preview, rows, label)) for name, rows in preview.actions.items()],
        ("sampled", _sampled(preview)),
        ("action", masks.action(policy)),
        *masks.facts(preview),
        ("older than", f"{days}: before {output.moment(preview.cutoff)}"),
        ("but of some tenants", own_cutoffs(preview)),
        ("clock", preview.target.clock.meaning()),
        ("only where", policy.filter_sql),
        ("only tenant", tenant),
        ("seen", seen_as(preview, tenant)),
        ("stay", _stay(preview)),
        ("purpose", policy.purpose),
        ("legal basis", policy.legal_basis),
    ]


def estimated(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate as plain data, in whole seconds and bytes."""
    seconds = None if estimate.seconds is None else round(estimate.seconds)
    return vars(estimate) | {"seconds": seconds}


def estimate_facts(estimate: Estimate | None) -> list[tuple[str, str]]:
    """Return what a run would take, as people read it."""
    if estimate is None:
        return []
    took = "unknown" if estimate.seconds is None else f"about {output.span(estimate.seconds)}"
    facts = [("would take", f"{took} of work ({estimate.basis})")]
    if estimate.frees:
        freed = f"about {output.size(estimate.frees)} inside the table's files, for new rows"
        facts.append(("would free", freed))
    if estimate.log_least is not None and estimate.log_most is not None:
        least, most = output.size(estimate.log_least), output.size(estimate.log_most)
        facts.append(("would log", f"about {least} of WAL, up to {most} with page images"))
    return facts


def _about(preview: Preview) -> str:
    return "about " if preview.sample else ""


def _sampled(preview: Preview) -> str | None:
    if preview.sample is None:
        return None
    read = 100 * preview.sample.share
    return f"{read:.1f} % of the table's blocks; what would go is right to ± {preview.sample.margin:,} rows"


def _stay(preview: Preview) -> str:
    stays = {"held": 0, "null_clock": 0, **preview.stays}
    return ", ".join(f"{_rows(count)} {STAYS.get(reason, reason)}" for reason, count in stays.items())


def share(preview: Preview) -> float:
    """Return how much of the table would be changed, in percent with one decimal."""
    return _percent(preview, max(preview.actions.values()))


def _percent(preview: Preview, rows: int) -> float:
    return round(100 * rows / preview.total, 1) if preview.total else 0.0


def _of(preview: Preview, rows: int, label: str) -> str:
    part = f" ({_percent(preview, rows)} %)" if preview.total else ""
    return f"{_about(preview)}{_rows(rows)} of {preview.total:,} in {label}{part}"


def _own_cutoffs(preview: Preview) -> dict[str, dt.datetime]:
    return {str(tenant): cutoff for tenant, cutoff in preview.cutoffs.by_tenant.items()}


def own_cutoffs(preview: Preview) -> str | None:
    """Return the tenants that have days of their own, with the instant before which their rows go."""
    cutoffs = sorted(_own_cutoffs(preview).items())
    shown = [f"{tenant} before {output.moment(cutoff)}" for tenant, cutoff in cutoffs[:MOST_TENANTS]]
    rest = [f"{len(cutoffs) - MOST_TENANTS:,} more"] if len(cutoffs) > MOST_TENANTS else []
    return ", ".join(shown + rest) or None


def seen_as(preview: Preview, tenant: str | None) -> str | None:
    """Return whose view the numbers are; None: they are of every row."""
    return sessions.told(preview.policy, tenant)


def triggers(preview: Preview) -> list[str]:
    """Return the triggers that a run would fire, those of named cascades with their table."""
    target = preview.target
    below = [
        f"{branch.layout.label}: {name}"
        for branch in every(target.branches)
        for name in branch.layout.triggers
    ]
    return [*target.layout.triggers, *dict.fromkeys(below)]


def _along(preview: Preview) -> str | None:
    words = {"cascade": "of", "nullify": "lose their reference in"}
    parts = []
    for name, rows in sorted(preview.along.items()):
        action, _, table = name.partition(":")
        parts.append(f"{_rows(rows)} {words[action]} {table}")
    return ", ".join(parts) or None


def _rows(count: int) -> str:
    return output.counted(count, "row")


def schedule(preview: Preview) -> str:
    """Return when the policy runs next, or why it does not."""
    policy, instant = preview.policy, next_run(preview)
    if instant is None:
        return f"never: the policy is {policy.state}"
    local = instant.astimezone(ZoneInfo(policy.cron_zone))
    waits = ", once approved" if policy.state == PolicyState.PENDING else ""
    return f"{local:%Y-%m-%d %H:%M} {policy.cron_zone} (cron {policy.cron}){waits}"


def _tenants(preview: Preview) -> None:
    ordered = sorted(preview.tenants.items(), key=lambda item: (-item[1], item[0]))
    rows = [(f"  {tenant}", output.number(rows)) for tenant, rows in ordered[:MOST_TENANTS]]
    rest = ordered[MOST_TENANTS:]
    if rest:
        rows.append((f"  {len(rest):,} more", output.number(sum(count for _, count in rest))))
    output.columns(["  tenant", "rows"], rows, right=["rows"])


def _months(preview: Preview) -> None:
    """List the newest months, and the older ones together."""
    months = list(preview.spread.months.items())
    older, newest = months[:-_MOST_MONTHS], months[-_MOST_MONTHS:]
    rows = [(f"  {month}", output.number(count)) for month, count in newest]
    if older:
        rows.insert(0, (f"  {older[0][0]} to {older[-1][0]}", output.number(sum(c for _, c in older))))
    output.columns(["  month", "rows"], rows, right=["rows"])
