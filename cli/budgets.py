"""`aegis federated budget`: what may be spent of privacy, what is spent, and on which releases."""

from dataclasses import asdict
from typing import Any, Final

import click

from aegis.federated.accounts import Account, Period
from aegis.federated.composition import COMPOSITIONS
from aegis.federated.conversion import shown
from api import budgets
from cli import output

_BAR: Final = 20
_EPSILON_HELP: Final = "Most of each window; without --days, most ever."
_LIFETIME_HELP: Final = "Most ever, of a budget that has windows."


@click.group()
def budget() -> None:
    """Privacy budgets: open one, change its limits, see what is spent.

    A release is charged to one budget and to every budget above it, before noise is drawn, or to none.
    """


@budget.command()
@click.argument("name")
@click.option("--epsilon", type=float, metavar="E", help=_EPSILON_HELP)
@click.option("--days", "window_days", type=int, metavar="N", help="Begin anew every N days, from now.")
@click.option("--lifetime-epsilon", type=float, metavar="E", help=_LIFETIME_HELP)
@click.option("--parent", metavar="NAME", help="Charged along with this one.")
@click.option(
    "--composition",
    type=click.Choice(COMPOSITIONS),
    default="pure",
    show_default=True,
    help="How releases add up; Gaussian noise needs zcdp or rdp.",
)
@click.option("--delta", type=float, metavar="D", help="For which delta the limits hold (zcdp, rdp).")
@click.option("--order", type=int, metavar="A", help="The order of rdp.")
@click.option("--unlimited", is_flag=True, help="No limit: what is spent is counted only.")
@output.actor_option(required=True)
@output.json_option
def create(*, name: str, actor: str, as_json: bool, **terms: Any) -> None:
    """Open a budget. The same again changes nothing; other terms are refused.

    NAME has letters, digits and `. _ : / -`, and stands in the audit log and in metrics in clear.
    """
    _say(budgets.create_budget(name, actor=actor, **terms), as_json=as_json)


@budget.command("set")
@click.argument("name")
@click.option("--epsilon", type=float, metavar="E", help=_EPSILON_HELP)
@click.option("--lifetime-epsilon", type=float, metavar="E", help=_LIFETIME_HELP)
@output.actor_option(required=True)
@output.json_option
def set_limits(*, name: str, actor: str, as_json: bool, **limits: Any) -> None:
    """Raise or lower a budget's limits; what is spent stays spent, and the log has both limits."""
    _say(budgets.set_budget(name, actor=actor, **limits), as_json=as_json)


@budget.command()
@click.argument("name", required=False)
@output.json_option
def show(*, name: str | None, as_json: bool) -> None:
    """Show the budgets with what is spent of them, or NAME and those below it."""
    found = budgets.show_budgets(name)
    if as_json:
        output.print_json([document(account) for account in found])
    elif not found:
        output.say("There is no budget; `aegis federated budget create NAME --epsilon E --days N` makes one.")
    else:
        _table(found)


@budget.command("charge-history")
@click.argument("name")
@click.option("--limit", type=int, default=20, show_default=True, metavar="N", help="At most so many.")
@click.option("--before", type=int, metavar="NUMBER", help="Only charges before this one: the next page.")
@output.json_option
def charge_history(*, name: str, limit: int, before: int | None, as_json: bool) -> None:
    """List what was charged to a budget, the newest first."""
    found = budgets.budget_history(name, limit=limit, before=before)
    if as_json:
        output.print_json(found)
    elif not found:
        output.say(f"Nothing was charged to budget {name}.")
    else:
        headings = ["number", "when", "release", "charged to", "noise", "charged"]
        output.columns(headings, [_charge(item) for item in found], right=["number", "charged"])


def document(account: Account) -> dict[str, Any]:
    """Return a budget as plain data; amounts are whole nano-units of `unit`."""
    periods = {
        period.name: {
            **{name: value for name, value in asdict(period).items() if name != "name"},
            "left": period.left,
            "share": period.share,
        }
        for period in account.periods
    }
    return {name: value for name, value in asdict(account).items() if name != "periods"} | {
        "unit": account.unit,
        "periods": periods,
    }


def _say(account: Account, *, as_json: bool) -> None:
    if as_json:
        output.print_json(document(account))
    else:
        _table([account])


def _table(found: list[Account]) -> None:
    headings = ["budget", "counts", "period", "epsilon spent", "of", "used", "begins anew"]
    top = min(account.depth for account in found)
    rows = [_row(account, period, top) for account in found for period in account.periods]
    output.columns(headings, rows, right=["epsilon spent", "of"])
    if any(account.delta is not None for account in found):
        output.say("\nWhere a budget counts rho or RDP epsilon, what is used is the share of that.")


def _row(account: Account, period: Period, top: int) -> tuple[str, ...]:
    first = period is account.periods[0]
    return (
        "  " * (account.depth - top) + account.name if first else "",
        _counts(account) if first else "",
        period.name,
        _epsilon(period.epsilon_spent),
        "no limit" if period.epsilon_limit is None else _epsilon(period.epsilon_limit),
        bar(period.share),
        output.moment(period.ends_at) if period.ends_at else "",
    )


def bar(share: float | None) -> str:
    """Return a share as a bar and a number; more than all is possible, when a limit was lowered."""
    if share is None:
        return ""
    full = min(_BAR, int(share * _BAR))
    return f"{'█' * full}{'░' * (_BAR - full)} {share:.0%}"


def _counts(account: Account) -> str:
    if account.delta is None:
        return "epsilon"
    order = "" if account.order is None else f" at order {account.order}"
    return f"{account.unit}{order}, delta {account.delta:g}"


def _epsilon(value: float) -> str:
    return f"{value:,.6g}"


def _charge(item: dict[str, Any]) -> tuple[str, ...]:
    noise = ", ".join(f"{spend['mechanism']} epsilon {spend['epsilon']:g}" for spend in item["spends"])
    return (
        output.number(item["number"]),
        output.moment(item["charged_at"]),
        item["release_id"],
        item["charged_to"],
        noise,
        shown(item["charged"]),
    )
