"""`aegis catalog`: which columns of a data source are personal, looked up in the live schema."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Final

import click

from aegis.catalog.decision import ColumnDecision, Verdict
from aegis.catalog.report import VERSION, Summary, plain_table
from aegis.catalog.scanning import Limits, TableScan, scan
from aegis.catalog.validators import PRESENT
from aegis.settings import DEFAULT_SOURCE
from cli import bars, output
from cli.catalog_files import import_command, propose
from cli.catalog_review import diff, export
from cli.sources import opened

_STOPPED: Final = 3
_EXTRA: Final = 'pip install "aegis-privacy-worker[catalog]"'


@click.group()
def catalog() -> None:
    """Find the personal columns of a data source.

    Nothing here changes a row or stores a value.
    """


@catalog.command("scan")
@click.argument("datasource", default=DEFAULT_SOURCE, metavar="[DATASOURCE]")
@click.option("--table", "tables", metavar="T", multiple=True, help="This table only; may be given again.")
@click.option("--no-sample", is_flag=True, help="Judge by names, types and references alone; read no row.")
@click.option(
    "--rows",
    type=click.IntRange(1, 10_000),
    default=Limits.rows,
    show_default=True,
    help="Rows of a table that are looked at, at most.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.01, 600),
    default=Limits.statement_ms / 1000,
    show_default=True,
    metavar="SECONDS",
    help="How long one statement may take.",
)
@click.option("--all", "everything", is_flag=True, help="Show the columns that are not personal, too.")
@output.json_option
def scan_command(
    *,
    datasource: str,
    tables: tuple[str, ...],
    no_sample: bool,
    rows: int,
    timeout: float,
    everything: bool,
    as_json: bool,
) -> int:
    """Classify every column of a data source: personal, not, or unknown.

    Names, types and references first; then some rows from all over each table, in transactions that cannot
    write. Values are counted in memory and forgotten. Exit code 0: it is a report, whatever it found. 3:
    stopped by Ctrl-C. 4: rows are hidden, or may not be read. 5: the database does not answer.
    """
    limits = Limits(rows=0 if no_sample else rows, statement_ms=round(timeout * 1000))
    with opened(datasource) as (databases, name):
        found = scan(databases.source(name), f"data source {name}", limits=limits, only=frozenset(tables))
        # On a terminal the tables themselves show how far it is.
        quiet = as_json or sys.stdout.isatty()
        with closing(found), bars.progress("tables", quiet=quiet) as bar:
            report = _Json(name) if as_json else _Text(name, everything=everything)
            return report.show(_counted(found, bar), sampling=not no_sample)


def _counted(found: Iterable[TableScan], bar: bars.Advance | None) -> Iterator[TableScan]:
    for table in found:
        yield table
        if bar:
            bar(table.done, table.total)


class _Report:
    """What is shown of a scan, table by table, so that none has to be remembered."""

    def __init__(self, datasource: str) -> None:
        self._datasource = datasource
        self._summary = Summary()

    def show(self, tables: Iterable[TableScan], *, sampling: bool) -> int:
        """Show everything; return the exit code."""
        began, complete = time.monotonic(), False
        try:
            for table in tables:
                self._summary.add(table)
                self._table(table)
            complete = True
        except KeyboardInterrupt:
            click.echo("aegis: stopped; what was scanned is shown", err=True)
        self._end(complete=complete, seconds=time.monotonic() - began, sampling=sampling)
        return 0 if complete else _STOPPED

    def _table(self, found: TableScan) -> None:
        raise NotImplementedError

    def _end(self, *, complete: bool, seconds: float, sampling: bool) -> None:
        raise NotImplementedError


class _Json(_Report):
    """One document, written as it comes."""

    def _table(self, found: TableScan) -> None:
        begin = "," if self._summary.tables > 1 else self._begin()
        click.echo(f"{begin}\n{json.dumps(plain_table(found), ensure_ascii=False)}", nl=False)

    def _begin(self) -> str:
        return f'{{"version": {VERSION}, "datasource": {json.dumps(self._datasource)}, "tables": ['

    def _end(self, *, complete: bool, seconds: float, sampling: bool) -> None:
        if not self._summary.tables:
            click.echo(self._begin(), nl=False)
        plain = self._summary.plain(complete=complete, seconds=seconds, values=sampling, numbers=PRESENT)
        click.echo(f'\n], "summary": {json.dumps(plain, ensure_ascii=False)}}}')


class _Text(_Report):
    """A table for each table that has something to show, and what it comes to."""

    def __init__(self, datasource: str, *, everything: bool) -> None:
        super().__init__(datasource)
        self._everything = everything

    def _table(self, found: TableScan) -> None:
        shown = [d for d in found.decisions if self._everything or d.verdict is not Verdict.NONE]
        if not shown:
            return
        output.say(f"\n{output.printable(found.table)}{_sampled(found)}")
        output.marked(map(_line, shown))

    def _end(self, *, complete: bool, seconds: float, sampling: bool) -> None:
        summary = self._summary
        counts = summary.columns
        scanned = "" if complete else " so far"
        output.say(
            f"\n{output.counted(summary.tables, 'table')} of {self._datasource}{scanned} in {seconds:.1f} s: "
            f"{output.counted(counts[Verdict.PERSONAL], 'column')} personal, "
            f"{counts[Verdict.UNKNOWN]:,} to review, {counts[Verdict.NONE]:,} not personal."
        )
        if not sampling:
            output.say("No row was read: judged by names, types and references alone.")
            return
        output.say(
            f"{output.counted(summary.sampled, 'table')} sampled, "
            f"{output.counted(summary.rows, 'row')} in all."
        )
        for note, count in summary.notes.most_common():
            output.say(f"  {output.counted(count, 'table')}: {note}")
        if not PRESENT:
            output.say(
                f"Telephone, account, card and state numbers were judged by names alone; values too: {_EXTRA}"
            )


def _sampled(found: TableScan) -> str:
    rows = "" if found.sampled is None else f" · {output.counted(found.sampled, 'row')} sampled"
    note = f" · {found.note}" if found.note else ""
    return f"  ({found.nature}{rows}{note})"


_MARKS: Final = {
    Verdict.PERSONAL: ("!", "bold"),
    Verdict.UNKNOWN: ("?", "yellow"),
    Verdict.NONE: ("-", "dim"),
}


def _line(decision: ColumnDecision) -> tuple[str, str, str, str]:
    mark, style = _MARKS[decision.verdict]
    what = decision.category or ("review" if decision.verdict is Verdict.UNKNOWN else "not personal")
    sure = f"{decision.confidence:.0%}"
    return f"  {mark}", style, decision.column, f"{what}  {sure}  {_sentence(decision.evidence)}"


def _sentence(evidence: Sequence[str]) -> str:
    return "; ".join(evidence)


for _command in (propose, diff, export, import_command):
    catalog.add_command(_command)
