"""One run in full, for `aegis retention status RUN`."""

from collections.abc import Mapping
from typing import Any

from aegis.retention.standing import Standing
from cli import output

#: What of a run's row is ours alone.
_INTERNAL = frozenset({"actor_ref", "epoch", "sent_at", "policy_id", "lease_owner", "lease_until"})


def document(found: Standing) -> dict[str, Any]:
    """Return a run as plain data."""
    rate, left = found.rows_per_second, found.remaining_seconds
    shown = {name: value for name, value in found.run.items() if name not in _INTERNAL}
    return {
        **shown,
        "rows": found.rows,
        "batches": found.batches,
        "rows_per_second": None if rate is None else round(rate),
        "remaining": found.remaining,
        "remaining_seconds": None if left is None else round(left),
    }


def show(found: Standing) -> None:
    """Print a run in full."""
    run = found.run
    output.say(f"Run {run['id']} of policy {run['policy']}: {run['state']}\n")
    output.facts((name, value) for name, value in _facts(found) if value not in {None, "-"})
    report = run["report"] or {}
    if report:
        output.say("\nReport:")
        output.facts((name, _value(value)) for name, value in report.items() if value not in (None, {}))


def _facts(found: Standing) -> list[tuple[str, str | None]]:
    run, rate, left = found.run, found.rows_per_second, found.remaining_seconds
    expected = "" if run["rows_expected"] is None else f" of {run['rows_expected']:,}"
    return [
        ("table", f"{run['table_name']} in {run['datasource']}"),
        ("action", run["action"]),
        ("tenant", run["tenant"] or "all"),
        ("started by", run["origin"]),
        ("scheduled for", output.moment(run["scheduled_for"])),
        ("older than", output.moment(run["cutoff"])),
        ("rows", f"{found.rows:,}{expected}, in {output.counted(found.batches, 'batch', 'batches')}"),
        ("rate", None if rate is None else f"{rate:,.0f} rows a second, pauses included"),
        ("remaining", None if found.remaining is None else output.counted(found.remaining, "row")),
        ("time left", None if left is None else f"about {output.span(left)} of work"),
        ("why", run["reason"]),
        ("not before", output.moment(run["not_before"])),
        ("started", output.moment(run["started_at"])),
        ("ended", output.moment(run["finished_at"])),
    ]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_value(item)}" for name, item in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
