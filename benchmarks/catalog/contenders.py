"""Those who say which columns are personal, each as a function of a whole schema."""

from collections.abc import Callable
from typing import Final

from aegis.catalog import facts
from aegis.catalog.classify import classify_table
from aegis.catalog.context import Context
from aegis.catalog.decision import ColumnDecision, Verdict
from benchmarks.catalog import peers
from benchmarks.catalog.categories import UNKNOWN
from benchmarks.catalog.schemas import Schema
from benchmarks.catalog.scoring import Predictions

Contender = Callable[[Schema], Predictions]


class NotThere(Exception):
    """A contender cannot take part here; the message says why."""


def aegis(schema: Schema) -> Predictions:
    """Ask Aegis, by names and structure alone; `unknown` where it wants a person to look."""
    tables = [
        facts.table(
            name,
            [
                facts.column(
                    each.name,
                    each.type.lower(),
                    key=each.primary_key,
                    refers_to=each.target.rpartition(".")[0] if each.target else None,
                )
                for each in columns
            ],
        )
        for name, columns in schema.tables.items()
    ]
    context = Context.of(tables)
    return {
        (table.label, each.column): _answer(each)
        for table in tables
        for each in classify_table(table, context, {})
    }


def _answer(decision: ColumnDecision) -> str | None:
    if decision.verdict is Verdict.UNKNOWN:
        return UNKNOWN
    return decision.category if decision.verdict is Verdict.PERSONAL else None


#: name → contender
CONTENDERS: Final[dict[str, Contender]] = {"aegis": aegis, **{peer.name: peer.ask for peer in peers.PEERS}}
