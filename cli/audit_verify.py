"""`aegis audit verify`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from aegis.audit.exported.report import Finding
from aegis.audit.exported.report import Report as ExportReport
from aegis.audit.verification.findings import Report
from aegis.errors import Interrupted, NotPrepared, UsageError
from api import audit as doors
from api import log
from cli import output
from cli.audit_bar import bar

#: Something is not as it was written.
FINDING: Final = 1
#: What would have to be looked at is not there.
CANNOT_TELL: Final = 5
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ANY = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--full", is_flag=True, help="Every entry and every column: the default, named for scripts.")
@click.option("--since", type=click.IntRange(min=0), metavar="N", help="Entries from leaf N on only.")
@click.option("--hashes-only", is_flag=True, help="Hash the entries and compare no columns: twice as fast.")
@click.option("--export", "exported", type=_ANY, metavar="PATH", help="Check this export; no database.")
@click.option("--witness", metavar="URL", help="Ask this witness whether the log grew out of what it saw.")
@click.option("--policy", "trusted", type=_FILE, metavar="FILE", help="Whom to trust (C2SP tlog-policy).")
@click.option("--retired", type=_FILE, metavar="FILE", help="Keys that were retired, with their last size.")
@click.option("--key", metavar="VKEY", help="Trust this public key of the log, in place of a policy.")
@output.json_option
def verify(
    *,
    full: bool,
    since: int | None,
    exported: Path | None,
    witness: str | None,
    as_json: bool,
    hashes_only: bool,
    **trust: Any,
) -> int:
    """Verify the log: every leaf, every tile, every column, every signature.

    Exit code 0: intact. 1: a finding, with its leaf, what was expected and what is there. 5: cannot tell.
    """
    if full and (since or hashes_only):
        message = "--full leaves nothing out: give it alone, or --since and --hashes-only"
        raise UsageError(message)
    try:
        policy = log.trusted(policy=trust["trusted"], retired=trust["retired"], vkey=trust["key"])
        if exported is not None:
            return _export(log.check_export(exported, policy, start=since or 0), as_json=as_json)
        with bar(quiet=as_json) as tell:
            report = doors.verify_audit_log(
                since=since or 0, witness=witness, policy=policy, columns=not hashes_only, on_progress=tell
            )
    except (Interrupted, NotPrepared) as fault:
        click.echo(f"aegis: cannot tell: {fault}", err=True)
        return CANNOT_TELL
    return _report(report, as_json=as_json)


def _report(report: Report, *, as_json: bool) -> int:
    if as_json:
        output.print_json(
            vars(report) | {"intact": report.intact, "findings": [vars(one) for one in report.findings]}
        )
        return 0 if report.intact else FINDING
    for finding in report.findings:
        output.say(str(finding))
    if not report.intact:
        output.say(f"\n{output.counted(report.found, 'finding')} in a log of {report.size:,} leaves.")
        return FINDING
    leaves = output.counted(report.size, "leaf", "leaves")
    checked = output.counted(report.checked, "entry", "entries")
    output.say(f"Intact: {leaves} under a signed head, {checked} compared with what was hashed.")
    if report.unwitnessed:
        output.say(
            f"No witness has cosigned the last {output.counted(report.unwitnessed, 'leaf', 'leaves')}."
        )
    if report.intents:
        what = output.counted(len(report.intents), "act")
        output.say(f"{what} announced, and nothing more was told: {', '.join(report.intents)}")
    return 0


def _export(report: ExportReport, *, as_json: bool) -> int:
    if as_json:
        output.print_json(vars(report) | {"intact": report.intact, "findings": _plain(report.findings)})
    else:
        for finding in report.findings:
            output.say(str(finding))
        for sentence in report.unproven:
            output.say(f"Cannot tell: {sentence}.")
        if report.intact and not report.unproven:
            events = output.counted(report.events, "event")
            output.say(f"Intact: {events}, leaves {report.first:,} to {report.next - 1:,}.")
    if not report.intact:
        return FINDING
    return CANNOT_TELL if report.unproven else 0


def _plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [vars(finding) for finding in findings]
