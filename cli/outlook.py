"""`aegis policy what-if` and `aegis policy status`: what would be, and how far each policy is."""

from collections.abc import Mapping
from typing import Any

import click

from aegis.retention.forecast import Forecast
from aegis.retention.preview import Preview
from aegis.retention.watermarks import ALL
from aegis.retention.whatif import WhatIf
from api import privacy
from cli import output, preview

#: Tenants that are listed one by one.
_MOST_TENANTS = 20


@click.command("what-if")
@click.argument("name")
@click.option("--days", type=int, metavar="N", help="Days of 24 hours, in place of the policy's own.")
@click.option("--period", metavar="P", help="An ISO 8601 period (P2Y, P6M) in their place.")
@click.option("--tenant", metavar="T", help="Count this tenant's rows only.")
@output.json_option
def what_if(*, name: str, days: int | None, period: str | None, tenant: str | None, as_json: bool) -> None:
    """Count what a policy would do with another period, beside today's.

    Both are counted in one snapshot. Nothing is registered and nothing is changed.
    """
    seen = privacy.what_if_retention_policy(name, days=days, period=period, tenant_id=tenant)
    if as_json:
        output.print_json(
            {
                "policy": name,
                "today": preview.document(seen.today, tenant),
                "then": preview.document(seen.then, tenant),
                "difference": seen.difference,
                "finishes": seen.finishes,
            }
        )
        return
    _show_what_if(name, seen)


@click.command("status")
@click.argument("name", required=False)
@output.json_option
def status(*, name: str | None, as_json: bool) -> None:
    """Say how far each policy is, what stays and why, and whether it keeps up.

    The numbers are those that the runs counted; no table is read.
    """
    found = privacy.retention_forecasts(None if name is None else [name])
    if as_json:
        output.print_json([_document(item) for item in found])
    elif name is None:
        _list(found)
    else:
        _show(found[0])


def _show_what_if(name: str, seen: WhatIf) -> None:
    then, today = seen.then, seen.today
    more = "more" if seen.difference >= 0 else "fewer"
    output.say(f"Policy {name} with {_kept(then)} in place of {_kept(today)}; nothing was changed.\n")
    finishes = "unknown: nothing tells how fast it would go"
    if seen.finishes:
        finishes = f"{output.moment(seen.finishes)}, had it begun now and worked whenever it may"
    output.facts(
        [
            ("would delete" if then.policy.action == "delete" else "would change", _rows(then.rows)),
            ("today's policy", f"{_rows(today.rows)}, so {abs(seen.difference):,} {more}"),
            ("in tenants", f"{len(then.tenants):,}" if then.tenants else "not told apart"),
            ("under a hold", _rows(then.held)),
            *preview.estimate_facts(then.estimate),
            ("finishes", finishes),
        ]
    )
    if then.tenants:
        output.say()
        ordered = sorted(then.tenants, key=lambda tenant: (-then.tenants[tenant], tenant))
        rows = [(f"  {t}", f"{then.tenants[t]:,}", f"{today.tenants.get(t, 0):,}") for t in ordered]
        output.columns(["  tenant", "then", "today"], rows[:_MOST_TENANTS], right=["then", "today"])


def _kept(seen: Preview) -> str:
    return seen.policy.period or output.counted(seen.policy.retention_days, "day")


def _rows(count: int) -> str:
    return output.counted(count, "row")


def _document(found: Forecast) -> dict[str, Any]:
    return {
        "policy": found.policy.name,
        "state": found.policy.state,
        "datasource": found.policy.datasource,
        "last_success": found.last_success,
        "overdue": found.overdue,
        "arriving_per_day": _whole(found.arriving_per_day),
        "leaving_per_day": _whole(found.leaving_per_day),
        "catches_up": None if found.leaving_per_day is None else not found.never,
        "forecast": found.sentence(),
        "watermarks": [
            {
                "tenant": mark["tenant"] or None,
                "nothing_older_than": mark["nothing_older_than"],
                "remaining": mark["remaining"] or {},
                "measured_at": mark["measured_at"],
                "run": mark["run"],
            }
            for mark in found.marks
        ],
    }


def _list(found: list[Forecast]) -> None:
    headings = ["policy", "state", "nothing older than", "overdue", "last success", "forecast"]
    rows = [
        (
            item.policy.name,
            item.policy.state,
            output.moment(item.mark.get("nothing_older_than")),
            output.number(item.overdue),
            output.moment(item.last_success),
            item.sentence(),
        )
        for item in found
    ]
    output.columns(headings, rows, right=["overdue"])


def _show(found: Forecast) -> None:
    output.say(f"Policy {found.policy.name}, version {found.policy.version}: {found.policy.state}\n")
    output.facts(
        [
            ("nothing older than", _older(found.mark)),
            ("still there", _remaining(found.mark)),
            ("overdue", output.number(found.overdue)),
            ("last success", output.moment(found.last_success)),
            ("forecast", found.sentence()),
        ]
    )
    tenants = [mark for mark in found.marks if mark["tenant"] != ALL]
    if tenants:
        output.say()
        rows = [(f"  {mark['tenant']}", _older(mark), _remaining(mark)) for mark in tenants[:_MOST_TENANTS]]
        output.columns(["  tenant", "nothing older than", "still there"], rows)


def _older(mark: Mapping[str, Any]) -> str:
    return output.moment(mark.get("nothing_older_than"))


def _remaining(mark: Mapping[str, Any]) -> str:
    reasons = (mark.get("remaining") or {}).items()
    return ", ".join(f"{_rows(rows)} {preview.STAYS.get(reason, reason)}" for reason, rows in reasons) or "-"


def _whole(rate: float | None) -> int | None:
    return None if rate is None else round(rate)
