"""The account: what every part of Aegis says, and what the application's tables say."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

from aegis.operations.account import Account
from api import audit
from cli.demo.database import Standing
from cli.demo.retention import POLICIES, action_of
from cli.demo.stage import Stage

#: What is shown of each process, of what Prometheus reads.
_SHOWN: Final = (
    ("worker", "aegis_rows_deleted_total{"),
    ("worker", "aegis_rows_anonymized_total{"),
    ("beat", 'aegis_ledger_rows_total{action="anonymize"'),
    ("beat", "aegis_dp_epsilon_spent{"),
    ("beat", "aegis_audit_checkpoint_size"),
)


def show_metrics(stage: Stage) -> None:
    """Show some of the metrics."""
    stage.say("Metrics, as Prometheus reads them (some of them)")
    told = {process: stage.stack.metrics(process).splitlines() for process in ("worker", "beat")}
    for process, name in _SHOWN:
        for line in told[process]:
            if line.startswith(name):
                stage.tell(f"{process:<8}{line}")


def balance(stage: Stage, before: Standing, after: Standing, erased: int) -> bool:
    """Show the account of every policy, and of the erasure; return whether all figures agree."""
    stage.say("The account: six independent figures for every policy, five for the erasure made here")
    counters = stage.stack.metrics("worker")
    lines = [_Line.of(policy, before, after, counters) for policy in POLICIES]
    lines.append(_Line(name="erasure", action="as mapped", tables=erased, worker=None))
    headings = ["policy", "action", "tables", "journal", "log", "reports", "ledger", "worker", ""]
    stage.table(headings, [line.shown() for line in lines], numbers_from=2)
    return all(line.balances for line in lines)


@dataclass(frozen=True, kw_only=True)
class _Line:
    """What is said of one policy."""

    name: str
    action: str
    #: Rows gone or masked, as the application's own tables have it.
    tables: int
    #: What the worker counted; None: it had no part in it.
    worker: int | None

    @classmethod
    def of(cls, policy: Mapping[str, Any], before: Standing, after: Standing, counters: str) -> Self:
        """Return the line of a retention policy."""
        table = policy["table"]
        done = sum(before[table].values()) - sum(after[table].values())
        return cls(
            name=policy["name"], action=action_of(policy), tables=done, worker=_counter(counters, policy)
        )

    @cached_property
    def _sums(self) -> Account:
        return audit.account_of(self.name)

    @property
    def balances(self) -> bool:
        """Whether all figures agree, and something was done."""
        worker = self.tables if self.worker is None else self.worker
        return self._sums.balances and self.tables == self._sums.journal == worker > 0

    def shown(self) -> list[str]:
        """Return it as a line of the table."""
        sums = self._sums
        figures = (self.tables, sums.journal, sums.log, sums.reports, sums.ledger)
        worker = "-" if self.worker is None else f"{self.worker:,}"
        verdict = "✓" if self.balances else "✗ DIFFERS"
        return [self.name, self.action, *[f"{figure:,}" for figure in figures], worker, verdict]


def _counter(text: str, policy: Mapping[str, Any]) -> int:
    """Return what the worker has counted of a policy; what it masks it counts by table."""
    masks = action_of(policy) == "anonymize"
    name = "aegis_rows_anonymized_total{" if masks else "aegis_rows_deleted_total{"
    label = f'table="{policy["table"]}"' if masks else f'policy="{policy["name"]}"'
    lines = [line for line in text.splitlines() if line.startswith(name) and label in line]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))
